//! A large run as the API sends it: 300 tasks, about 190 KB.

use std::fmt::Write;

/// How many tasks it has.
pub const TASKS: usize = 300;

const TITLES: [&str; 6] = [
    "Call the client",
    "Collect the signed contract",
    "Check the tax number",
    "Book the kick-off",
    "Approve the budget",
    "Send the welcome package",
];

/// The run as it was.
pub fn before() -> String {
    run(false)
}

/// The same run, different in five places: its name, a completed task, an answer, a tag, and a member that no type knows.
pub fn after() -> String {
    run(true)
}

fn run(is_after: bool) -> String {
    let mut json = String::with_capacity(200_000);
    let name = if is_after {
        "Onboarding of Globex Inc."
    } else {
        "Onboarding of Globex"
    };
    let (run, template) = (id(1, 0), id(2, 0));
    // Writing to a string does not fail.
    let _ = write!(
        json,
        r#"{{"id":"{run}","increment_id":5015,"checklist_id":"{template}","checklist_title":"Client onboarding","name":"{name}","summary":"A new client, with everything that goes with it.","status":"active","progress":{{"complete":100,"total":{TASKS},"percent":33.3}},"whole_progress":{{"complete":100,"total":{TASKS},"percent":33.3}},"started_by":1002,"owner_id":1002,"prerun":{{{answers}}},"prerun_status":"complete","prerun_completed_at":"2025-10-14T09:00:00Z","prerun_completed_by":1002,"prerun_length":4,"starred":false,"created_at":"2025-10-14T09:00:00Z","last_updated":"2025-10-15T09:00:01Z","started_at":"2025-10-14T09:00:00Z","archived_at":null,"completed_at":null,"due_date":"2025-12-01T17:00:00Z","due_date_passed":false,"due_soon":false,"late_tasks":3,"collaborators":[1002,1003],"type":"procedure","is_public":false,"users":[1002],"groups":[],"parent_id":null,"can_add_oot":true,"has_open_issue":false,"sla_minutes":1440,"checklist":{{"data":{checklist}}},"tags":{{"data":[{tags}]}},"tasks":{{"data":[{tasks}]}},"form_fields":{{"data":[{form_fields}]}}}}"#,
        answers = joined(4, |at| format!(r#""{}":"Globex, part {at}""#, id(3, at))),
        checklist = checklist(&template),
        tags = joined(if is_after { 3 } else { 2 }, tag),
        tasks = joined(TASKS, |at| task(at, &run, is_after)),
        form_fields = joined(8, form_field),
    );
    json
}

fn checklist(template: &str) -> String {
    format!(
        r#"{{"id":"{template}","title":"Client onboarding","summary":"<p>How we take a client on board.</p>","starred":false,"webhook":null,"explanation_video":null,"guidance":null,"icon":"fa-user","folder_id":null,"prerun":[{}],"automated_actions":[],"created_by":1002,"owner_id":1002,"started_processes":212,"kickoff_title":"Before we start","kickoff_description":"","created_at":"2024-05-20T11:00:00Z","last_updated":"2025-10-15T09:00:01Z","archived_at":null,"is_public":false,"is_featured":false,"users":[],"groups":[],"type":"procedure","industry_tags":[],"is_public_kickoff":false,"steps_count":{TASKS},"status":"published"}}"#,
        joined(4, |at| format!(
            r#"{{"id":"{}","field_type":"text","label":"Part {at}","required":false}}"#,
            id(3, at)
        )),
    )
}

fn tag(at: usize) -> String {
    format!(r##"{{"id":"{}","title":"Tag {at}","color":"#ff8800"}}"##, id(4, at))
}

/// A task has 19 members that are known, and four that are not.
fn task(at: usize, run: &str, is_after: bool) -> String {
    let is_complete = at < 100 || (is_after && at == 150);
    let (status, completed_at) = if is_complete {
        ("completed", r#""2025-10-15T09:00:00Z""#)
    } else {
        ("active", "null")
    };
    let answer = if is_after && at == 20 { "another" } else { "some" };
    // Two tasks of three have no form.
    let taskdata = joined(if at % 3 == 2 { 2 } else { 0 }, |field| {
        format!(r#""{}":"{answer} text {field}""#, id(5, 10 * at + field))
    });
    let webhooks = if is_after && at == 250 { 1 } else { 0 };
    format!(
        r#"{{"id":"{id}","increment_id":{number},"title":"{title}","run_id":"{run}","step_id":"{step}","alias":"step-{at}","status":"{status}","task_type":"task","is_completable":true,"owners":{{"users":[{owner}],"guests":[],"groups":[]}},"taskdata":{{{taskdata}}},"position":{position},"started_at":"2025-10-14T09:00:00Z","deadline":"2025-11-01T17:00:00Z","created_at":"2025-10-14T09:00:00Z","last_updated":"2025-10-15T09:00:01Z","completed_at":{completed_at},"completer_id":null,"problem":false,"phase":null,"webhooks":{webhooks},"cost":1.50,"lane":"a"}}"#,
        id = id(6, at),
        number = 40_000 + at,
        title = TITLES[at % TITLES.len()],
        step = id(7, at),
        owner = 1000 + at % 7,
        position = at + 1,
    )
}

fn form_field(at: usize) -> String {
    format!(
        r#"{{"id":"{}","step_id":"{}","field_type":"dropdown","label":"Field {at}","guidance":"","position":{at},"required":false,"options":[{{"id":1,"text":"Yes","value":null}},{{"id":2,"text":"No","value":null}}],"created_at":"2024-05-20T11:00:00Z","last_updated":"2024-05-20T11:00:00Z","field_value":{{"id":1,"text":"Yes","value":null}}}}"#,
        id(8, at),
        id(7, at)
    )
}

fn joined(count: usize, element: impl FnMut(usize) -> String) -> String {
    (0..count).map(element).collect::<Vec<_>>().join(",")
}

/// 32 hex digits that look like chance and are always the same.
fn id(kind: u64, number: usize) -> String {
    let mixed = |seed: u64| {
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^ (bits >> 27)
    };
    let seed = (kind << 32) | number as u64;
    format!("{:016x}{:016x}", mixed(seed), mixed(!seed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plain;

    #[test]
    fn it_is_as_large_as_it_says_and_has_nothing_odd() {
        for json in [before(), after()] {
            assert!((180_000..200_000).contains(&json.len()), "{}", json.len());
            let run = tallyfy_model::Run::from_json(&json).unwrap();
            assert_eq!((run.tasks.iter().count(), run.surprises()), (TASKS, Vec::new()));
        }
    }

    #[test]
    fn a_task_has_19_members_that_are_known_and_four_that_are_not() {
        let run: serde_json::Value = serde_json::from_str(&before()).unwrap();
        let names =
            |task: &serde_json::Value| -> BTreeSet<String> { task.as_object().unwrap().keys().cloned().collect() };
        let known = names(&serde_json::to_value(plain::Task::default()).unwrap());
        for task in run["tasks"]["data"].as_array().unwrap() {
            let (known, unknown): (Vec<_>, Vec<_>) = names(task).into_iter().partition(|name| known.contains(name));
            assert_eq!((known.len(), unknown.len()), (19, 4));
        }
    }

    #[test]
    fn the_derives_read_it() {
        let run: plain::Run = serde_json::from_str(&before()).unwrap();
        assert_eq!(run.tasks.unwrap().data.len(), TASKS);
    }
}
