//! Whether a fetched run is as new as what was announced.

use std::fmt;

use tallyfy_model::{Announced, ApiTime, Field, Run, TaskId};

/// How a fetched run is older than its announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behind {
    /// Its `last_updated` is earlier.
    LastUpdated {
        /// As announced.
        announced: ApiTime,
        /// As fetched.
        fetched: ApiTime,
    },
    /// It was announced as complete, and is not.
    NotComplete,
    /// It was announced as archived, and is not.
    NotArchived,
    /// It was asked for with its tasks, and the task is not among them.
    TaskMissing(TaskId),
    /// The task was announced as complete, and is not, or was completed earlier than announced.
    TaskNotComplete(TaskId),
}

impl fmt::Display for Behind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastUpdated { announced, fetched } => {
                write!(formatter, "last updated {fetched:?}, announced {announced:?}")
            }
            Self::NotComplete => formatter.write_str("not complete, but announced so"),
            Self::NotArchived => formatter.write_str("not archived, but announced so"),
            Self::TaskMissing(task) => write!(formatter, "without task {task}"),
            Self::TaskNotComplete(task) => write!(formatter, "task {task} not complete, but announced so"),
        }
    }
}

/// How a run is older than a webhook announced it, or `None` if it is not, as far as that can be told.
///
/// Reads may be answered by a replica that lags behind (API reference, section e.3). Times that cannot be read are not
/// compared, and two times are compared as exactly as the coarser of them is written ([`ApiTime::is_before`]).
///
/// A run that was updated after the announced time has moved on: a task that is open there again was reopened. Equal
/// times prove nothing, as the update may be another one of the same second.
pub fn behind(run: &Run, announced: &Announced) -> Option<Behind> {
    let last_updated = run.last_updated.get();
    if let (Some(wanted), Some(fetched)) = (&announced.run_last_updated, last_updated)
        && fetched.is_before(wanted)
    {
        return Some(Behind::LastUpdated {
            announced: wanted.clone(),
            fetched: fetched.clone(),
        });
    }
    let has_moved_on_since = |time: &ApiTime| last_updated.is_some_and(|fetched| time.is_before(fetched));
    if let Some(at) = &announced.run_completed_at
        && !run.is_complete()
        && !has_moved_on_since(at)
    {
        return Some(Behind::NotComplete);
    }
    if let Some(at) = &announced.run_archived_at
        && !run.is_archived()
        && !has_moved_on_since(at)
    {
        return Some(Behind::NotArchived);
    }
    task_behind(run, announced, has_moved_on_since)
}

fn task_behind(run: &Run, announced: &Announced, has_moved_on_since: impl Fn(&ApiTime) -> bool) -> Option<Behind> {
    let id = announced.task.as_ref()?;
    // A task that was not completed may be hidden from the list.
    let at = announced.task_completed_at.as_ref()?;
    // Only a list that was asked for and understood says that a task is not there.
    if matches!(run.tasks, Field::Absent | Field::Unexpected(_)) || has_moved_on_since(at) {
        return None;
    }
    let Some(task) = run.tasks.iter().find(|task| task.id.get() == Some(id)) else {
        return Some(Behind::TaskMissing(id.clone()));
    };
    let current = match task.completed_at.as_time() {
        Some(completed) => !completed.is_before(at),
        None => task.is_complete(),
    };
    (!current).then(|| Behind::TaskNotComplete(id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-01-31T09:00:00Z";

    fn told(run: &str, announced: &str) -> Option<String> {
        let run = Run::from_json(&format!(r#"{{"id":"r1",{run}}}"#)).unwrap();
        behind(&run, &serde_json::from_str(announced).unwrap()).map(|behind| behind.to_string())
    }

    #[test]
    fn a_run_that_was_updated_before_it_was_announced_is_behind() {
        let announced = format!(r#"{{"run_last_updated":"{AT}"}}"#);
        assert!(told(r#""last_updated":"2026-01-31T08:59:59.999Z""#, &announced).is_some());
        for current in [
            "2026-01-31T09:00:00Z",
            "2026-01-31 09:00:00",
            "2026-01-31T10:00:00.5Z",
            "2026-01-31",
            "soon",
        ] {
            assert_eq!(
                told(&format!(r#""last_updated":"{current}""#), &announced),
                None,
                "{current}"
            );
        }
        assert_eq!(told(r#""status":"active""#, &announced), None, "nothing to compare");
    }

    #[test]
    fn milliseconds_that_one_side_leaves_out_make_nothing_stale() {
        let announced = r#"{"run_last_updated":"2026-01-31T09:00:00.900Z"}"#;
        assert_eq!(told(r#""last_updated":"2026-01-31T09:00:00Z""#, announced), None);
    }

    #[test]
    fn microseconds_of_a_webhook_are_no_later_than_the_second_of_the_api() {
        let announced = r#"{"run_last_updated":"2026-01-31T09:00:05.123456Z","task":"t1",
                            "task_completed_at":"2026-01-31T09:00:05.123456Z"}"#;
        let current = r#""last_updated":"2026-01-31T09:00:05.000000Z",
                         "tasks":[{"id":"t1","completed_at":"2026-01-31T09:00:05.000000Z"}]"#;
        assert_eq!(told(current, announced), None);
        assert!(told(r#""last_updated":"2026-01-31T09:00:04.000000Z""#, announced).is_some());
    }

    #[test]
    fn milliseconds_count_where_both_sides_have_them() {
        let run = r#"{"run_last_updated":"2026-01-31T09:00:00.900Z"}"#;
        assert!(told(r#""last_updated":"2026-01-31T09:00:00.100Z""#, run).is_some());
        let task = r#"{"task":"t1","task_completed_at":"2026-01-31T09:00:00.900Z"}"#;
        let open = |updated: &str| format!(r#""last_updated":"{updated}","tasks":[{{"id":"t1","status":"active"}}]"#);
        assert!(told(&open("2026-01-31T09:00:00.100Z"), task).is_some());
        assert!(told(&open("2026-01-31T09:00:00Z"), task).is_some(), "the same second");
        assert_eq!(told(&open("2026-01-31T09:00:00.901Z"), task), None);
    }

    #[test]
    fn a_time_without_seconds_is_no_proof_within_its_minute() {
        let announced = r#"{"task":"t1","task_completed_at":"31/01/2026 09:00 AM UTC"}"#;
        let open = |updated: &str| format!(r#""last_updated":"{updated}","tasks":[{{"id":"t1","status":"active"}}]"#);
        assert!(told(&open("2026-01-31T09:00:20Z"), announced).is_some());
        assert_eq!(told(&open("2026-01-31T09:01:00Z"), announced), None);
    }

    #[test]
    fn a_task_that_was_announced_as_complete_has_to_be() {
        let announced = format!(r#"{{"task":"t1","task_completed_at":"{AT}"}}"#);
        for (tasks, expected) in [
            (r#"[]"#, Some("without task t1")),
            (r#"[{"id":"t2"}]"#, Some("without task t1")),
            (
                r#"[{"id":"t1","status":"active"}]"#,
                Some("task t1 not complete, but announced so"),
            ),
            (
                r#"[{"id":"t1","completed_at":"2026-01-30T09:00:00Z"}]"#,
                Some("task t1 not complete, but announced so"),
            ),
            (r#"[{"id":"t1","completed_at":"2026-01-31T09:00:00.000Z"}]"#, None),
            (r#"[{"id":"t1","status":"completed"}]"#, None),
            (r#"{"data":[{"id":"t1","status":"complete"}]}"#, None),
            (r#""odd""#, None),
        ] {
            assert_eq!(
                told(&format!(r#""tasks":{tasks}"#), &announced).as_deref(),
                expected,
                "{tasks}"
            );
        }
        assert_eq!(told(r#""name":"x""#, &announced), None, "tasks were not asked for");
        assert_eq!(
            told(r#""tasks":[]"#, r#"{"task":"t1"}"#),
            None,
            "it was not said to be complete"
        );
    }

    #[test]
    fn a_run_that_has_moved_on_is_not_behind() {
        let announced = format!(r#"{{"task":"t1","task_completed_at":"{AT}","run_completed_at":"{AT}"}}"#);
        let reopened = r#""last_updated":"2026-01-31T09:00:05Z","tasks":[{"id":"t1","status":"active"}]"#;
        assert_eq!(told(reopened, &announced), None);
    }

    #[test]
    fn completion_and_archiving_of_the_run_count_too() {
        let completed = format!(r#"{{"run_completed_at":"{AT}"}}"#);
        let archived = format!(r#"{{"run_archived_at":"{AT}"}}"#);
        assert!(told(r#""status":"active""#, &completed).is_some());
        assert_eq!(told(r#""status":"complete""#, &completed), None);
        assert!(told(r#""status":"active""#, &archived).is_some());
        assert_eq!(told(&format!(r#""archived_at":"{AT}""#), &archived), None);
    }
}
