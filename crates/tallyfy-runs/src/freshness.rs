//! Whether a fetched run is as new as what was announced, and as what was known before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use tallyfy_model::{Announced, ApiTime, Field, Run, Task, TaskId};

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

/// How a run is older than a webhook announced it, or `None` if it is not, as far as that can be told. The debt of a single
/// announcement; see [`Owed`].
pub fn behind(run: &Run, announced: &Announced) -> Option<Behind> {
    Owed::by(announced).unpaid(run)
}

/// The newest state of a run that was announced, and that no fetched state has shown yet.
///
/// Reads may be answered by a replica that lags behind (API reference, section e.3), so what a webhook announces is owed.
/// Each announcement [raises](Self::raise) the debt, in any order, and only a fetched state that shows what is owed
/// [pays](Self::pay) it. Times that cannot be read are not compared, and two times are compared as exactly as the coarser
/// of them is written ([`ApiTime::is_before`]).
///
/// A run that was updated after the announced time has moved on: a task that is open there again was reopened. Equal
/// times prove nothing, as the update may be another one of the same second.
///
/// ```
/// use tallyfy_model::{Run, Webhook};
/// use tallyfy_runs::Owed;
///
/// let task = br#"{"this_task":{"id":"t1","completed_at":"2026-01-31T09:00:00Z"},"process":{"id":"r1"}}"#;
/// let mut owed = Owed::default();
/// owed.raise(&Webhook::parse(task)?.announced);
///
/// let run = |status: &str| format!(r#"{{"id":"r1","tasks":[{{"id":"t1","status":"{status}"}}]}}"#);
/// owed.pay(&Run::from_json(&run("active"))?);
/// assert!(!owed.is_paid());
/// owed.pay(&Run::from_json(&run("completed"))?);
/// assert!(owed.is_paid());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<ApiTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<Since>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archiving: Option<Since>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<TaskId, Since>,
}

/// What is known of when something happened that is owed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Since {
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<ApiTime>,
    /// A run that was updated after this may have undone it.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_after: Option<ApiTime>,
}

impl Owed {
    /// What one announcement owes.
    pub fn by(announced: &Announced) -> Self {
        let mut owed = Self::default();
        owed.raise(announced);
        owed
    }

    /// Adds what another announcement owes.
    pub fn raise(&mut self, announced: &Announced) {
        let updated = announced.run_last_updated.as_ref();
        raise_time(&mut self.last_updated, updated);
        let of_run = |at: Option<&ApiTime>| Since::new(at, updated);
        if announced.run_completed_at.is_some() || announced.run_is_complete {
            raise_since(&mut self.completion, &of_run(announced.run_completed_at.as_ref()));
        }
        if announced.run_archived_at.is_some() {
            raise_since(&mut self.archiving, &of_run(announced.run_archived_at.as_ref()));
        }
        // A task that was not completed may be hidden from the list.
        if let Some(task) = &announced.task
            && (announced.task_completed_at.is_some() || announced.task_is_complete)
        {
            let since = of_run(announced.task_completed_at.as_ref());
            self.tasks.entry(task.clone()).or_default().raise(&since);
        }
    }

    /// Adds what is owed elsewhere.
    pub fn merge(&mut self, other: &Self) {
        raise_time(&mut self.last_updated, other.last_updated.as_ref());
        for (known, more) in [
            (&mut self.completion, &other.completion),
            (&mut self.archiving, &other.archiving),
        ] {
            if let Some(more) = more {
                raise_since(known, more);
            }
        }
        for (task, since) in &other.tasks {
            self.tasks.entry(task.clone()).or_default().raise(since);
        }
    }

    /// Takes off what a fetched state shows.
    pub fn pay(&mut self, run: &Run) {
        if self
            .last_updated
            .as_ref()
            .is_some_and(|owed| !is_updated_before(run, owed))
        {
            self.last_updated = None;
        }
        if self
            .completion
            .as_ref()
            .is_some_and(|since| since.shows_completion(run))
        {
            self.completion = None;
        }
        if self.archiving.as_ref().is_some_and(|since| since.shows_archiving(run)) {
            self.archiving = None;
        }
        self.tasks.retain(|task, since| since.lacks_task(run, task).is_some());
    }

    /// Takes off what a state that was updated at the very time of an announcement does not show: it may have been undone
    /// within that moment. This is for an answer that has stood for a while.
    pub fn forgive(&mut self, run: &Run) {
        self.pay(run);
        let is_undone = |since: &Since| since.is_of_the_moment(run);
        self.completion.take_if(|since| is_undone(since));
        self.archiving.take_if(|since| is_undone(since));
        self.tasks.retain(|_, since| !is_undone(since));
    }

    /// Whether nothing is owed.
    pub fn is_paid(&self) -> bool {
        *self == Self::default()
    }

    /// The first of what is owed that a fetched state does not show.
    pub fn unpaid(&self, run: &Run) -> Option<Behind> {
        if let (Some(owed), Some(fetched)) = (&self.last_updated, run.last_updated.get())
            && fetched.is_before(owed)
        {
            return Some(Behind::LastUpdated {
                announced: owed.clone(),
                fetched: fetched.clone(),
            });
        }
        if self
            .completion
            .as_ref()
            .is_some_and(|since| !since.shows_completion(run))
        {
            return Some(Behind::NotComplete);
        }
        if self.archiving.as_ref().is_some_and(|since| !since.shows_archiving(run)) {
            return Some(Behind::NotArchived);
        }
        self.tasks.iter().find_map(|(task, since)| since.lacks_task(run, task))
    }
}

impl Since {
    fn new(at: Option<&ApiTime>, updated: Option<&ApiTime>) -> Self {
        let readable = |time: Option<&ApiTime>| time.filter(|time| time.timestamp().is_some()).cloned();
        let at = readable(at);
        let undone_after = at.clone().or_else(|| readable(updated));
        Self { at, undone_after }
    }

    fn raise(&mut self, other: &Self) {
        raise_time(&mut self.at, other.at.as_ref());
        raise_time(&mut self.undone_after, other.undone_after.as_ref());
    }

    /// Whether a run has been updated since, so that what it does not show was undone.
    fn is_past(&self, run: &Run) -> bool {
        let updated = run.last_updated.get();
        self.undone_after
            .as_ref()
            .is_some_and(|since| updated.is_some_and(|updated| since.is_before(updated)))
    }

    /// Whether a run was updated at that moment, so that it may have been undone within it.
    fn is_of_the_moment(&self, run: &Run) -> bool {
        let updated = run.last_updated.get();
        self.undone_after
            .as_ref()
            .is_some_and(|since| updated.is_some_and(|updated| since.may_equal(updated)))
    }

    /// Whether a time of completion is the one that is owed, or a later one.
    fn is_reached(&self, time: &Field<ApiTime>) -> bool {
        let (Some(at), Some(time)) = (&self.at, time.as_time()) else {
            return true;
        };
        !time.is_before(at)
    }

    fn shows_completion(&self, run: &Run) -> bool {
        (run.is_complete() && self.is_reached(&run.completed_at)) || self.is_past(run)
    }

    fn shows_archiving(&self, run: &Run) -> bool {
        (run.is_archived() && self.is_reached(&run.archived_at)) || self.is_past(run)
    }

    fn lacks_task(&self, run: &Run, id: &TaskId) -> Option<Behind> {
        // Only a list that was asked for and understood says that a task is not there.
        if matches!(run.tasks, Field::Absent | Field::Unexpected(_)) || self.is_past(run) {
            return None;
        }
        let Some(task) = run.tasks.iter().find(|task| task.id.get() == Some(id)) else {
            return Some(Behind::TaskMissing(id.clone()));
        };
        let is_current = task.is_complete() && self.is_reached(&task.completed_at);
        (!is_current).then(|| Behind::TaskNotComplete(id.clone()))
    }
}

fn is_updated_before(run: &Run, time: &ApiTime) -> bool {
    run.last_updated.get().is_some_and(|updated| updated.is_before(time))
}

/// Keeps the later of two times; one that cannot be read is not kept.
fn raise_time(known: &mut Option<ApiTime>, time: Option<&ApiTime>) {
    let Some(time) = time.filter(|time| time.timestamp().is_some()) else {
        return;
    };
    // By their text too, so that the order in which they come makes no difference.
    let rank = |time: &ApiTime| (time.timestamp(), time.as_str().to_owned());
    if known.as_ref().is_none_or(|known| rank(known) < rank(time)) {
        *known = Some(time.clone());
    }
}

fn raise_since(known: &mut Option<Since>, since: &Since) {
    known.get_or_insert_default().raise(since);
}

/// How a fetched run is older than the last known state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Older {
    /// Its `last_updated` is earlier.
    LastUpdated {
        /// As known.
        known: ApiTime,
        /// As fetched.
        fetched: ApiTime,
    },
    /// The run was complete, is not, and was not updated since.
    LacksCompletion,
    /// The run was archived, is not, and was not updated since.
    LacksArchiving,
    /// A task was complete, is not, and the run was not updated since.
    LacksTaskCompletion(TaskId),
}

impl fmt::Display for Older {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastUpdated { known, fetched } => {
                write!(formatter, "last updated {fetched:?}, known from {known:?}")
            }
            Self::LacksCompletion => formatter.write_str("not complete, but known to be"),
            Self::LacksArchiving => formatter.write_str("not archived, but known to be"),
            Self::LacksTaskCompletion(task) => write!(formatter, "task {task} not complete, but known to be"),
        }
    }
}

/// How a fetched run is older than the last known state of it, or `None` if it is not, as far as that can be told.
///
/// By `last_updated` ([`ApiTime::is_before_in_field`], as both are answers of the same request); where that is the same, as
/// exactly as it is written, by what the fetched run lacks. A person may really have reopened something within that second:
/// an answer that stands for a while is to be believed.
pub fn older_than(fetched: &Run, known: &Run) -> Option<Older> {
    if let (Some(before), Some(now)) = (known.last_updated.get(), fetched.last_updated.get()) {
        if now.is_before_in_field(before) {
            return Some(Older::LastUpdated {
                known: before.clone(),
                fetched: now.clone(),
            });
        }
        if before.is_before_in_field(now) {
            return None;
        }
    }
    if known.is_complete() && !fetched.is_complete() {
        return Some(Older::LacksCompletion);
    }
    if known.is_archived() && !fetched.is_archived() {
        return Some(Older::LacksArchiving);
    }
    let is_open = |task: &&Task| !task.is_complete();
    let open: BTreeSet<&TaskId> = fetched
        .tasks
        .iter()
        .filter(is_open)
        .filter_map(|task| task.id.get())
        .collect();
    let complete = known.tasks.iter().filter(|task| task.is_complete());
    complete
        .filter_map(|task| task.id.get())
        .find(|id| open.contains(id))
        .map(|id| Older::LacksTaskCompletion(id.clone()))
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
    fn a_fraction_of_zeros_is_a_moment_like_others_between_two_answers() {
        let run = |updated: &str| Run::from_json(&format!(r#"{{"id":"r1","last_updated":"{updated}"}}"#)).unwrap();
        let at = |text: &str| run(&format!("2026-01-31T09:00:{text}"));
        for (before, after) in [
            ("05.000Z", "05.001Z"),
            ("05.000000Z", "05.000001Z"),
            ("05.100200Z", "05.100201Z"),
            ("05Z", "06Z"),
            ("05.999Z", "06Z"),
        ] {
            assert!(older_than(&at(before), &at(after)).is_some(), "{before} {after}");
            assert_eq!(older_than(&at(after), &at(before)), None, "{after} {before}");
        }
        for (one, other) in [("05Z", "05.001Z"), ("05.000Z", "05.000001Z"), ("05.1Z", "05.100Z")] {
            assert_eq!(older_than(&at(one), &at(other)), None, "{one} {other}");
        }
        let localized = run("31/01/2026 09:00 AM UTC");
        assert_eq!(older_than(&localized, &at("05Z")), None);
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
