//! An organization and the people in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{RunHistory, Template};

/// Part of every guest link, so that a test can search logs and pages for leaked links.
pub const GUEST_LINK_MARK: &str = "simguest-";

/// A member. Members have numeric ids.
#[derive(Debug, Clone)]
pub struct User {
    /// Numeric id.
    pub id: i64,
    /// Address, also the login.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// `admin`, `standard` or `light`.
    pub role: String,
    /// When the member joined.
    pub created_at: Timestamp,
}

impl User {
    /// First and last name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A guest. Guests are known by their address and get in by a link.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Address.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The secret part of the guest's link.
    pub code: String,
    /// When the guest was invited.
    pub created_at: Timestamp,
}

impl Guest {
    /// The link that lets its bearer in without a login.
    #[must_use]
    pub fn link(&self, org: &str) -> String {
        format!("https://go.tallyfy.test/{org}/guests/{}", self.code)
    }
}

/// A group of members and guests.
#[derive(Debug, Clone)]
pub struct Group {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Members by id.
    pub members: Vec<i64>,
    /// Guests by address.
    pub guests: Vec<String>,
}

/// A tag that runs can carry.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// What people see.
    pub title: String,
    /// `#rrggbb`.
    pub color: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A URL that gets the events of the whole organization.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// Numeric id.
    pub id: u64,
    /// Where events go.
    pub url: String,
}

/// One customer of Tallyfy and everything that belongs to it.
#[derive(Debug)]
pub struct Organization {
    /// Id, as it stands in paths and in `X-Tallyfy-orgID`.
    pub id: String,
    /// Name.
    pub name: String,
    /// When it was founded.
    pub created_at: Timestamp,
    /// Members by id.
    pub users: BTreeMap<i64, User>,
    /// Guests by address.
    pub guests: BTreeMap<String, Guest>,
    /// Groups by id.
    pub groups: BTreeMap<String, Group>,
    /// Tags by id.
    pub tags: BTreeMap<String, Tag>,
    /// Templates by id.
    pub templates: BTreeMap<String, Arc<Template>>,
    /// Runs by id, with their earlier versions.
    pub runs: BTreeMap<String, RunHistory>,
    /// Who is told about everything.
    pub watchers: Vec<Watcher>,
    /// Whether they are told; the vendor's pages say that it may not be so everywhere yet.
    pub watchers_fire: bool,
    pub(crate) last_increment: u64,
}

impl Organization {
    pub(crate) fn new(id: &str, name: &str, created_at: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            created_at,
            users: BTreeMap::new(),
            guests: BTreeMap::new(),
            groups: BTreeMap::new(),
            tags: BTreeMap::new(),
            templates: BTreeMap::new(),
            runs: BTreeMap::new(),
            watchers: Vec::new(),
            watchers_fire: true,
            last_increment: 5000,
        }
    }

    /// The next value of the counter that all runs and tasks of an organization share.
    pub(crate) fn next_increment(&mut self) -> u64 {
        self.last_increment += 1;
        self.last_increment
    }

    /// The member with this id.
    #[must_use]
    pub fn user(&self, id: i64) -> Option<&User> {
        self.users.get(&id)
    }
}
