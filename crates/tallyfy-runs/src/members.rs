//! Who is who: the caller, and the members of the organization (API reference, section e.6).

use std::collections::HashMap;

use tallyfy_model::{Item, Json, Member, Task, UserId};
use tallyfy_transport::Request;

use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::pages::Pages;

impl Client {
    /// Who the token belongs to: `GET /me`.
    ///
    /// # Errors
    /// [`Error`]. A token of an application, not of a person, may have no answer.
    pub async fn me(&self) -> Result<Member, Error> {
        self.ask(Request::get(["me"])?, decode::member).await
    }

    /// Lists the members of the organization: `GET /organizations/{org}/users`.
    pub fn list_members(&self) -> Pages<Member> {
        Pages::new(self, self.get(["users"]), read)
    }

    /// All members of the organization, by their ids. Runs and tasks name members by nothing but their ids.
    ///
    /// # Errors
    /// [`Error`], as of [`list_members`](Self::list_members).
    pub async fn members(&self) -> Result<Members, Error> {
        Ok(self.list_members().all().await?.into_iter().collect())
    }
}

fn read(json: Json) -> Result<(String, Member), Json> {
    let member = json.read::<Item<Member>>().into_value().map(Item::into_inner);
    let id = member.as_ref().and_then(Member::any_id);
    match id.map(ToString::to_string).zip(member) {
        Some(read) => Ok(read),
        None => Err(json),
    }
}

/// Members by their ids.
#[derive(Clone, Debug, Default)]
pub struct Members(HashMap<UserId, Member>);

impl Members {
    /// The member with this id.
    pub fn get(&self, id: &UserId) -> Option<&Member> {
        self.0.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    /// The e-mail addresses of a task's assignees: of members who are among these, or came with an address, and of guests.
    /// Members of a group that is assigned are not looked up.
    pub fn emails<'a>(&'a self, task: &'a Task) -> Vec<&'a str> {
        let Some(owners) = task.owners.get() else {
            return Vec::new();
        };
        let member = |member: &'a Member| {
            let known = || self.get(member.any_id()?)?.email.as_str();
            member.email.as_str().or_else(known)
        };
        let guests = owners.guests.iter().map(String::as_str);
        let emails = owners.users.iter().filter_map(member).chain(guests);
        emails.filter(|email| !email.is_empty()).collect()
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let by_id = |member: Member| Some((member.any_id()?.clone(), member));
        Self(members.into_iter().filter_map(by_id).collect())
    }
}
