//! The filters and sort orders of the run list, section e.1.

use std::sync::Arc;

use jiff::Timestamp;

use super::query::Query;
use crate::world::{Organization, Run, RunStatus};

/// Which runs a caller wants to see, and in which order.
#[derive(Debug)]
pub(super) struct RunFilter<'q> {
    query: &'q Query,
    now: Timestamp,
}

impl<'q> RunFilter<'q> {
    pub(super) fn read(query: &'q Query, now: Timestamp) -> Self {
        Self { query, now }
    }

    pub(super) fn lets_pass(&self, run: &Run, org: &Organization) -> bool {
        self.by_archive(run)
            && self.by_name(run)
            && self.by_status(run)
            && self.by_owners(run)
            && self.by_tags(run)
            && self.by_task_status(run)
            && self.is_one_of("checklist_id", &run.template.id)
            && self.is_one_of("blueprint_id", &run.template.id)
            && self.is_one_of("type", &run.template.kind)
            && self.by_groups(run, org)
            && (!self.query.flag("starred") || run.starred)
    }

    /// Newest first unless asked otherwise.
    pub(super) fn sort(&self, runs: &mut [&Arc<Run>]) {
        let order = self.query.any(["sort", "sort_by"]).unwrap_or("-created_at");
        let (field, descending) = order.strip_prefix('-').map_or((order, false), |field| (field, true));
        match field {
            "name" => runs.sort_by(|a, b| a.name.cmp(&b.name).then(a.increment_id.cmp(&b.increment_id))),
            // Other orders are not known to the server and ignored.
            _ => runs.sort_by_key(|run| (run.created_at, run.increment_id)),
        }
        if descending || !matches!(field, "name" | "created_at") {
            runs.reverse();
        }
    }

    fn by_archive(&self, run: &Run) -> bool {
        let asked = self.query.get("archived").or_else(|| {
            let by_status = self.query.list("status")?.contains(&"archived");
            by_status.then_some("only")
        });
        match asked {
            Some("only") => run.archived_at.is_some(),
            Some("true" | "True" | "1") => true,
            _ => run.archived_at.is_none(),
        }
    }

    fn by_name(&self, run: &Run) -> bool {
        self.query
            .get("q")
            .is_none_or(|q| run.name.to_lowercase().contains(&q.to_lowercase()))
    }

    fn by_status(&self, run: &Run) -> bool {
        let Some(wanted) = self.query.list("status") else {
            return true;
        };
        wanted.iter().any(|wanted| match *wanted {
            "active" => run.status() == RunStatus::Active,
            "complete" | "completed" => run.status() == RunStatus::Complete,
            // The filter for problems finds issues too.
            "problem" => matches!(run.status(), RunStatus::Problem | RunStatus::Issue),
            "issue" => run.status() == RunStatus::Issue,
            "delayed" => run.completed_at.is_none() && run.late_tasks(self.now) > 0,
            "starred" => run.starred,
            "archived" => run.archived_at.is_some(),
            _ => false,
        })
    }

    fn by_owners(&self, run: &Run) -> bool {
        let Some(wanted) = self.query.list("owners") else {
            return true;
        };
        let wanted: Vec<i64> = wanted.iter().filter_map(|id| id.parse().ok()).collect();
        let assigned = || run.tasks.iter().flat_map(|task| task.owners.users.iter());
        wanted.contains(&run.owner_id) || assigned().any(|id| wanted.contains(id))
    }

    fn by_tags(&self, run: &Run) -> bool {
        let wanted = self.query.list("tag").or_else(|| self.query.list("tag_ids"));
        if self.query.flag("untagged") && !run.tags.is_empty() {
            return false;
        }
        wanted.is_none_or(|wanted| run.tags.iter().any(|tie| wanted.contains(&tie.tag_id.as_str())))
    }

    fn by_groups(&self, run: &Run, org: &Organization) -> bool {
        let Some(wanted) = self.query.list("groups") else {
            return true;
        };
        let known = wanted.into_iter().filter(|group| org.groups.contains_key(*group));
        let assigned = |group: &str| {
            run.tasks
                .iter()
                .any(|task| task.owners.groups.iter().any(|id| id == group))
        };
        known
            .into_iter()
            .any(|group| run.groups.iter().any(|id| id == group) || assigned(group))
    }

    fn by_task_status(&self, run: &Run) -> bool {
        match self.query.get("task_status") {
            Some("completed") => run.is_done(),
            Some("in-progress") => !run.is_done(),
            _ => true,
        }
    }

    fn is_one_of(&self, name: &str, value: &str) -> bool {
        self.query.list(name).is_none_or(|wanted| wanted.contains(&value))
    }
}
