//! Who is who: the caller, and the members of the organization (API reference, section e.6).

use std::collections::{HashMap, hash_map};

use tallyfy_model::{Member, Task, UserId, WithJson};
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
    pub async fn me(&self) -> Result<WithJson<Member>, Error> {
        self.ask(Request::get(["me"])?, decode::member).await
    }

    /// Lists the members of the organization: `GET /organizations/{org}/users`.
    pub fn list_members(&self) -> Pages<WithJson<Member>> {
        Pages::new(self, self.get(["users"]), |json| {
            decode::element(json, |member: &Member| member.any_id())
        })
    }

    /// All members of the organization, by their ids. Runs and tasks name members by nothing but their ids.
    ///
    /// # Errors
    /// [`Error`], as of [`list_members`](Self::list_members).
    pub async fn members(&self) -> Result<Members, Error> {
        Ok(self.list_members().all().await?.into_iter().collect())
    }
}

/// Members by their ids.
#[derive(Clone, Debug, Default)]
pub struct Members(HashMap<UserId, WithJson<Member>>);

impl Members {
    /// The member with this id.
    pub fn get(&self, id: &UserId) -> Option<&WithJson<Member>> {
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
    pub fn iter(&self) -> impl Iterator<Item = &WithJson<Member>> {
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

impl FromIterator<WithJson<Member>> for Members {
    fn from_iter<I: IntoIterator<Item = WithJson<Member>>>(members: I) -> Self {
        let by_id = |member: WithJson<Member>| Some((member.any_id()?.clone(), member));
        Self(members.into_iter().filter_map(by_id).collect())
    }
}

/// The members, in no order.
impl IntoIterator for Members {
    type Item = WithJson<Member>;
    type IntoIter = hash_map::IntoValues<UserId, WithJson<Member>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_values()
    }
}

/// The members, in no order.
impl<'a> IntoIterator for &'a Members {
    type Item = &'a WithJson<Member>;
    type IntoIter = hash_map::Values<'a, UserId, WithJson<Member>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.values()
    }
}
