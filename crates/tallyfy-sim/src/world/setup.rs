//! What runs need before there are any: people, tags, templates, watchers.

use std::sync::Arc;

use super::{Group, Guest, Organization, Tag, TemplateDraft, User, Watcher, World, WorldError};

impl World {
    /// Founds an organization. One with the same id stays as it is.
    pub fn add_organization(&mut self, id: &str, name: &str) {
        let now = self.now();
        self.organizations
            .entry(id.to_owned())
            .or_insert_with(|| Organization::new(id, name, now));
    }

    /// Adds a member or replaces the one with the same id.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_user(&mut self, org: &str, id: i64, name: (&str, &str), role: &str) -> Result<(), WorldError> {
        let created_at = self.now();
        let (first_name, last_name) = (name.0.to_owned(), name.1.to_owned());
        let email = format!("{}@{org}.example", first_name.to_lowercase());
        let user = User {
            id,
            email,
            first_name,
            last_name,
            role: role.to_owned(),
            created_at,
        };
        self.organization_mut(org)?.users.insert(id, user);
        Ok(())
    }

    /// Invites a guest.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_guest(&mut self, org: &str, email: &str, name: (&str, &str)) -> Result<(), WorldError> {
        let created_at = self.now();
        let code = format!("{}{}", super::GUEST_LINK_MARK, self.ids.hex());
        let guest = Guest {
            email: email.to_owned(),
            first_name: name.0.to_owned(),
            last_name: name.1.to_owned(),
            code,
            created_at,
        };
        self.organization_mut(org)?.guests.insert(email.to_owned(), guest);
        Ok(())
    }

    /// Makes a group and returns its id.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_group(&mut self, org: &str, name: &str, members: &[i64]) -> Result<String, WorldError> {
        let id = self.ids.hex();
        let group = Group {
            id: id.clone(),
            name: name.to_owned(),
            members: members.to_vec(),
            guests: Vec::new(),
        };
        self.organization_mut(org)?.groups.insert(id.clone(), group);
        Ok(id)
    }

    /// Makes a tag and returns its id.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_tag(&mut self, org: &str, title: &str, color: &str) -> Result<String, WorldError> {
        let created_at = self.now();
        let id = self.ids.hex();
        let tag = Tag {
            id: id.clone(),
            title: title.to_owned(),
            color: color.to_owned(),
            created_at,
        };
        self.organization_mut(org)?.tags.insert(id.clone(), tag);
        Ok(id)
    }

    /// Makes a template and returns its id.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_template(&mut self, org: &str, draft: &TemplateDraft) -> Result<String, WorldError> {
        let now = self.now();
        let owner = self
            .organization(org)
            .and_then(|org| org.users.keys().next().copied())
            .unwrap_or_default();
        let template = draft.build(&mut self.ids, owner, now);
        let id = template.id.clone();
        self.organization_mut(org)?
            .templates
            .insert(id.clone(), Arc::new(template));
        Ok(id)
    }

    /// Sets or removes the webhook of a template.
    ///
    /// # Errors
    /// When the template is unknown.
    pub fn set_template_webhook(&mut self, template: &str, url: Option<&str>) -> Result<(), WorldError> {
        let now = self.now();
        let found = self
            .organizations
            .values_mut()
            .find_map(|org| org.templates.get_mut(template));
        let template = Arc::make_mut(found.ok_or_else(|| WorldError::not_found("template", template))?);
        template.webhook = url.map(str::to_owned);
        template.last_updated = now;
        Ok(())
    }

    /// Registers a URL for the events of an organization and returns the watcher's id.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn add_watcher(&mut self, org: &str, url: &str) -> Result<u64, WorldError> {
        let id = self.ids.number();
        self.organization_mut(org)?.watchers.push(Watcher {
            id,
            url: url.to_owned(),
        });
        Ok(id)
    }

    /// Has the watchers of an organization be told, or registered and never told.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn set_watchers_fire(&mut self, org: &str, fire: bool) -> Result<(), WorldError> {
        self.organization_mut(org)?.watchers_fire = fire;
        Ok(())
    }

    /// Removes a watcher.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn remove_watcher(&mut self, org: &str, id: u64) -> Result<(), WorldError> {
        let watchers = &mut self.organization_mut(org)?.watchers;
        let before = watchers.len();
        watchers.retain(|watcher| watcher.id != id);
        if watchers.len() == before {
            Err(WorldError::not_found("watcher", &id.to_string()))
        } else {
            Ok(())
        }
    }
}
