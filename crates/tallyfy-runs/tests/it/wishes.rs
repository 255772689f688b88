//! What somebody who uses the crate wants to write, as it is written. That it compiles is most of the test.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::Duration;

use tallyfy_runs::model::{
    Answer, Checklist, Member, OptionId, Run, RunId, Task, TaskStatus, UserId, WebhookBody, WithJson,
};
use tallyfy_runs::transport::{
    BaseUrl, HttpTransport, Request, ReqwestTransport, Secret, StaticToken, TokenFile, Tokens,
};
use tallyfy_runs::{
    Assignees, Change, Client, Completion, Error, Form, GetRunOptions, GetTaskOptions, GetTemplateOptions, Launch,
    ListRunsOptions, ListTasksOptions, ListTemplatesOptions, Members, StatusCode, TaskInclude, TaskOrder,
    TemplateInclude, Timestamp, TryStreamExt as _,
};

type Outcome = Result<(), Box<dyn StdError>>;

async fn any_endpoint_is_three_lines(client: &Client) -> Result<serde_json::Value, Box<dyn StdError>> {
    let request = Request::get(["organizations", client.org().as_str(), "groups"])?;
    let response = client.send(request).await?;
    Ok(response.json()?)
}

async fn a_template_is_one_line(client: &Client) -> Result<WithJson<Checklist>, Error> {
    client.get_template("TEMPLATE_ID", &GetTemplateOptions::default()).await
}

async fn a_task_with_its_form(client: &Client) -> Outcome {
    let options = GetTaskOptions::default().with_includes([TaskInclude::FormFields, TaskInclude::Threads]);
    let task = client.get_task("TASK_ID", &options).await?;
    let _json: (&str, String) = (task.raw(), serde_json::to_string(&task)?);
    let _odd = task.surprises();
    let form = Form::of_task(&task)
        .fill("Outcome", "Go")?
        .fill("Due", Timestamp::now())?;
    let task = client.set_answers(&task, &form).await?;
    let task = client.complete_task(Completion::of(&task)?.on_behalf_of(1002)).await?;
    client.reopen_task(&task).await?;
    let assignees = Assignees::of(&task)
        .ok_or("the task does not say who is assigned")?
        .with_user(7)
        .with_guest("g@example.com");
    client.reassign(&task, &assignees).await?;
    client.comment(&task, "Done").await?;
    Ok(())
}

async fn lists(client: &Client) -> Outcome {
    let mut templates = client
        .list_templates(&ListTemplatesOptions::default().with_search("On"))
        .into_stream();
    while let Some(template) = templates.try_next().await? {
        let _: &Checklist = &template;
    }
    for task in client
        .list_tasks("RUN_ID", &ListTasksOptions::default().with_unassigned(true))
        .all()
        .await?
    {
        let _: &Task = &task;
    }
    let members: Members = client.members().await?;
    for member in &members {
        let _: &Member = member;
    }
    Ok(())
}

async fn lists_keep_their_json_and_the_tasks_of_a_run_are_filtered(client: &Client) -> Outcome {
    let options = ListTasksOptions::default()
        .with_status(TaskStatus::Overdue)
        .with_owners([7])
        .with_guests(["g@example.com"])
        .with_groups(["GROUP_ID"])
        .with_order(TaskOrder::Deadline)
        .with_includes([TaskInclude::FormFields])
        .with_other("new", "1");
    let tasks: Vec<WithJson<Task>> = client.list_tasks("RUN_ID", &options).all().await?;
    let _json: Vec<&str> = tasks.iter().map(WithJson::raw).collect();
    let _odd: Vec<_> = tasks.iter().flat_map(WithJson::surprises).collect();
    let members = client.list_members().all().await?;
    let _json = serde_json::to_string(&(&tasks, &members, client.me().await?))?;
    let template = GetTemplateOptions::none().with_includes([TemplateInclude::Steps, TemplateInclude::Tags]);
    let _template = client.get_template("TEMPLATE_ID", &template).await?;
    Ok(())
}

async fn what_was_fetched_stands_where_its_id_is_asked_for(client: &Client) -> Outcome {
    let run = client.get_run("RUN_ID", &GetRunOptions::default()).await?;
    let company: Option<String> = run.answer("Company").and_then(|answer| answer.text());
    let template = client.get_template("TEMPLATE_ID", &GetTemplateOptions::none()).await?;
    let like_it = ListRunsOptions::default()
        .with_checklist(&template)
        .with_search(company.unwrap_or_default());
    for run in client.list_runs(&like_it).all().await? {
        for task in client.list_tasks(&run, &ListTasksOptions::default()).all().await? {
            client.get_task(&task, &GetTaskOptions::default()).await?;
        }
        client.archive_run(&run).await?;
    }
    Ok(())
}

async fn an_approval(client: &Client, task: &Task) -> Outcome {
    client.complete_task(Completion::approving(task)?).await?;
    client.complete_task(Completion::rejecting(task)?).await?;
    Ok(())
}

async fn a_run_from_launch_to_archive(client: &Client) -> Outcome {
    let template = a_template_is_one_line(client).await?;
    let run: Run = client
        .launch_run(&Launch::of(&template, "One").fill("Company", "Globex")?)
        .await?;
    client.archive_run(run.id()).await?;
    client.activate_run(run.id()).await?;
    Ok(())
}

async fn what_to_do_about_an_error(client: &Client) -> Outcome {
    let Err(error) = client.get_run("RUN_ID", &GetRunOptions::default()).await else {
        return Ok(());
    };
    let _kept = error.clone();
    let _support = error.request_id();
    match (&error, error.status(), error.retry_after()) {
        (Error::OutcomeUnknown(_), _, _) => {}
        (_, Some(StatusCode::UNPROCESSABLE_ENTITY), _) => {
            let _fields: BTreeMap<_, _> = error
                .invalid_fields()
                .iter()
                .map(|problem| (&problem.field, &problem.message))
                .collect();
        }
        (_, _, Some(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    Ok(())
}

fn clients<T: HttpTransport + 'static>(wire: T) -> Outcome {
    let _text = Client::builder("ORG", "token")
        .base_url("https://api.tallyfy.com")
        .build()?;
    let _owned = Client::builder("ORG", "token".to_owned()).base_url(BaseUrl::default());
    let _file = Client::builder("ORG", TokenFile::new("/run/secrets/token"));
    let _secret = Client::builder("ORG", Secret::new("token"));
    let _source = Client::builder("ORG", Tokens::from_source(StaticToken::new("token")));
    let _all = Client::builder("ORG", "token")
        .transport(wire)
        .layer(|inner| inner)
        .max_wait(Duration::from_secs(5))
        .proxy("http://proxy.example:3128")
        .max_response_bytes(1 << 20)
        .build()?;
    drop(format!("{_all:?}"));
    Ok(())
}

fn a_client_of_somebody_else(client: reqwest::Client) -> Client {
    Client::new(ReqwestTransport::from_client(client, BaseUrl::default()), "ORG")
}

#[test]
fn ids_are_read_compared_and_made_of_numbers() {
    let run: RunId = "r1".parse().unwrap();
    assert!(run == "r1" && run == *"r1");
    assert_eq!(
        (UserId::from(7), OptionId::from(7)),
        (UserId::from("7"), OptionId::from("7"))
    );
}

#[test]
fn a_run_is_read_by_itself_and_its_collections_are_walked() {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        data: Run,
        before: Option<Run>,
    }

    let json = r#"{"data":{"id":"r1","due_date":"2026-01-31","new":1.50,"tasks":[{"id":"t1"}],"prerun":{"f1":{"id":2,"text":"Blue"}}}}"#;
    let wrapped: Wrapped = serde_json::from_str(json).unwrap();
    let run = wrapped.data;
    assert!(run.raw().contains("1.50") && wrapped.before.is_none());
    let mut tasks = 0;
    for task in &run.tasks {
        assert_eq!(task.id.get().unwrap(), "t1");
        tasks += 1;
    }
    assert_eq!(tasks, 1);
    assert_eq!(run.tasks.iter().count(), 1);
    assert_eq!(run.tasks.get().into_iter().flatten().count(), 1);
    assert!(run.due_date.timestamp().unwrap() < Timestamp::now());
    assert_eq!(run.answers()[0].text().as_deref(), Some("Blue"));
    assert!(matches!(run.answers()[0].answer().get(), Some(Answer::Other(_))));
    let from_tree: Run = serde_json::from_value(serde_json::json!({"id": "r2"})).unwrap();
    assert_eq!(from_tree.id(), "r2");
}

#[test]
fn a_change_and_a_webhook_are_typed() {
    let changes: Vec<Change> = serde_json::from_str(r#"[{"kind":"status","from":"active","to":"complete"}]"#).unwrap();
    assert_eq!(changes[0].to_string(), "status: active -> complete");
    assert_eq!(changes[0], changes[0].clone());
    let body = br#"{"this_task":{"id":"t1"},"completer":{"email":"a@example.com"},"process":{"id":"r1"}}"#;
    let WebhookBody::Task(body) = WebhookBody::parse(body).unwrap() else {
        panic!("a task");
    };
    assert_eq!(body.completed_by().unwrap().email.as_str(), Some("a@example.com"));
    let _form: (usize, usize) = (body.form_fields.entries().count(), body.answers().count());
    let body = br#"{"process":{"id":"r1"},"ko-form-fields":{"company":"Globex"}}"#;
    let WebhookBody::Process(body) = WebhookBody::parse(body).unwrap() else {
        panic!("a process");
    };
    assert_eq!(body.further.ko_form_fields.entries().count(), 1);
}

/// Those that need an account are compiled and made, not awaited.
#[test]
fn the_wishes_compile() {
    let replay = tallyfy_runs::transport::Replay::from_text("").unwrap();
    let client = Client::new(replay, "ORG");
    drop(any_endpoint_is_three_lines(&client));
    drop(a_task_with_its_form(&client));
    drop(lists(&client));
    drop(lists_keep_their_json_and_the_tasks_of_a_run_are_filtered(&client));
    drop(an_approval(&client, &Task::default()));
    drop(what_was_fetched_stands_where_its_id_is_asked_for(&client));
    drop(a_run_from_launch_to_archive(&client));
    drop(what_to_do_about_an_error(&client));
    let _ = (clients::<std::sync::Arc<dyn HttpTransport>>, a_client_of_somebody_else);
}

/// The example of the front page does in less than 25 lines what a newcomer wants to do.
#[test]
fn the_newcomers_example_is_short_and_on_the_front_page() {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim().trim_start_matches("pub(crate) ").to_owned())
            .collect()
    };
    let example = lines(include_str!("../../examples/overdue.rs"));
    let begin = example
        .iter()
        .position(|line| line.starts_with("async fn run"))
        .unwrap();
    let end = example.iter().skip(begin).position(String::is_empty).unwrap() + begin;
    let body = &example[begin..end];
    assert!(body.len() < 25, "{} lines", body.len());
    let page = lines(include_str!("../../README.md"));
    assert!(
        page.windows(body.len()).any(|window| window == body),
        "the README has another text:\n{}",
        body.join("\n")
    );
}
