//! What is different between two views of a run.
//!
//! The two views are compared as JSON text, so that numbers keep every digit and nothing unknown is lost.

mod answers;
mod carry;
mod change;
mod doubt;
mod echo;
mod fields;
mod json;
mod list;
mod read_back;
mod scan;
mod shown;
mod state;
mod tasks;

use std::collections::BTreeMap;

use tallyfy_model::Run;

pub use carry::{Carried, carry_forward};
pub use change::{Change, FieldChange, OwnerRef, TagRef, TaskRef};
pub use doubt::Doubt;

use json::{Json, Members, people};
use list::{Ids, Pair};

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

/// What is different in `after`, the run's own state first, then its tasks, answers and tags, then everything else.
///
/// What means the same is no difference: another order of keys, of tasks or of tags; an include wrapped or bare; `[]` for
/// an empty map; a member that is `null`, an empty list or an empty map, or left out; an id as a number or as a string;
/// people as ids or as objects with these ids; another spelling of an instant, or of a status; an answer cleared in any
/// of the ways in which the API writes that (API reference, section c.7); a task that is listed twice. `last_updated`
/// alone says nothing. An include that is missing, `null` or `false` in one of the views was not told there, and says
/// nothing either; see [`carry_forward`].
///
/// What merely repeats another change is told by that change alone: a task's copy of the run's status, the member
/// `whole_progress` beside `progress`, who completed a task, the next task, the counts of tasks.
///
/// Whatever else is different is reported, if not by a kind of its own then by where it is. `after` is taken at its word:
/// [`compare`] says what of it is doubtful.
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
    let (old, new) = View::both(before, after);
    changes_of(before, after, &old, &new)
}

/// What is different in `after`, and what of it is doubtful.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// What is different, without what is doubtful.
    pub changes: Vec<Change>,
    /// What is to be confirmed by another look. If it stands, [`changes`] tells it.
    pub doubts: Vec<Doubt>,
}

/// As [`changes`], but what may be half an answer is not told as a change: where there were tasks, tags, answers or other
/// includes and there are none at all now, that is a [`Doubt`].
///
/// ```
/// use tallyfy_model::Run;
/// use tallyfy_runs::compare;
///
/// let before = Run::from_json(r#"{"id":"r1","status":"active","tasks":[{"id":"t1"}]}"#)?;
/// let after = Run::from_json(r#"{"id":"r1","status":"delayed","tasks":[]}"#)?;
/// let comparison = compare(&before, &after);
/// assert_eq!(comparison.changes.len(), 1);
/// assert_eq!(comparison.doubts[0].member, "tasks");
/// # Ok::<(), tallyfy_model::NotARun>(())
/// ```
pub fn compare(before: &Run, after: &Run) -> Comparison {
    let (mut old, mut new) = View::both(before, after);
    let doubts = doubt::doubts(&old, &new);
    for doubt in &doubts {
        old.leave_out(doubt.member);
        new.leave_out(doubt.member);
    }
    Comparison {
        changes: changes_of(before, after, &old, &new),
        doubts,
    }
}

fn changes_of(before: &Run, after: &Run, old: &View<'_>, new: &View<'_>) -> Vec<Change> {
    let mut found = Vec::new();
    let mut others = Vec::new();
    state::compare(before, after, &old.members, &new.members, &mut found, &mut others);
    for (key, what) in [("users", "member"), ("groups", "group")] {
        owners(key, what, &old.members, &new.members, &mut found, &mut others);
    }
    forms(old, new, &mut found, &mut others);
    tags(&old.members, &new.members, &mut found, &mut others);
    everything_else(&old.members, &new.members, &mut others);
    let have_tasks = old.has_tasks() && new.has_tasks();
    echo::fold(&old.members, &new.members, have_tasks, &mut found, &mut others);
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
    /// Two views, taken apart in the same way, without the includes that say nothing.
    fn both<'b>(before: &'a Run, after: &'b Run) -> (Self, View<'b>) {
        // A run whose only member is `data` has no id, so no envelope is taken off here.
        match (View::with_tasks(before), View::with_tasks(after)) {
            (Some(old), Some(new)) => (old, new),
            _ => (View::whole(before), View::whole(after)),
        }
    }

    /// With the tasks taken apart too; `None` where they are in no usual form.
    fn with_tasks(run: &'a Run) -> Option<Self> {
        let (members, tasks) = scan::run_and_tasks(run.raw())?;
        let tasks = tasks.map(|tasks| tasks.into_iter().map(|task| Json::new(task.get())).collect());
        let members = members.into_iter().map(|(key, value)| (key, Json::new(value.get())));
        Some(Self {
            members: told(members.collect()),
            tasks,
        })
    }

    fn whole(run: &'a Run) -> Self {
        Self {
            members: told(Json::new(run.raw()).members()),
            tasks: None,
        }
    }

    fn has_tasks(&self) -> bool {
        self.tasks.is_some() || self.members.contains_key("tasks")
    }

    fn leave_out(&mut self, member: &str) {
        self.members.remove(member);
        if member == "tasks" {
            self.tasks = None;
        }
    }
}

/// Members without those includes that say nothing.
fn told(mut members: Members<'_>) -> Members<'_> {
    members.retain(|key, json| !(INCLUDES.contains(&key.as_ref()) && json.is_untold()));
    members
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
    let by_id = |list: Option<Json<'_>>| list.map_or_else(|| Some(BTreeMap::new()), |list| people(key, list));
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
        (Some(old), Some(new)) => Some(list::pair_elements("tasks", Ids::Task, old, new, others)),
        _ => match (old.members.get("tasks"), new.members.get("tasks")) {
            (Some(old), Some(new)) => list::pair("tasks", Ids::Task, *old, *new, others),
            // Not asked for in one of them: nothing can be said.
            _ => None,
        },
    };
    let (old, new) = (&old.members, &new.members);
    let (answers, answered) = answers::compare(old, new, tasks.as_ref());
    if let Some(tasks) = &tasks {
        tasks::compare(tasks, &answered, found, others);
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
            let is_answered = |field: &str, task: Option<&str>| match task {
                Some(_) => answered.has(task, field),
                None => answered.has_field(field),
            };
            answers::compare_form_fields(key, *a, *b, is_answered, others);
        }
    }
}

fn tags(old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>, others: &mut Vec<FieldChange>) {
    let (Some(old), Some(new)) = (old.get("tags"), new.get("tags")) else {
        return;
    };
    let Some(Pair { old, new, .. }) = list::pair("tags", Ids::Tag, *old, *new, others) else {
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
        if one_sided_include || TYPED.contains(&key) || state::DATES.contains(&key) {
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
