//! What happens to runs without a person (API reference, sections k.2 and k.6). No webhook tells of it.

use std::sync::Arc;

use super::{Actor, TaskStatus, World, WorldError};

/// The user as whom the vendor's own jobs work.
const BOT: i64 = 1;

impl World {
    /// Completes every open task of a run, as the job for overdue tasks does, and with the last one the run.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn complete_overdue(&mut self, run: &str) -> Result<(), WorldError> {
        self.change_run(run, |run, _, at| {
            for task in run.tasks.iter_mut().filter(|task| !task.status.is_settled()) {
                let task = Arc::make_mut(task);
                task.status = TaskStatus::Completed;
                task.completed_at = Some(at);
                task.completer = Some(Actor::User(BOT));
                task.last_updated = at;
            }
            run.completed_at.get_or_insert(at);
            Ok(())
        })
    }

    /// Archives every completed run, as the job for old ones does.
    ///
    /// # Errors
    /// When the organization is unknown.
    pub fn archive_completed(&mut self, org: &str) -> Result<(), WorldError> {
        let runs = self.organization_mut(org)?.runs.values();
        let done: Vec<String> = runs
            .map(super::run::RunHistory::current)
            .filter(|run| run.completed_at.is_some() && run.archived_at.is_none())
            .map(|run| run.id.clone())
            .collect();
        done.iter().try_for_each(|run| self.archive(run))
    }

    /// Deletes an archived run for good, as an admin may.
    ///
    /// # Errors
    /// When the run is unknown, or is not archived.
    pub fn delete_archived(&mut self, run: &str) -> Result<(), WorldError> {
        if self.run(run)?.archived_at.is_none() {
            return Err(WorldError::invalid("run", "only an archived process can be deleted"));
        }
        self.delete(run)
    }
}
