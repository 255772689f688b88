//! Listing runs.

use tallyfy_model::{ChecklistId, FolderId, GroupId, Json, Run, RunStatus, RunType, TagId, TaskStatus, UserId};
use tallyfy_transport::{Request, TransportError};

use crate::client::Client;
use crate::include::Include;
use crate::pages::Pages;
use crate::query::{all, flag, list, query, text};

/// Which runs are listed, in which order, and what is fetched with each (API reference, section e.1). The default is all
/// runs that are not archived, as they are, newest first.
///
/// ```
/// use tallyfy_model::RunStatus;
/// use tallyfy_runs::{Include, ListRunsOptions, RunOrder};
///
/// let options = ListRunsOptions::default()
///     .with_status(RunStatus::Active)
///     .with_includes([Include::Tasks])
///     .with_order(RunOrder::OldestFirst);
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ListRunsOptions {
    /// A text to search for, in names.
    pub search: Option<String>,
    /// How they stand. `problem` finds those with an open issue too.
    pub status: Option<RunStatus>,
    /// Members of whom one owns the run or is assigned to a task of it; not: who launched it.
    pub owners: Vec<UserId>,
    /// Groups, likewise.
    pub groups: Vec<GroupId>,
    /// The template.
    pub checklist: Option<ChecklistId>,
    /// The folder.
    pub folder: Option<FolderId>,
    /// The tag.
    pub tag: Option<TagId>,
    /// Several tags.
    pub tags: Vec<TagId>,
    /// Only those without any tag.
    pub untagged: bool,
    /// Only those that the caller starred.
    pub starred: bool,
    /// What the template makes of its runs.
    pub run_type: Option<RunType>,
    /// How their tasks stand: `in-progress`, `completed`, or `all` as another text.
    pub task_status: Option<TaskStatus>,
    /// Whether archived runs are among them.
    pub archived: Archived,
    /// In which order.
    pub order: Option<RunOrder>,
    /// What is fetched with each.
    pub includes: Vec<Include>,
    /// Whether the values of form fields are fetched.
    pub form_fields_values: bool,
    /// The whole list in one answer. For long lists, that may be too large or take too long.
    pub unpaged: bool,
    /// Parameters that are not among these, as they go into the query.
    pub other: Vec<(String, String)>,
}

/// Whether archived runs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Archived {
    /// They are left out.
    #[default]
    No,
    /// They are listed with the others.
    Also,
    /// Only they are listed.
    Only,
}

/// The orders that the server is known to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunOrder {
    /// By the time of creation, the latest first.
    NewestFirst,
    /// By the time of creation, the earliest first.
    OldestFirst,
    /// By name.
    Name,
    /// By name, backwards.
    NameDescending,
}

impl RunOrder {
    fn as_str(self) -> &'static str {
        match self {
            Self::NewestFirst => "-created_at",
            Self::OldestFirst => "created_at",
            Self::Name => "name",
            Self::NameDescending => "-name",
        }
    }
}

impl ListRunsOptions {
    /// Searches for a text.
    #[must_use]
    pub fn with_search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// Lists those that stand so.
    #[must_use]
    pub fn with_status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Lists those that one of these members owns or has a task of.
    #[must_use]
    pub fn with_owners(mut self, owners: impl IntoIterator<Item = impl Into<UserId>>) -> Self {
        self.owners = all(owners);
        self
    }

    /// Lists those that one of these groups owns or has a task of.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<GroupId>>) -> Self {
        self.groups = all(groups);
        self
    }

    /// Lists those of a template.
    #[must_use]
    pub fn with_checklist(mut self, checklist: impl Into<ChecklistId>) -> Self {
        self.checklist = Some(checklist.into());
        self
    }

    /// Lists those in a folder.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<FolderId>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lists those with a tag.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<TagId>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Lists those with these tags.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<TagId>>) -> Self {
        self.tags = all(tags);
        self
    }

    /// Lists those without any tag, or all.
    #[must_use]
    pub fn with_untagged(mut self, untagged: bool) -> Self {
        self.untagged = untagged;
        self
    }

    /// Lists those that the caller starred, or all.
    #[must_use]
    pub fn with_starred(mut self, starred: bool) -> Self {
        self.starred = starred;
        self
    }

    /// Lists those of a type.
    #[must_use]
    pub fn with_run_type(mut self, run_type: RunType) -> Self {
        self.run_type = Some(run_type);
        self
    }

    /// Lists those whose tasks stand so.
    #[must_use]
    pub fn with_task_status(mut self, status: TaskStatus) -> Self {
        self.task_status = Some(status);
        self
    }

    /// Lists archived runs too, or only them.
    #[must_use]
    pub fn with_archived(mut self, archived: Archived) -> Self {
        self.archived = archived;
        self
    }

    /// Lists them in this order.
    #[must_use]
    pub fn with_order(mut self, order: RunOrder) -> Self {
        self.order = Some(order);
        self
    }

    /// Fetches these with each run.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = Include>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }

    /// Fetches the values of form fields, or leaves them out.
    #[must_use]
    pub fn with_form_fields_values(mut self, values: bool) -> Self {
        self.form_fields_values = values;
        self
    }

    /// Asks for the whole list in one answer, or for pages.
    #[must_use]
    pub fn with_unpaged(mut self, unpaged: bool) -> Self {
        self.unpaged = unpaged;
        self
    }

    /// Adds a parameter that this crate does not know. The server ignores those that it does not know either.
    #[must_use]
    pub fn with_other(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((name.into(), value.into()));
        self
    }

    fn query(&self, request: Request) -> Result<Request, TransportError> {
        let archived = match self.archived {
            Archived::No => None,
            Archived::Also => Some("true"),
            Archived::Only => Some("only"),
        };
        let parameters = [
            ("q", self.search.clone()),
            ("status", text(self.status.as_ref())),
            ("owners", list(&self.owners)),
            ("groups", list(&self.groups)),
            ("checklist_id", text(self.checklist.as_ref())),
            ("folder", text(self.folder.as_ref())),
            ("tag", text(self.tag.as_ref())),
            ("tag_ids", list(&self.tags)),
            ("untagged", flag(self.untagged)),
            ("starred", flag(self.starred)),
            ("type", text(self.run_type.as_ref())),
            ("task_status", text(self.task_status.as_ref())),
            ("archived", text(archived)),
            ("sort", text(self.order.map(RunOrder::as_str))),
            ("form_fields_values", flag(self.form_fields_values)),
        ];
        query(request, parameters, &self.other, &self.includes)
    }
}

impl Client {
    /// Lists runs: `GET /organizations/{org}/runs`.
    ///
    /// There is no way to list what changed since a time; what the API does not know it ignores (API reference, section
    /// e.5).
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt as _;
    /// use tallyfy_runs::{Client, Error, ListRunsOptions};
    ///
    /// # async fn names(client: Client) -> Result<(), Error> {
    /// let mut runs = client.list_runs(&ListRunsOptions::default()).into_stream();
    /// while let Some(run) = runs.try_next().await? {
    ///     println!("{} {}", run.id(), run.name.as_str().unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_runs(&self, options: &ListRunsOptions) -> Pages<Run> {
        let request = self.get(["runs"]).and_then(|request| options.query(request));
        let pages = Pages::new(self, request, read);
        if options.unpaged { pages.unpaged() } else { pages }
    }
}

fn read(json: Json) -> Result<(String, Run), Json> {
    match Run::from_json(json.raw()) {
        Ok(run) => Ok((run.id().to_string(), run)),
        Err(_) => Err(json),
    }
}
