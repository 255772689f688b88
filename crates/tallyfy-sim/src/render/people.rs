//! Members, guests, groups and tags.

use serde_json::{Value, json};

use super::{Object, Render};
use crate::quirks::{PeopleForm, TagForm};
use crate::world::{Actor, Assignees, Group, Guest, Tag, TagAssociation, User};

impl Render<'_> {
    /// A member, in full.
    pub(crate) fn user(&self, user: &User) -> Value {
        json!({
            "id": self.user_id(user.id),
            "email": user.email,
            "username": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "full_name": user.full_name(),
            "profile_pic": null,
            "locale": "en-us",
            "active": true,
            "is_suspended": false,
            "status": "active",
            "role": user.role,
            "timezone": "UTC",
            "created_at": self.date(user.created_at),
            "last_updated": self.date(user.created_at),
        })
    }

    /// A guest, in full, bearer link included.
    pub(crate) fn guest(&self, guest: &Guest) -> Value {
        json!({
            "email": guest.email,
            "first_name": guest.first_name,
            "last_name": guest.last_name,
            "link": guest.link(&self.org.id),
            "created_at": self.date(guest.created_at),
            "deleted_at": null,
        })
    }

    /// A group, in full.
    pub(crate) fn group(&self, group: &Group) -> Value {
        let members: Vec<Value> = group.members.iter().map(|id| self.user_id(*id)).collect();
        json!({
            "id": group.id,
            "name": group.name,
            "description": null,
            "logo": null,
            "members": members,
            "guests": group.guests,
            "created_at": self.date(self.org.created_at),
        })
    }

    /// A tag, in full.
    pub(crate) fn tag(&self, tag: &Tag) -> Value {
        json!({
            "id": tag.id,
            "title": tag.title,
            "color": tag.color,
            "type": "process",
            "auto_generated": false,
            "created_at": self.date(tag.created_at),
            "deleted_at": null,
        })
    }

    /// Tags of a run.
    pub(super) fn tags_of(&self, associations: &[TagAssociation]) -> Vec<Value> {
        let known = associations
            .iter()
            .filter_map(|tie| Some((tie, self.org.tags.get(&tie.tag_id)?)));
        known
            .map(|(tie, tag)| match self.quirks.tags {
                TagForm::Association => json!({
                    "id": tie.id,
                    "tag_id": tag.id,
                    "tag": {"id": tag.id, "title": tag.title, "color": tag.color},
                    "created_at": self.date(tie.created_at),
                }),
                TagForm::Title => json!({"id": tag.id, "title": tag.title, "color": tag.color}),
                TagForm::Name => json!({"id": tag.id, "name": tag.title, "color": tag.color}),
                TagForm::Id => json!(tag.id),
            })
            .collect()
    }

    /// `users` of a run.
    pub(super) fn users_of(&self, ids: &[i64]) -> Vec<Value> {
        ids.iter()
            .map(|id| match self.quirks.people {
                PeopleForm::Scalars => self.user_id(*id),
                PeopleForm::Objects => json!({"user_id": self.user_id(*id), "full_name": self.full_name(*id)}),
            })
            .collect()
    }

    /// `groups` of a run.
    pub(super) fn groups_of(&self, ids: &[String]) -> Vec<Value> {
        ids.iter()
            .map(|id| match self.quirks.people {
                PeopleForm::Scalars => json!(id),
                PeopleForm::Objects => {
                    json!({"group_id": id, "name": self.org.groups.get(id).map(|group| group.name.clone())})
                }
            })
            .collect()
    }

    /// `owners` of a task.
    pub(super) fn owners(&self, owners: &Assignees) -> Value {
        let users: Vec<Value> = owners
            .users
            .iter()
            .map(|id| match self.quirks.people {
                PeopleForm::Scalars => self.user_id(*id),
                PeopleForm::Objects => {
                    json!({"id": self.user_id(*id), "full_name": self.full_name(*id), "profile_pic": null})
                }
            })
            .collect();
        json!({"users": users, "guests": owners.guests, "groups": owners.groups, "taskUrls": []})
    }

    /// `{id, email, full_name}` of whoever did something, the form of webhooks; a guest has only an address.
    pub(super) fn actor(&self, actor: &Actor) -> Value {
        match actor {
            Actor::Guest(email) => json!({"email": email}),
            Actor::User(id) => self.person(*id),
        }
    }

    /// `{id, email, full_name}` of a member, the form of webhooks.
    pub(super) fn person(&self, id: i64) -> Value {
        let user = self.org.user(id);
        json!({
            "id": id.to_string(),
            "email": user.map(|user| user.email.clone()),
            "full_name": user.map(User::full_name),
        })
    }

    /// `guest-links` of a webhook: a bearer link for each of these guests.
    pub(super) fn guest_links<'a>(&self, emails: impl Iterator<Item = &'a String>) -> Object {
        let guests = emails.filter_map(|email| self.org.guests.get(email));
        guests
            .map(|guest| (guest.email.clone(), json!({"link_for_guest": guest.link(&self.org.id)})))
            .collect()
    }

    fn full_name(&self, id: i64) -> Option<String> {
        self.org.user(id).map(User::full_name)
    }
}
