//! What is different between two views of a run.
//!
//! The two views are compared as JSON text, so that numbers keep every digit and nothing unknown is lost.

mod answers;
mod change;
mod fields;
mod json;
mod list;
mod scan;
mod tasks;

use std::collections::BTreeMap;

use tallyfy_model::{Progress, Run, RunStatus};

pub use change::{Change, FieldChange, OwnerRef, TagRef, TaskRef};

use json::{Json, Members, people, same};
use list::Pair;

/// Members that are there only when they were asked for (API reference, section b.1).
const INCLUDES: [&str; 13] = [
    "checklist",
    "tasks",
    "tags",
    "assets",
    "next_task",
    "permissions",
    "tasks_meta",
    "ko_form_fields",
    "form_fields",
    "stages",
    "folders",
    "member_watchers",
    "guest_watchers",
];

/// Members that have a kind of change of their own, or, as `last_updated`, only say that there are others.
const TYPED: [&str; 16] = [
    "id",
    "last_updated",
    "status",
    "progress",
    "whole_progress",
    "name",
    "owner_id",
    "completed_at",
    "archived_at",
    "tasks",
    "tags",
    "prerun",
    "form_fields",
    "ko_form_fields",
    "users",
    "groups",
];

/// Members of the template that change with every other run of it, and say nothing of this one.
const OF_ALL_RUNS: [&str; 2] = ["/checklist/started_processes", "/checklist/last_updated"];

/// Dates that are reported as such.
const DATES: [&str; 3] = ["created_at", "started_at", "due_date"];

/// What is different in `after`, the run's own state first, then its tasks, answers and tags, then everything else.
///
/// What means the same is no difference: another order of keys, of tasks or of tags; an include wrapped or bare; `[]` for
/// an empty map; a member that is `null`, an empty list or an empty map, or left out; an id as a number or as a string;
/// people as ids or as objects with these ids; another spelling of an instant, or of "complete"; an answer cleared in any
/// of the ways in which the API writes that (API reference, section c.7). `last_updated` alone says nothing. An include
/// that only one of the views has was not asked for in the other, and says nothing either.
///
/// Whatever else is different is reported, if not by a kind of its own then by where it is.
///
/// ```
/// use tallyfy_model::Run;
/// use tallyfy_runs::{Change, changes};
///
/// let before = Run::from_json(r#"{"id":"r1","name":"Onboarding","owner_id":7}"#)?;
/// let after = Run::from_json(r#"{"owner_id":"7","name":"Onboarding of Globex","id":"r1"}"#)?;
/// assert!(matches!(changes(&before, &after).as_slice(), [Change::Name { .. }]));
/// # Ok::<(), tallyfy_model::NotARun>(())
/// ```
pub fn changes(before: &Run, after: &Run) -> Vec<Change> {
    if before.raw() == after.raw() {
        return Vec::new();
    }
    // A run whose only member is `data` has no id, so no envelope is taken off here.
    let (old, new) = match (View::with_tasks(before), View::with_tasks(after)) {
        (Some(old), Some(new)) => (old, new),
        _ => (View::whole(before), View::whole(after)),
    };
    let mut found = Vec::new();
    let mut others = Vec::new();
    state(before, after, &old.members, &new.members, &mut found, &mut others);
    for (key, what) in [("users", "member"), ("groups", "group")] {
        owners(key, what, &old.members, &new.members, &mut found, &mut others);
    }
    forms(&old, &new, &mut found, &mut others);
    tags(&old.members, &new.members, &mut found, &mut others);
    everything_else(&old.members, &new.members, &mut others);
    found.extend(others.into_iter().map(Change::Other));
    found
}

/// A run taken apart.
struct View<'a> {
    members: Members<'a>,
    /// The tasks, if they are not among the members.
    tasks: Option<Vec<Json<'a>>>,
}

impl<'a> View<'a> {
    /// With the tasks taken apart too; `None` where they are in no usual form.
    fn with_tasks(run: &'a Run) -> Option<Self> {
        let (members, tasks) = scan::run_and_tasks(run.raw())?;
        let tasks = tasks.map(|tasks| tasks.into_iter().map(|task| Json::new(task.get())).collect());
        let members = members.into_iter().map(|(key, value)| (key, Json::new(value.get())));
        Some(Self {
            members: members.collect(),
            tasks,
        })
    }

    fn whole(run: &'a Run) -> Self {
        Self {
            members: Json::new(run.raw()).members(),
            tasks: None,
        }
    }
}

fn state(
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
    let (completed_otherwise, archived_otherwise) = (differs("completed_at"), differs("archived_at"));
    let has = |members: &Members<'_>, key: &str| members.get(key).is_some_and(|json| !json.is_no_value());
    let is_complete = |run: &Run, members: &Members<'_>| {
        has(members, "completed_at") || run.status.get().is_some_and(RunStatus::is_complete)
    };
    match (is_complete(before, old), is_complete(after, new)) {
        (false, true) => found.push(Change::Completed {
            at: after.completed_at.get().map(ToString::to_string),
        }),
        (true, false) => found.push(Change::Reopened),
        _ if completed_otherwise => found.push(date("completed_at", before, after)),
        _ => {}
    }
    let is_archived = |run: &Run, members: &Members<'_>| {
        has(members, "archived_at") || run.status.get() == Some(&RunStatus::Archived)
    };
    match (is_archived(before, old), is_archived(after, new)) {
        (false, true) => found.push(Change::Archived {
            at: after.archived_at.get().map(ToString::to_string),
        }),
        (true, false) => found.push(Change::Reactivated),
        _ if archived_otherwise => found.push(date("archived_at", before, after)),
        _ => {}
    }
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
    let percents = |run: &Run| [&run.progress, &run.whole_progress].map(|it| it.get().and_then(Progress::percent));
    let ([from, whole_from], [to, whole_to]) = (percents(before), percents(after));
    if progress("progress", from == to, old, new, others) {
        found.push(Change::Progress { from, to });
    }
    if progress("whole_progress", whole_from == whole_to, old, new, others) {
        fields::compare(
            "",
            "whole_progress",
            old.get("whole_progress").copied(),
            new.get("whole_progress").copied(),
            others,
        );
    }
}

/// Whether the share that is done is another. Where it is not, but is counted in other numbers, these are reported.
fn progress(
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

fn owners(
    key: &str,
    what: &'static str,
    old: &Members<'_>,
    new: &Members<'_>,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    let (a, b) = (old.get(key).copied(), new.get(key).copied());
    let by_id = |list: Option<Json<'_>>| list.map_or_else(|| Some(BTreeMap::new()), people);
    let (Some(before), Some(after)) = (by_id(a), by_id(b)) else {
        fields::compare("", key, a, b, others);
        return;
    };
    let reference = |(id, name): (&String, &Option<String>)| OwnerRef {
        r#type: what,
        id: id.clone(),
        name: name.clone(),
    };
    let not_in = |others: &BTreeMap<String, Option<String>>, id: &String| !others.contains_key(id);
    let added = after.iter().filter(|(id, _)| not_in(&before, id)).map(reference);
    found.extend(added.map(|owner| Change::OwnerAdded { owner }));
    let removed = before.iter().filter(|(id, _)| not_in(&after, id)).map(reference);
    found.extend(removed.map(|owner| Change::OwnerRemoved { owner }));
}

/// Tasks, answers and form fields.
fn forms(old: &View<'_>, new: &View<'_>, found: &mut Vec<Change>, others: &mut Vec<FieldChange>) {
    let tasks = match (&old.tasks, &new.tasks) {
        (Some(old), Some(new)) => Some(list::pair_elements("tasks", &["id"], old, new, others)),
        _ => match (old.members.get("tasks"), new.members.get("tasks")) {
            (Some(old), Some(new)) => list::pair("tasks", &["id"], *old, *new, others),
            // Not asked for in one of them: nothing can be said.
            _ => None,
        },
    };
    let (old, new) = (&old.members, &new.members);
    let (answers, answered) = answers::compare(old, new, tasks.as_ref());
    if let Some(tasks) = &tasks {
        tasks::compare(&tasks.old, &tasks.new, &answered, found);
    }
    found.extend(answers);
    if fields::is_odd("prerun", old.get("prerun").copied()) || fields::is_odd("prerun", new.get("prerun").copied()) {
        fields::compare(
            "",
            "prerun",
            old.get("prerun").copied(),
            new.get("prerun").copied(),
            others,
        );
    }
    for key in ["form_fields", "ko_form_fields"] {
        if let (Some(a), Some(b)) = (old.get(key), new.get(key)) {
            // By alias, it repeats what `prerun` has by id.
            let repeats = |json: &Json<'_>| key == "ko_form_fields" && json.elements().is_none();
            if repeats(a) && repeats(b) && old.contains_key("prerun") && new.contains_key("prerun") {
                continue;
            }
            answers::compare_form_fields(key, *a, *b, &answered, others);
        }
    }
}

fn tags(old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>, others: &mut Vec<FieldChange>) {
    let (Some(old), Some(new)) = (old.get("tags"), new.get("tags")) else {
        return;
    };
    // The id of an association is not that of the tag (API reference, section c.3).
    let Some(Pair { old, new, .. }) = list::pair("tags", &["tag_id", "id"], *old, *new, others) else {
        return;
    };
    let title = |tag: &Members<'_>| {
        Json::id_under(tag, &["title", "name"])
            .or_else(|| Json::id_under(&tag.get("tag")?.members(), &["title", "name"]))
    };
    let reference = |id: &String, tag: &Members<'_>| TagRef {
        id: id.clone(),
        title: title(tag),
    };
    for (id, tag) in &new.by_id {
        let Some(before) = old.by_id.get(id) else {
            found.push(Change::TagAdded {
                tag: reference(id, &tag.members),
            });
            continue;
        };
        // Not every form has a title.
        if let (Some(from), Some(to)) = (title(&before.members), title(&tag.members))
            && from != to
        {
            others.push(FieldChange {
                pointer: format!("/tags/{}/title", tag.position),
                from: serde_json::value::to_raw_value(&from).ok(),
                to: serde_json::value::to_raw_value(&to).ok(),
            });
        }
    }
    for (id, tag) in &old.by_id {
        if !new.by_id.contains_key(id) {
            found.push(Change::TagRemoved {
                tag: reference(id, &tag.members),
            });
        }
    }
}

fn everything_else(old: &Members<'_>, new: &Members<'_>, others: &mut Vec<FieldChange>) {
    for key in fields::union(old, new) {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        let one_sided_include = (a.is_none() || b.is_none()) && INCLUDES.contains(&key);
        if one_sided_include || TYPED.contains(&key) || DATES.contains(&key) {
            continue;
        }
        if key == "next_task" {
            fields::compare("", key, a.and_then(Json::only), b.and_then(Json::only), others);
        } else {
            fields::compare("", key, a, b, others);
        }
    }
    others.retain(|change| !OF_ALL_RUNS.contains(&change.pointer.as_str()));
}
