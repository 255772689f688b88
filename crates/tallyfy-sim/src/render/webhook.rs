//! Webhook bodies: process, task and organization event.
//!
//! Hyphenated and underscored keys stand side by side, ids are strings, nothing is wrapped in `data`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::date::{date_text, localized};
use super::form::files_of;
use super::{Object, Render};
use crate::quirks::{DateForm, NoNextTaskForm, Quirks, WatcherForm, WebhookDateForm};
use crate::world::{Actor, Capture, FieldType, Organization, Run, Task, alias_of};

/// The body that tells of a launch or the completion of a run.
pub(crate) fn process_payload(org: &Organization, quirks: &Quirks, now: Timestamp, run: &Run) -> Value {
    let quirks = quirks.for_webhooks();
    let render = Render {
        org,
        quirks: &quirks,
        now,
    };
    let mut json = render.run_fields(run);
    json.insert("prerun_status".into(), json!("completed"));
    json.insert("process-tasks".into(), render.map(process_tasks(run)));
    json.insert("ko-form-fields".into(), render.map(render.kickoff_by_alias(run)));
    json.insert("guest-links".into(), render.map(render.guest_links(guests_of(run))));
    json.insert("launcher".into(), render.person(run.started_by));
    render.localize(&mut json, run);
    Value::Object(json)
}

/// The body that tells of the completion of a task.
pub(crate) fn task_payload(
    org: &Organization,
    quirks: &Quirks,
    now: Timestamp,
    run: &Run,
    task: &Task,
    completer: &Actor,
) -> Value {
    let quirks = quirks.for_webhooks();
    let render = Render {
        org,
        quirks: &quirks,
        now,
    };
    let mut this_task = render.task_block(task);
    this_task.insert("assets".into(), Value::Array(render.task_assets(run, task)));
    let next = run
        .tasks
        .iter()
        .filter(|task| !task.status.is_settled())
        .min_by_key(|task| task.position);
    let next_task = match (next, quirks.webhook_no_next_task) {
        (Some(next), _) => Value::Object(render.task_block(next)),
        (None, NoNextTaskForm::List) => json!([]),
        (None, NoNextTaskForm::Object) => json!({}),
        (None, NoNextTaskForm::Null) => Value::Null,
    };
    let mut body = super::object(json!({
        "this_task": this_task,
        "launcher": render.person(run.started_by),
        "completer": render.actor(completer),
        "process-tasks": render.map(process_tasks(run)),
        "form-fields": render.map(render.answers_by_alias(run)),
        "template": {
            "id": run.template.id,
            "title": run.template.title,
            "alias": run.template.alias,
            "summary": run.template.summary,
        },
        "process": render.process_block(run),
        "guest-links": render.map(render.guest_links(guests_of(run))),
        "next_task": next_task,
    }));
    render.localize(&mut body, run);
    Value::Object(body)
}

/// The body of an event of the organization.
pub(crate) fn organization_event(quirks: &Quirks, event: &str, run: &str, task: Option<&str>) -> Value {
    match (quirks.watcher_bodies, task) {
        (WatcherForm::EventOnly, _) => json!({"event": event}),
        (WatcherForm::Id, Some(task)) => json!({"event": event, "task": {"id": task}}),
        (WatcherForm::Id, None) => json!({"event": event, "process": {"id": run}}),
    }
}

/// `process-tasks`: alias to task id; a task without alias goes by its id.
fn process_tasks(run: &Run) -> Object {
    let entries = run
        .tasks
        .iter()
        .map(|task| (task.alias.clone().unwrap_or_else(|| task.id.clone()), json!(task.id)));
    entries.collect()
}

fn guests_of(run: &Run) -> impl Iterator<Item = &String> {
    run.tasks.iter().flat_map(|task| task.owners.guests.iter())
}

impl Render<'_> {
    /// `this_task` and `next_task`, but for the assets.
    fn task_block(&self, task: &Task) -> Object {
        let owners: Vec<Value> = task.owners.users.iter().map(|id| self.person(*id)).collect();
        super::object(json!({
            "id": task.id,
            "title": task.title,
            "alias": task.alias,
            "status": self.task_status(task),
            "summary": task.summary,
            "deadline": self.date(task.deadline),
            "position": task.position,
            "completed_at": self.date_or_null(task.completed_at),
            "completed_by": task.completer.as_ref().map(|completer| self.actor(completer)),
            "captures": self.map(answered(&task.captures, |capture| task.taskdata.get(&capture.id))),
            "owners": {"users": owners, "guests": task.owners.guests},
        }))
    }

    fn task_assets(&self, run: &Run, task: &Task) -> Vec<Value> {
        let files = files_of(&task.captures, |capture| task.taskdata.get(&capture.id).cloned());
        files
            .iter()
            .map(|file| {
                json!({
                    "id": file["id"],
                    "filename": file["filename"],
                    "version": file["version"].to_string(),
                    "public_link": format!("https://go.tallyfy.test/{}/file/{}/dl", run.org, file["id"].as_str().unwrap_or_default()),
                })
            })
            .collect()
    }

    /// `form-fields`: every answer of the run, kick-off form included, by alias.
    fn answers_by_alias(&self, run: &Run) -> Object {
        let mut answers = self.kickoff_by_alias(run);
        for task in &run.tasks {
            for capture in task.captures.iter() {
                let answer = task.taskdata.get(&capture.id).cloned().unwrap_or_else(|| json!(""));
                answers.insert(capture.alias.clone(), answer);
            }
        }
        answers
    }

    /// `process`.
    fn process_block(&self, run: &Run) -> Value {
        let prerun: Object = run.prerun.clone().into_iter().collect();
        let forms = run.tasks.iter().filter_map(|task| {
            let answers = answered(&task.captures, |capture| task.taskdata.get(&capture.id));
            let step = task.step_id.clone()?;
            (!answers.is_empty()).then_some((step, Value::Object(answers)))
        });
        let mut block = super::object(json!({
            "id": run.id,
            "organization_id": run.org,
            "name": run.name,
            "summary": run.summary,
            "status": self.run_status(run),
            "progress": self.progress(run, |_| true),
            "created_at": self.date(run.created_at),
            "ClientURL": format!("https://go.tallyfy.test/{}/processes/{}", run.org, run.id),
            "prerun": self.map(prerun),
            "process_forms": self.map(forms.collect()),
            "tags": self.tags_of(&run.tags),
        }));
        self.add_extras(&mut block);
        Value::Object(block)
    }

    /// Rewrites times into the localized form, as far as the organization's setting goes.
    fn localize(&self, body: &mut Object, run: &Run) {
        let answers = date_answers(run);
        match self.quirks.webhook_dates {
            WebhookDateForm::Iso => {}
            WebhookDateForm::LocalizedAnswers => rewrite(body, &|text| answers.contains(&text.to_owned())),
            WebhookDateForm::Localized => rewrite(body, &|_| true),
        }
    }
}

/// `{timeline id: {alias, label, value}}` of the fields that have an answer.
fn answered<'a>(captures: &'a [Capture], answer: impl Fn(&Capture) -> Option<&'a Value>) -> Object {
    let answers = captures.iter().filter_map(|capture| Some((capture, answer(capture)?)));
    answers
        .map(|(capture, value)| {
            let alias = if capture.alias.is_empty() {
                alias_of(&capture.label)
            } else {
                capture.alias.clone()
            };
            (
                capture.id.clone(),
                json!({"alias": alias, "label": capture.label, "value": value}),
            )
        })
        .collect()
}

/// The answers to date fields of a run, kick-off form included.
fn date_answers(run: &Run) -> Vec<String> {
    let of_tasks = run.tasks.iter().flat_map(|task| {
        task.captures
            .iter()
            .map(|capture| (capture.field_type, task.taskdata.get(&capture.id)))
    });
    let kickoff = run
        .template
        .kickoff
        .iter()
        .map(|capture| (capture.field_type, run.prerun.get(&capture.id)));
    kickoff
        .chain(of_tasks)
        .filter(|(field_type, _)| *field_type == FieldType::Date)
        .filter_map(|(_, value)| Some(value?.as_str()?.to_owned()))
        .collect()
}

/// Puts every string that is a time, and that `applies` to, into the localized form.
fn rewrite(object: &mut Object, applies: &impl Fn(&str) -> bool) {
    for value in object.values_mut() {
        rewrite_value(value, applies);
    }
}

fn rewrite_value(value: &mut Value, applies: &impl Fn(&str) -> bool) {
    match value {
        Value::String(text) if applies(text) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                *text = localized(at);
            } else if let Ok(day) = text.parse::<jiff::civil::Date>()
                && text.len() == "2026-01-05".len()
                && let Ok(at) = format!("{day}T00:00:00Z").parse::<Timestamp>()
            {
                debug_assert_eq!(*text, date_text(at, DateForm::DateOnly));
                *text = localized(at);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rewrite_value(value, applies)),
        Value::Object(map) => rewrite(map, applies),
        _ => {}
    }
}
