//! Work on runs and tasks.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::answer::{Refused, ok, read};
use crate::shared::Shared;
use crate::world::{Completion, Launch, Run, TemplateDraft, World, WorldError};

type Sim = State<Arc<Shared>>;

pub(super) async fn runs(State(sim): Sim) -> Response {
    let world = sim.world();
    let all = world.organizations().flat_map(|org| org.runs.values());
    ok(&json!({"runs": all.map(|history| overview(history.current())).collect::<Vec<_>>()}))
}

fn overview(run: &Run) -> Value {
    let tasks: Vec<Value> = run
        .tasks
        .iter()
        .map(|task| json!({"id": task.id, "title": task.title, "done": task.status.is_settled()}))
        .collect();
    json!({
        "id": run.id,
        "name": run.name,
        "org": run.org,
        "complete": run.completed_at.is_some(),
        "archived": run.archived_at.is_some(),
        "last_updated": run.last_updated,
        "tasks": tasks,
    })
}

fn answer_run(sim: &Shared, run: &str) -> Answer {
    Ok(ok(&overview(sim.world().run(run)?)))
}

pub(super) async fn launch(State(sim): Sim, body: Bytes) -> Answer {
    let mut launch: Launch = read(&body)?;
    if launch.template.is_empty() {
        launch.template.clone_from(&sim.founding.onboarding);
        launch.fill = true;
    }
    let run = sim.change(|world| world.launch(&sim.founding.org, &launch))?;
    answer_run(&sim, &run)
}

/// The body of a rename.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    name: String,
}

pub(super) async fn change_run(State(sim): Sim, Path((run, change)): Path<(String, String)>, body: Bytes) -> Answer {
    match change.as_str() {
        "archive" => sim.change(|world| world.archive(&run))?,
        "reactivate" => sim.change(|world| world.reactivate(&run))?,
        "complete-overdue" => sim.change(|world| world.complete_overdue(&run))?,
        "delete" => {
            sim.change(|world| world.delete_archived(&run))?;
            return Ok(ok(&json!({"deleted": run})));
        }
        "rename" => {
            let Rename { name } = read(&body)?;
            sim.change(|world| world.rename(&run, &name))?;
        }
        "complete-next" => sim.change(|world| complete_next(world, &run))?,
        _ => {
            return Err(unknown_change(
                &change,
                "archive, reactivate, delete, rename, complete-next, complete-overdue",
            ));
        }
    }
    answer_run(&sim, &run)
}

fn complete_next(world: &mut World, run: &str) -> Result<(), WorldError> {
    let open = world.run(run)?.tasks.iter().find(|task| !task.status.is_settled());
    match open.map(|task| task.id.clone()) {
        Some(task) => world.complete(&task, &Completion::new().filled()),
        None => Ok(()),
    }
}

/// The body of a comment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    content: String,
    #[serde(default)]
    issue: bool,
}

pub(super) async fn change_task(State(sim): Sim, Path((task, change)): Path<(String, String)>, body: Bytes) -> Answer {
    match change.as_str() {
        "complete" => {
            let completion = if body.is_empty() {
                Completion::new().filled()
            } else {
                read(&body)?
            };
            sim.change(|world| world.complete(&task, &completion))?;
        }
        "reopen" => sim.change(|world| world.reopen(&task))?,
        "skip" => sim.change(|world| world.skip(&task))?,
        "comment" => {
            let Comment { content, issue } = read(&body)?;
            let author = sim.founding.admin;
            sim.change(|world| match issue {
                true => world.raise_issue(&task, author, &content),
                false => world.comment(&task, author, &content),
            })?;
        }
        _ => return Err(unknown_change(&change, "complete, reopen, skip, comment")),
    }
    let run = sim.world().task(&task)?.run_id.clone();
    answer_run(&sim, &run)
}

fn unknown_change(change: &str, known: &str) -> Refused {
    Refused::Body(format!("there is no {change:?}; there are {known}"))
}

pub(super) async fn add_template(State(sim): Sim, body: Bytes) -> Answer {
    let draft: TemplateDraft = read(&body)?;
    let template = sim.change(|world| world.add_template(&sim.founding.org, &draft))?;
    Ok(ok(&json!({"template": template})))
}

/// The body of a burst.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Burst {
    runs: u32,
    complete: u32,
}

impl Default for Burst {
    fn default() -> Self {
        Self {
            runs: 10,
            complete: u32::MAX,
        }
    }
}

/// The most runs of one burst.
const BURST_CAP: u32 = 100_000;

pub(super) async fn burst(State(sim): Sim, body: Bytes) -> Answer {
    let burst: Burst = read(&body)?;
    if burst.runs > BURST_CAP {
        return Err(Refused::Body(format!("runs must not be more than {BURST_CAP}")));
    }
    let launch = Launch::of(&sim.founding.onboarding);
    let mut runs = Vec::new();
    for _ in 0..burst.runs {
        runs.push(sim.change(|world| world.launch(&sim.founding.org, &launch))?);
        // Between runs others get at the world, and the sender gets going.
        tokio::task::yield_now().await;
    }
    let mut completed = 0_u32;
    for run in &runs {
        for _ in 0..burst.complete {
            if sim.world().run(run)?.is_done() {
                break;
            }
            sim.change(|world| complete_next(world, run))?;
            completed += 1;
        }
        tokio::task::yield_now().await;
    }
    Ok(ok(
        &json!({"launched": runs.len(), "completed_tasks": completed, "runs": runs}),
    ))
}

pub(super) async fn settle(State(sim): Sim) -> Response {
    sim.sender.settle().await;
    let all = sim.ledger.notifications();
    let acknowledged = all.iter().filter(|notification| notification.is_acknowledged()).count();
    ok(&json!({"notifications": all.len(), "acknowledged": acknowledged}))
}
