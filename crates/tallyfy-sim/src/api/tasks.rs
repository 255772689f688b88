//! Tasks: read, list, answer, complete, reopen, comment.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, data, seen_run};
use super::error::ApiError;
use super::query::Query;
use super::runs::{parse, unprocessable};
use crate::render::Render;
use crate::world::{Answers, Assignees, Completion, Organization, Run, Task, TaskStatus, World, WorldError};

type Cx = Extension<Arc<Context>>;

/// `GET /organizations/{org}/runs/{run}/tasks`
pub(super) async fn list(Extension(cx): Cx, Path((org, run)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        // A replica that does not know a fresh run yet lists no tasks for it.
        if !org.runs.contains_key(&run) {
            return Err(ApiError::NoResource);
        }
        let Ok(run) = seen_run(&cx, org, render, &run) else {
            return Ok(cx.page(Vec::<Value>::new(), |nothing| nothing));
        };
        let mut tasks: Vec<_> = run
            .tasks
            .iter()
            .filter(|t| lets_pass(&cx.query, t, render.now))
            .collect();
        sort(&mut tasks, cx.query.any(["sort", "sort_by"]).unwrap_or("position"));
        let with = cx.with();
        Ok(cx.page(tasks, |task| render.task(run, task, &with, false)))
    })
}

/// `GET /organizations/{org}/me/tasks`
pub(super) async fn mine(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    let user = cx.caller.user;
    of_user(&cx, &org, user, "active")
}

/// `GET /organizations/{org}/users/{user}/tasks`
pub(super) async fn of_member(Extension(cx): Cx, Path((org, user)): Path<(String, i64)>) -> Response {
    of_user(&cx, &org, user, "all")
}

fn of_user(cx: &Context, org: &str, user: i64, default_status: &str) -> Response {
    cx.read(org, |org, render| {
        let seen = org
            .runs
            .values()
            .filter_map(|history| history.seen(cx.lag(), render.now));
        let all = seen.flat_map(|run| run.tasks.iter().map(move |task| (run, task)));
        let status = cx.query.get("status").unwrap_or(default_status);
        let tasks: Vec<_> = all
            .filter(|(_, task)| task.owners.users.contains(&user) && has_status(status, task, render.now))
            .collect();
        let with = cx.with();
        Ok(cx.page(tasks, |(run, task)| render.task(run, task, &with, false)))
    })
}

/// `GET /organizations/{org}/runs/{run}/tasks/{task}`
pub(super) async fn get(Extension(cx): Cx, Path((org, run, task)): Path<(String, String, String)>) -> Response {
    cx.read(&org, |org, render| one(&cx, org, render, Some(&run), &task))
}

/// `GET /organizations/{org}/tasks/{task}`
pub(super) async fn get_alone(Extension(cx): Cx, Path((org, task)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| one(&cx, org, render, None, &task))
}

fn one(
    cx: &Context,
    org: &Organization,
    render: &Render<'_>,
    run: Option<&str>,
    task: &str,
) -> Result<Value, ApiError> {
    let run = match run {
        Some(run) => seen_run(cx, org, render, run)?,
        None => {
            let owns = |run: &&Arc<Run>| run.task(task).is_some();
            let mut seen = org
                .runs
                .values()
                .filter_map(|history| history.seen(cx.lag(), render.now));
            seen.find(owns).ok_or(ApiError::NoResource)?
        }
    };
    let task = run.task(task).ok_or(ApiError::NoResource)?;
    Ok(data(render.task(run, task, &cx.with(), true)))
}

/// The body of a completion.
#[derive(Debug, Deserialize)]
struct CompleteBody {
    task_id: String,
    #[serde(default)]
    override_user: Option<i64>,
    #[serde(default)]
    is_approved: Option<bool>,
}

/// `POST /organizations/{org}/runs/{run}/completed-tasks`
pub(super) async fn complete(Extension(cx): Cx, Path((org, _run)): Path<(String, String)>, body: Bytes) -> Response {
    complete_one(&cx, &org, &body)
}

/// `POST /organizations/{org}/completed-tasks`
pub(super) async fn complete_alone(Extension(cx): Cx, Path(org): Path<String>, body: Bytes) -> Response {
    complete_one(&cx, &org, &body)
}

fn complete_one(cx: &Context, org: &str, body: &Bytes) -> Response {
    let body: CompleteBody = match parse(body) {
        Ok(body) => body,
        Err(_) => return cx.refuse(&unprocessable("task_id", "is required")),
    };
    let mut completion = Completion::new().by(body.override_user.unwrap_or(cx.caller.user));
    completion.approved = body.is_approved;
    changed(cx, org, &body.task_id, StatusCode::CREATED, |world| {
        world.complete(&body.task_id, &completion)
    })
}

/// `DELETE /organizations/{org}/runs/{run}/completed-tasks/{task}`
pub(super) async fn reopen(Extension(cx): Cx, Path((org, _run, task)): Path<(String, String, String)>) -> Response {
    changed(&cx, &org, &task, StatusCode::OK, |world| world.reopen(&task))
}

/// `DELETE /organizations/{org}/completed-tasks/{task}`
pub(super) async fn reopen_alone(Extension(cx): Cx, Path((org, task)): Path<(String, String)>) -> Response {
    changed(&cx, &org, &task, StatusCode::OK, |world| world.reopen(&task))
}

/// The body of a change of a task.
#[derive(Debug, Deserialize)]
struct UpdateBody {
    #[serde(default)]
    taskdata: Answers,
    #[serde(default)]
    owners: Option<Assignees>,
}

/// `PUT /organizations/{org}/runs/{run}/tasks/{task}`
pub(super) async fn update(
    Extension(cx): Cx,
    Path((org, _run, task)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    update_one(&cx, &org, &task, &body)
}

/// `PUT /organizations/{org}/tasks/{task}`
pub(super) async fn update_alone(
    Extension(cx): Cx,
    Path((org, task)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    update_one(&cx, &org, &task, &body)
}

fn update_one(cx: &Context, org: &str, task: &str, body: &Bytes) -> Response {
    let body: UpdateBody = match parse(body) {
        Ok(body) => body,
        Err(error) => return cx.refuse(&error),
    };
    changed(cx, org, task, StatusCode::OK, |world| {
        if !body.taskdata.is_empty() {
            world.answer(task, &body.taskdata)?;
        }
        if let Some(owners) = body.owners {
            world.assign(task, owners)?;
        }
        Ok(())
    })
}

/// The body of a comment.
#[derive(Debug, Deserialize)]
struct CommentBody {
    #[serde(default)]
    content: String,
}

/// `POST /organizations/{org}/tasks/{task}/comment`, `…/problem`, `…/resolved-threads`
pub(super) async fn comment(
    Extension(cx): Cx,
    Path((org, task, label)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let body: CommentBody = match parse(&body) {
        Ok(body) => body,
        Err(error) => return cx.refuse(&error),
    };
    let author = cx.caller.user;
    let speak: fn(&mut World, &str, i64, &str) -> Result<u64, WorldError> = match label.as_str() {
        "comment" => World::comment,
        "problem" => World::raise_issue,
        "resolved-threads" => World::resolve_issues,
        _ => return cx.refuse(&ApiError::NoEndpoint),
    };
    let change = |world: &mut World| {
        guard(world, &org, &task)?;
        speak(world, &task, author, &body.content)
    };
    cx.change(&org, StatusCode::CREATED, change, |org, render, id| {
        let run = org.runs.values().find_map(|history| history.current().task(&task));
        let thread = run.and_then(|task| task.threads.iter().find(|thread| thread.id == id));
        Ok(data(render.thread(thread.ok_or(ApiError::NoResource)?, &task)))
    })
}

fn changed(
    cx: &Context,
    org: &str,
    task: &str,
    status: StatusCode,
    change: impl FnOnce(&mut World) -> Result<(), WorldError>,
) -> Response {
    let guarded = |world: &mut World| {
        guard(world, org, task)?;
        change(world)
    };
    cx.change(org, status, guarded, |org, render, ()| {
        let mut answer = one(cx, org, render, None, task)?;
        if let Some(fields) = answer.get_mut("data").and_then(Value::as_object_mut) {
            fields.insert("tasks_changed_by_rules".into(), json!({}));
        }
        Ok(answer)
    })
}

/// Refuses tasks of other organizations.
fn guard(world: &World, org: &str, task: &str) -> Result<(), WorldError> {
    let run = world.run(&world.task(task)?.run_id)?;
    if run.org == org {
        Ok(())
    } else {
        Err(WorldError::not_found("task", task))
    }
}

fn lets_pass(query: &Query, task: &Task, now: Timestamp) -> bool {
    let one_of = |name: &str, ids: &[String]| {
        query
            .list(name)
            .is_none_or(|wanted| ids.iter().any(|id| wanted.contains(&id.as_str())))
    };
    let users: Vec<String> = task.owners.users.iter().map(i64::to_string).collect();
    query.get("status").is_none_or(|status| has_status(status, task, now))
        && one_of("owners", &users)
        && one_of("guests", &task.owners.guests)
        && one_of("groups", &task.owners.groups)
        && (!query.flag("unassigned") || task.owners.is_empty())
}

fn has_status(wanted: &str, task: &Task, now: Timestamp) -> bool {
    let open = !task.status.is_settled();
    match wanted {
        "all" => true,
        "complete" | "completed" => task.status == TaskStatus::Completed,
        "active" | "active_visible" | "incomplete" => open,
        "inprogress" | "in-progress" => task.status == TaskStatus::InProgress,
        "not-started" => task.status == TaskStatus::NotStarted,
        "auto-skipped" => task.status == TaskStatus::AutoSkipped,
        "hasproblem" => task.has_problem(),
        "overdue" => open && task.deadline < now,
        "due_soon" => open && (0..86_400).contains(&(task.deadline.as_second() - now.as_second())),
        _ => false,
    }
}

fn sort(tasks: &mut [&Arc<Task>], order: &str) {
    let (field, descending) = order.strip_prefix('-').map_or((order, false), |field| (field, true));
    match field {
        "deadline" => tasks.sort_by_key(|task| (task.deadline, task.position)),
        _ => tasks.sort_by_key(|task| task.position),
    }
    if descending {
        tasks.reverse();
    }
}
