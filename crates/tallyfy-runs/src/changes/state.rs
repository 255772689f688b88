//! Differences in the state of the run itself: status, completion, name, owner, dates, progress.

use tallyfy_model::{ApiTime, Field, Progress, Run, RunStatus};

use super::change::{Change, FieldChange};
use super::fields;
use super::json::{Json, Members, same};

/// Dates that are reported as such.
pub(super) const DATES: [&str; 3] = ["created_at", "started_at", "due_date"];

/// Adds what is different in the state of the run.
pub(super) fn compare(
    before: &Run,
    after: &Run,
    old: &Members<'_>,
    new: &Members<'_>,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    // What the typed changes cannot tell, because the form is one that nobody foresaw, is told by where it is.
    let mut differs = |key: &str| {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        if fields::is_odd(key, a) || fields::is_odd(key, b) {
            fields::compare("", key, a, b, others);
            return false;
        }
        let value = |json: Option<Json<'_>>| json.is_some_and(|json| !json.is_no_value());
        (value(a) || value(b)) && !same(key, a, b)
    };
    if differs("status") {
        let text = |run: &Run| run.status.get().map(ToString::to_string);
        found.push(Change::Status {
            from: text(before),
            to: text(after),
        });
    }
    let otherwise = [differs("completed_at"), differs("archived_at")];
    turns(before, after, [old, new], otherwise, found);
    if differs("name") {
        let text = |run: &Run| run.name.as_str().map(str::to_owned);
        found.push(Change::Name {
            from: text(before),
            to: text(after),
        });
    }
    if differs("owner_id") {
        let text = |run: &Run| run.owner_id.get().map(ToString::to_string);
        found.push(Change::Owner {
            from: text(before),
            to: text(after),
        });
    }
    for field in DATES {
        if differs(field) {
            found.push(date(field, before, after));
        }
    }
    progress(before, after, old, new, found, others);
}

/// Completion and archiving, there and back; where neither turned, another time of theirs.
fn turns(
    before: &Run,
    after: &Run,
    [old, new]: [&Members<'_>; 2],
    [completed, archived]: [bool; 2],
    found: &mut Vec<Change>,
) {
    match (is_complete(before, old), is_complete(after, new)) {
        (false, true) => found.push(Change::Completed {
            at: time(&after.completed_at),
        }),
        (true, false) => found.push(Change::Reopened),
        _ if completed => found.push(date("completed_at", before, after)),
        _ => {}
    }
    match (is_archived(before, old), is_archived(after, new)) {
        (false, true) => found.push(Change::Archived {
            at: time(&after.archived_at),
        }),
        (true, false) => found.push(Change::Reactivated),
        _ if archived => found.push(date("archived_at", before, after)),
        _ => {}
    }
}

fn is_complete(run: &Run, members: &Members<'_>) -> bool {
    has_time(members, "completed_at") || run.status.get().is_some_and(RunStatus::is_complete)
}

fn is_archived(run: &Run, members: &Members<'_>) -> bool {
    has_time(members, "archived_at") || run.status.get().is_some_and(RunStatus::is_archived)
}

fn has_time(members: &Members<'_>, key: &str) -> bool {
    members.get(key).is_some_and(|json| json.is_a_time())
}

fn time(field: &Field<ApiTime>) -> Option<String> {
    field.as_time().map(ToString::to_string)
}

fn progress(
    before: &Run,
    after: &Run,
    old: &Members<'_>,
    new: &Members<'_>,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    let percents = |run: &Run| [&run.progress, &run.whole_progress].map(|it| it.get().and_then(Progress::percent));
    let ([from, whole_from], [to, whole_to]) = (percents(before), percents(after));
    if is_another_share("progress", from == to, old, new, others) {
        found.push(Change::Progress { from, to });
    }
    if is_another_share("whole_progress", whole_from == whole_to, old, new, others) {
        let (a, b) = (old.get("whole_progress").copied(), new.get("whole_progress").copied());
        fields::compare("", "whole_progress", a, b, others);
    }
}

/// Whether the share that is done is another. Where it is not, but is counted in other numbers, these are reported.
fn is_another_share(
    key: &str,
    same_percent: bool,
    old: &Members<'_>,
    new: &Members<'_>,
    others: &mut Vec<FieldChange>,
) -> bool {
    let (a, b) = (old.get(key).copied(), new.get(key).copied());
    let is_odd = fields::is_odd(key, a) || fields::is_odd(key, b);
    let is_counted = |json: Option<Json<'_>>| json.is_some_and(|json| !json.members().is_empty());
    if is_odd || (same_percent && is_counted(a) && is_counted(b)) {
        fields::compare("", key, a, b, others);
    }
    !is_odd && !same_percent
}

fn date(field: &str, before: &Run, after: &Run) -> Change {
    let text = |run: &Run| {
        let time = match field {
            "created_at" => &run.created_at,
            "started_at" => &run.started_at,
            "due_date" => &run.due_date,
            "completed_at" => &run.completed_at,
            _ => &run.archived_at,
        };
        time.get().map(ToString::to_string)
    };
    Change::Date {
        field: field.to_owned(),
        from: text(before),
        to: text(after),
    }
}
