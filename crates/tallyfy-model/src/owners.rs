//! Who is involved: members, guests and groups.

use crate::lenient::{Json, List};
use crate::record::record;
use crate::{GroupId, UserId};

record! {
    /// A member, as an object or as nothing but an id. Webhooks write ids as strings, the API as integers.
    pub struct Member or bare id {
        /// The member's id.
        id: UserId,
    }
    /// What only some places tell of a member.
    rarely MemberDetails {
        /// The id in webhook `users` lists.
        user_id: UserId,
        /// The e-mail address.
        email: String,
        /// The name.
        full_name: String,
        /// The first name.
        first_name: String,
        /// The last name.
        last_name: String,
        /// What the member may do in the organization, such as `admin`, `standard` or `light`.
        role: String,
        /// Whether the member can log in.
        active: bool,
        /// Where a picture is.
        profile_pic: String,
    }
}

impl Member {
    /// The id, under whichever name it came.
    pub fn any_id(&self) -> Option<&UserId> {
        self.id.get().or_else(|| self.user_id.get())
    }
}

record! {
    /// A group of members, as an object or as nothing but an id.
    pub struct GroupRef or bare id {
        /// The group's id.
        id: GroupId,
    }
    /// What only some places tell of a group.
    rarely GroupDetails {
        /// The id in webhook `groups` lists.
        group_id: GroupId,
        /// The name.
        name: String,
    }
}

impl GroupRef {
    /// The id, under whichever name it came.
    pub fn any_id(&self) -> Option<&GroupId> {
        self.id.get().or_else(|| self.group_id.get())
    }
}

record! {
    /// The assignees of a task (API reference, section c.1), or the answer of a form field that asks for some.
    pub struct Owners {
        /// Members.
        users: List<Member>,
        /// Guests, by e-mail address.
        guests: List<String>,
        /// Groups; webhooks leave them out.
        groups: List<GroupRef>,
        /// Links to the task; undocumented.
        task_urls = "taskUrls": Json,
    }
}

impl Owners {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.iter().next().is_none() && self.guests.iter().next().is_none() && self.groups.iter().next().is_none()
    }

    /// The e-mail addresses that are known from this alone: those of guests, and of members where they came with one.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        let members = self.users.iter().filter_map(|member| member.email.as_str());
        members
            .chain(self.guests.iter().map(String::as_str))
            .filter(|email| !email.is_empty())
    }
}
