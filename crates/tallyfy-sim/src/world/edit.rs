//! Everything but completing that changes a run and its tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Assignees, Happening, TagAssociation, Task, TaskStatus, Thread, World, WorldError};

impl World {
    /// Archives a run. Its status stays.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn archive(&mut self, run: &str) -> Result<(), WorldError> {
        self.change_run(run, |run, _, at| {
            run.archived_at = Some(at);
            Ok(())
        })
    }

    /// Brings an archived run back.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn reactivate(&mut self, run: &str) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            run.archived_at = None;
            Ok(())
        })
    }

    /// Deletes a run as if it had never been.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn delete(&mut self, run: &str) -> Result<(), WorldError> {
        let org = self.run(run)?.org.clone();
        self.organization_mut(&org)?.runs.remove(run);
        self.org_of_run.remove(run);
        self.run_of_task.retain(|_, owner| owner != run);
        Ok(())
    }

    /// Sets the members and groups who can see a run.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn share(&mut self, run: &str, users: &[i64], groups: &[String]) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            run.users = users.to_vec();
            run.groups = groups.to_vec();
            Ok(())
        })
    }

    /// Renames a run.
    ///
    /// # Errors
    /// When the run is unknown or the name is empty or too long.
    pub fn rename(&mut self, run: &str, name: &str) -> Result<(), WorldError> {
        if name.is_empty() || name.chars().count() > 550 {
            return Err(WorldError::invalid("name", "must have 1 to 550 characters"));
        }
        self.change_run(run, |run, _, _| {
            name.clone_into(&mut run.name);
            Ok(())
        })
    }

    /// Sets the summary of a run.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn summarize(&mut self, run: &str, summary: Option<&str>) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            run.summary = summary.map(str::to_owned);
            Ok(())
        })
    }

    /// Opens or resolves an issue of the run itself, which freezes its tasks.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn set_run_issue(&mut self, run: &str, open: bool) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            run.has_open_issue = open;
            Ok(())
        })
    }

    /// Sets a custom field of a run.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn set_custom_field(&mut self, run: &str, name: &str, value: Value) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            run.custom_fields.insert(name.to_owned(), value);
            Ok(())
        })
    }

    /// Tags a run.
    ///
    /// # Errors
    /// When the run or the tag is unknown.
    pub fn tag(&mut self, run: &str, tag: &str) -> Result<(), WorldError> {
        let org = self.run(run)?.org.clone();
        if self.organization(&org).is_none_or(|org| !org.tags.contains_key(tag)) {
            return Err(WorldError::not_found("tag", tag));
        }
        self.change_run(run, |run, ids, at| {
            if run.tags.iter().all(|association| association.tag_id != tag) {
                run.tags.push(TagAssociation {
                    id: ids.number(),
                    tag_id: tag.to_owned(),
                    created_at: at,
                });
            }
            Ok(())
        })
    }

    /// Takes a tag off a run.
    ///
    /// # Errors
    /// When the run is unknown or does not carry the tag.
    pub fn untag(&mut self, run: &str, tag: &str) -> Result<(), WorldError> {
        self.change_run(run, |run, _, _| {
            let before = run.tags.len();
            run.tags.retain(|association| association.tag_id != tag);
            if run.tags.len() == before {
                Err(WorldError::not_found("tag", tag))
            } else {
                Ok(())
            }
        })
    }

    /// Gives a task other owners.
    ///
    /// # Errors
    /// When the task is unknown.
    pub fn assign(&mut self, task: &str, owners: Assignees) -> Result<(), WorldError> {
        self.change_task(task, |task, _, _| {
            task.owners = owners;
            Ok(())
        })?;
        let run = self.task(task)?.run_id.clone();
        self.happenings.push(Happening::TaskAssigned {
            run,
            task: task.to_owned(),
        });
        Ok(())
    }

    /// Comments on a task and returns the comment's id.
    ///
    /// # Errors
    /// When the task is unknown or the comment has no text.
    pub fn comment(&mut self, task: &str, author: i64, content: &str) -> Result<u64, WorldError> {
        if content.trim().is_empty() {
            return Err(WorldError::invalid("content", "is required"));
        }
        let id = self.add_thread(task, author, content, "comment")?;
        let run = self.task(task)?.run_id.clone();
        self.happenings.push(Happening::CommentAdded {
            run,
            task: task.to_owned(),
        });
        Ok(id)
    }

    /// Reports an issue with a task and returns the issue's id. A completed task is reopened by it, and its run (API reference,
    /// section k.6).
    ///
    /// # Errors
    /// When the task is unknown.
    pub fn raise_issue(&mut self, task: &str, author: i64, content: &str) -> Result<u64, WorldError> {
        if self.task(task)?.status == TaskStatus::Completed {
            self.reopen(task)?;
        }
        let id = self.add_thread(task, author, content, "problem")?;
        let run = self.task(task)?.run_id.clone();
        self.happenings.push(Happening::IssueRaised {
            run,
            task: task.to_owned(),
        });
        Ok(id)
    }

    /// Resolves all open issues of a task and returns the id of the comment that does.
    ///
    /// # Errors
    /// When the task is unknown or has no open issue.
    pub fn resolve_issues(&mut self, task: &str, author: i64, content: &str) -> Result<u64, WorldError> {
        if !self.task(task)?.has_problem() {
            return Err(WorldError::invalid("task", "the task has no open issue"));
        }
        let id = self.add_thread(task, author, content, "resolve")?;
        self.change_task(task, |task, _, _| {
            for thread in task.threads.iter_mut().filter(|thread| thread.is_open_issue()) {
                thread.resolve_id = Some(id);
            }
            Ok(())
        })?;
        let run = self.task(task)?.run_id.clone();
        self.happenings.push(Happening::IssueResolved {
            run,
            task: task.to_owned(),
        });
        Ok(id)
    }

    fn add_thread(&mut self, task: &str, author: i64, content: &str, label: &str) -> Result<u64, WorldError> {
        self.change_task(task, |task, ids, at| {
            let id = ids.number();
            task.threads.push(Thread {
                id,
                content: content.to_owned(),
                label: label.to_owned(),
                author,
                created_at: at,
                resolve_id: None,
            });
            Ok(id)
        })
    }

    /// Adds a one-off task to a run and returns its id.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn add_task(
        &mut self,
        run_id: &str,
        title: &str,
        owners: Assignees,
        webhook: Option<&str>,
    ) -> Result<String, WorldError> {
        let org = self.run(run_id)?.org.clone();
        let increment_id = self.organization_mut(&org)?.next_increment();
        let id = self.change_run(run_id, |run, ids, at| {
            let id = ids.hex();
            run.completed_at = None;
            run.tasks.push(Arc::new(Task {
                id: id.clone(),
                increment_id,
                run_id: run_id.to_owned(),
                step_id: None,
                title: title.to_owned(),
                alias: None,
                summary: String::new(),
                task_type: "task".to_owned(),
                approved: None,
                status: TaskStatus::Active,
                position: run.tasks.len() + 1,
                owners,
                captures: Arc::default(),
                taskdata: BTreeMap::new(),
                webhook: webhook.map(str::to_owned),
                threads: Vec::new(),
                created_at: at,
                last_updated: at,
                started_at: at,
                deadline: at.checked_add(Duration::from_secs(86_400)).unwrap_or(at),
                completed_at: None,
                completer: None,
            }));
            Ok(id)
        })?;
        self.run_of_task.insert(id.clone(), run_id.to_owned());
        Ok(id)
    }
}
