//! Who is involved: members, guests and groups.

use serde_json::Value;

use crate::lenient::List;
use crate::record::record;
use crate::{GroupId, UserId};

record! {
    /// A member, as an object or as nothing but an id. Webhooks write ids as strings, the API as integers.
    pub struct Member or bare id {
        /// The member's id.
        id: UserId,
        /// The same in webhook `users` lists.
        user_id: UserId,
        /// The e-mail address; not everywhere.
        email: String,
        /// The name; not everywhere.
        full_name: String,
        /// Where a picture is; not everywhere.
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
        /// The same in webhook `groups` lists.
        group_id: GroupId,
        /// The name; not everywhere.
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
    /// The assignees of a task (API reference, section c.1).
    pub struct Owners {
        /// Members.
        users: List<Member>,
        /// Guests, by e-mail address.
        guests: List<String>,
        /// Groups; webhooks leave them out.
        groups: List<GroupRef>,
        /// Links to the task; undocumented.
        task_urls = "taskUrls": Value,
    }
}
