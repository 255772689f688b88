//! Who is to do a task.

use serde_json::{Value, json};
use tallyfy_model::{GroupId, Owners, Task, UserId, WithJson};

use crate::client::Client;
use crate::error::Error;

/// All who are to do a task.
///
/// The API takes a list that is left out for an empty one, and removes whoever was in it (API reference, section h, 16). So
/// this is always sent whole: begin from who is assigned, with [`of`](Self::of), to keep them. There is no default: who means
/// that nobody is to be left says [`nobody`](Self::nobody).
///
/// ```
/// use tallyfy_runs::Assignees;
/// use tallyfy_runs::model::{Task, WithJson};
///
/// let task = WithJson::<Task>::from_json(r#"{"id":"t1","owners":{"users":[7],"guests":["g@example.com"],"groups":[]}}"#)?;
/// let more = Assignees::of(&task).ok_or("the task does not say who is assigned")?.with_user(8).without_guest("g@example.com");
/// assert_eq!(more.to_json().to_string(), r#"{"groups":[],"guests":[],"users":[7,8]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignees {
    users: Vec<UserId>,
    guests: Vec<String>,
    groups: Vec<GroupId>,
}

impl Assignees {
    /// Nobody.
    pub fn nobody() -> Self {
        Self {
            users: Vec::new(),
            guests: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Those who are assigned to a task; `None` if the task does not say it, or not in a form that can be sent back.
    pub fn of(task: &Task) -> Option<Self> {
        Self::of_owners(task.owners.get()?)
    }

    fn of_owners(owners: &Owners) -> Option<Self> {
        let all = |understood: usize, elements: usize| understood == elements;
        let users = owners.users.get().map_or(0, |list| list.elements().len());
        let groups = owners.groups.get().map_or(0, |list| list.elements().len());
        let guests = owners.guests.get().map_or(0, |list| list.elements().len());
        let assignees = Self {
            users: owners.users.iter().filter_map(|user| user.any_id().cloned()).collect(),
            guests: owners.guests.iter().cloned().collect(),
            groups: owners
                .groups
                .iter()
                .filter_map(|group| group.any_id().cloned())
                .collect(),
        };
        let is_whole = all(assignees.users.len(), users)
            && all(assignees.guests.len(), guests)
            && all(assignees.groups.len(), groups);
        is_whole.then_some(assignees)
    }

    /// Adds a member.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<UserId>) -> Self {
        let user = user.into();
        if !self.users.contains(&user) {
            self.users.push(user);
        }
        self
    }

    /// Adds a guest, by e-mail address.
    #[must_use]
    pub fn with_guest(mut self, email: impl Into<String>) -> Self {
        let email = email.into();
        if !self.guests.contains(&email) {
            self.guests.push(email);
        }
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<GroupId>) -> Self {
        let group = group.into();
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        self
    }

    /// Takes a member out.
    #[must_use]
    pub fn without_user(mut self, user: impl Into<UserId>) -> Self {
        let user = user.into();
        self.users.retain(|other| *other != user);
        self
    }

    /// Takes a guest out.
    #[must_use]
    pub fn without_guest(mut self, email: &str) -> Self {
        self.guests.retain(|other| other != email);
        self
    }

    /// Takes a group out.
    #[must_use]
    pub fn without_group(mut self, group: impl Into<GroupId>) -> Self {
        let group = group.into();
        self.groups.retain(|other| *other != group);
        self
    }

    /// All three lists, as the API takes them.
    pub fn to_json(&self) -> Value {
        let number = |user: &UserId| {
            user.as_str()
                .parse::<u64>()
                .map_or_else(|_| user.as_str().into(), Value::from)
        };
        let users: Vec<Value> = self.users.iter().map(number).collect();
        json!({"users": users, "guests": self.guests, "groups": self.groups})
    }
}

impl Client {
    /// Gives a task to these people and to nobody else: `PUT …/tasks/{task}`. They are told of it.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`].
    pub async fn reassign(&self, task: &Task, assignees: &Assignees) -> Result<WithJson<Task>, Error> {
        self.update_task(task, &json!({"owners": assignees.to_json()})).await
    }
}
