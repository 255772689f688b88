//! What a write puts on the wire, what it makes of every answer, and what is never sent.

use http::Method;
use std::sync::mpsc;
use tallyfy_runs::model::{Checklist, FieldProblem, Task, WithJson};
use tallyfy_runs::transport::{ErrorKind, MockHttpTransport, Response, TransportError};
use tallyfy_runs::{Assignees, Client, Completion, Entry, Error, Form, Launch, NotCompletable, WhyUnknown, WrongEntry};

use crate::answering::answer;

/// A client whose requests are all answered so, and what it sent.
fn client(answer: impl Fn() -> Result<Response, TransportError> + Send + 'static) -> (Client, mpsc::Receiver<String>) {
    let (sent, receiver) = mpsc::channel();
    let mut transport = MockHttpTransport::new();
    transport.expect_send().returning(move |request| {
        let body = request
            .body_bytes()
            .map_or_else(String::new, |body| String::from_utf8_lossy(body).into_owned());
        sent.send(format!("{} {} {body}", request.method(), request.path_and_query()))
            .unwrap();
        answer()
    });
    (Client::new(transport, "acme"), receiver)
}

fn task(json: &str) -> WithJson<Task> {
    WithJson::from_json(json).unwrap()
}

fn open_task() -> WithJson<Task> {
    task(
        r#"{"id":"t1","run_id":"r1","status":"active","task_type":"task","owners":{"users":[7],"guests":[],"groups":["g1"]},
        "form_fields":[{"id":"f1","label":"Outcome","field_type":"radio","options":[{"id":1,"text":"Go "},{"id":2,"text":"No go"}]},
            {"id":"f2","label":"Notes","field_type":"textarea"}]}"#,
    )
}

fn template() -> WithJson<Checklist> {
    WithJson::from_json(
        r#"{"id":"c1","prerun":[{"id":"f1","label":"Company","alias":"company","field_type":"text","required":true},
            {"id":"f2","label":"Start","field_type":"date"},{"id":"f3","label":"Start","field_type":"email"},
            {"id":"f4","label":"Regions","field_type":"multiselect","options":[{"id":1,"text":"EMEA"},{"id":2,"text":"APAC"}]}]}"#,
    )
    .unwrap()
}

#[tokio::test]
async fn each_write_is_one_request_with_everything_that_it_needs() {
    let (client, sent) = client(|| Ok(answer(200, r#"{"data":{"id":"t1","run_id":"r1"}}"#)));
    let (open, alone) = (open_task(), task(r#"{"id":"t1"}"#));
    client.complete_task(Completion::of(&open).unwrap()).await.unwrap();
    client
        .complete_task(Completion::approving(&alone).unwrap().on_behalf_of(7))
        .await
        .unwrap();
    client.reopen_task(&open).await.unwrap();
    client.reopen_task(&alone).await.unwrap();
    client.comment(&open, "Late \"again\"").await.unwrap();
    client
        .reassign(&open, &Assignees::of(&open).unwrap().with_user(8))
        .await
        .unwrap();
    client
        .reassign(&alone, &Assignees::nobody().with_guest("g@example.com"))
        .await
        .unwrap();
    let form = Form::of_task(&open)
        .fill("Outcome", "Go")
        .unwrap()
        .fill("f2", Entry::Cleared)
        .unwrap();
    client.set_answers(&open, &form).await.unwrap();
    let launch = Launch::of(&template(), "Onboarding").fill("company", "Globex").unwrap();
    let launch = launch
        .fill("Regions", ["APAC"])
        .unwrap()
        .with_tags(["x"])
        .with_owner(7)
        .with_parent("r0");
    client.launch_run(&launch.with_summary("New")).await.unwrap();
    client.archive_run("r/1").await.unwrap();
    client.activate_run("r1").await.unwrap();
    insta::assert_snapshot!("writes_on_the_wire", sent.try_iter().collect::<Vec<_>>().join("\n"));
}

async fn told(outcome: impl Fn() -> Result<Response, TransportError> + Send + 'static) -> String {
    let (client, sent) = client(outcome);
    let told = match client
        .launch_run(&Launch::of(&template(), "x").fill("Company", "Globex").unwrap())
        .await
    {
        Ok(run) => format!("launched {}", run.id()),
        Err(error) => {
            let variant = format!("{error:?}");
            let variant = variant.split([' ', '(']).next().unwrap();
            format!("{variant}, again: {}\n    {error}", error.is_retryable())
        }
    };
    assert_eq!(sent.try_iter().count(), 1, "sent once");
    told
}

#[tokio::test]
async fn what_may_have_been_done_is_told_apart_from_what_was_not() {
    let mut table = Vec::new();
    for (status, body) in [
        (201, r#"{"data":{"id":"r9"}}"#),
        (201, ""),
        (200, "<html>login</html>"),
        (302, ""),
        (408, ""),
        (422, r#"{"errors":{"name":["is taken"]}}"#),
        (429, ""),
        (500, "<html>"),
        (503, ""),
    ] {
        table.push(format!(
            "{status} {body}\n  {}",
            told(move || Ok(answer(status, body))).await
        ));
    }
    for kind in [
        ErrorKind::Credentials,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Timeout,
        ErrorKind::Interrupted,
        ErrorKind::CircuitOpen,
        ErrorKind::BudgetSpent,
        ErrorKind::TooLarge,
    ] {
        let failed =
            move || Err(TransportError::new(kind, Method::POST, "/organizations/acme/runs").with_source("why"));
        table.push(format!("{kind:?}\n  {}", told(failed).await));
    }
    insta::assert_snapshot!("outcomes_of_a_launch", table.join("\n"));
}

#[tokio::test]
async fn the_fields_that_the_api_finds_fault_with_are_named_in_a_structure() {
    let (client, _sent) = client(|| Ok(answer(422, r#"{"errors":{"prerun":{"f1":["is required","is odd"]}}}"#)));
    let launch = Launch::of(&template(), "x").fill("Company", "Globex").unwrap();
    let error = client.launch_run(&launch).await.unwrap_err();
    let told: Vec<_> = error.invalid_fields().iter().map(FieldProblem::to_string).collect();
    assert_eq!(told, ["prerun.f1: is required", "prerun.f1: is odd"]);
    assert_eq!(error.status().unwrap(), 422);
    assert!(matches!(error.clone(), Error::InvalidRequest(_)));
}

#[tokio::test]
async fn what_the_api_would_take_for_something_else_is_not_sent() {
    let (client, sent) = client(|| panic!("nothing is to be sent"));
    let refusals = [
        client.launch_run(&Launch::of(&template(), "x")).await.map(|_| ()),
        client.launch_run(&Launch::of(&template(), "")).await.map(|_| ()),
        client
            .launch_run(&Launch::of(&template(), "x".repeat(551)))
            .await
            .map(|_| ()),
        client.comment(&open_task(), " \n").await.map(|_| ()),
        client.comment(&task(r#"{"title":"x"}"#), "x").await.map(|_| ()),
        client
            .set_answers(&open_task(), &Form::of_task(&open_task()))
            .await
            .map(|_| ()),
        client.archive_run("").await,
    ];
    let told = refusals.map(|refusal| {
        let error = refusal.unwrap_err();
        assert!(matches!(error, Error::Unsendable(_)), "{error}");
        error.to_string()
    });
    insta::assert_snapshot!("not_sent", told.join("\n"));
    assert_eq!(sent.try_iter().count(), 0);
}

#[test]
fn a_task_is_completed_only_as_it_stands() {
    let refused = |json: &str| Completion::of(&task(json)).unwrap_err();
    assert_eq!(refused(r#"{"title":"x"}"#), NotCompletable::NoId);
    assert_eq!(refused(r#"{"id":"t1","status":"completed"}"#), NotCompletable::Complete);
    assert_eq!(
        refused(r#"{"id":"t1","status":"auto-skipped"}"#),
        NotCompletable::Hidden
    );
    assert_eq!(
        refused(r#"{"id":"t1","archived_at":"2026-01-01"}"#),
        NotCompletable::Archived
    );
    assert_eq!(
        refused(r#"{"id":"t1","task_type":"approval"}"#),
        NotCompletable::NeedsVerdict
    );
    let approval = task(r#"{"id":"t1","task_type":"approval"}"#);
    assert!(Completion::rejecting(&approval).is_ok());
    assert_eq!(Completion::approving(&open_task()), Err(NotCompletable::NoVerdict));
}

#[test]
fn assignees_that_cannot_be_sent_back_whole_are_none() {
    for owners in [
        r#""odd""#,
        "{}",
        r#"{"users":[{"full_name":"Ada"}]}"#,
        r#"{"users":[7,true]}"#,
    ] {
        let task = task(&format!(r#"{{"id":"t1","owners":{owners}}}"#));
        assert_eq!(Assignees::of(&task), None, "{owners}");
    }
    assert_eq!(
        Assignees::of(&task(r#"{"id":"t1","owners":{"users":[]}}"#)),
        Some(Assignees::nobody())
    );
}

/// What is sent for these entries, or why nothing is.
fn encoded(field: &str, entries: &[Entry]) -> Vec<String> {
    let task = task(&format!(
        r#"{{"id":"t1","form_fields":[{{"id":"f1","label":"F",{field}}}]}}"#
    ));
    let encode = |entry: &Entry| match Form::of_task(&task).fill("f1", entry.clone()) {
        Ok(form) => format!("  {entry:?} -> {}", form.to_json()["f1"]),
        Err(error) => format!("  {entry:?} -> {error}"),
    };
    let head = std::iter::once(field.to_owned());
    head.chain(entries.iter().map(encode)).collect()
}

#[test]
fn an_entry_is_written_as_the_type_of_its_field_wants_it() {
    let choices = r#""options":[{"id":1,"text":"Gold"},{"id":2,"text":" Blue "},{"id":"x3","text":"1"}]"#;
    let time: tallyfy_runs::Timestamp = "2026-01-31T09:00:00.5Z".parse().unwrap();
    let entries = [
        Entry::from("Blue"),
        Entry::from("1"),
        Entry::from("2026-01-31"),
        Entry::from("a@example.com"),
        Entry::from(["Gold", "Blue"]),
        Entry::from(time),
        Entry::from(Assignees::nobody().with_user(7)),
        Entry::Cleared,
    ];
    let mut table = Vec::new();
    for field_type in [
        "text",
        "textarea",
        "email",
        "date",
        "radio",
        "dropdown",
        "multiselect",
        "assignees_form",
        "file",
        "new",
    ] {
        let options = if ["radio", "dropdown", "multiselect"].contains(&field_type) {
            choices
        } else {
            r#""options":[]"#
        };
        table.extend(encoded(&format!(r#""field_type":"{field_type}",{options}"#), &entries));
    }
    table.extend(encoded(
        r#""field_type":"table","columns":[{"id":1,"label":"A"},{"id":2,"label":"B"}]"#,
        &[Entry::from(["1", "2"]), Entry::from(["1"]), Entry::Cleared],
    ));
    table.extend(encoded(r#""guidance":"x""#, &[Entry::from("x")]));
    insta::assert_snapshot!("entries", table.join("\n"));
    let too_long = Form::of_kickoff(&template())
        .fill("Company", "x".repeat(201))
        .unwrap_err();
    assert_eq!(
        too_long.to_string(),
        "field `Company`: 201 characters, expected at most 200"
    );
}

#[test]
fn a_field_is_found_by_its_id_its_label_or_its_alias_and_never_guessed() {
    let form = || Form::of_kickoff(&template());
    for name in ["f1", "Company", "company"] {
        assert_eq!(
            form().fill(name, "Globex").unwrap().to_json().to_string(),
            r#"{"f1":"Globex"}"#
        );
    }
    assert_eq!(
        form().fill("Compny", "x"),
        Err(WrongEntry::NoSuchField("Compny".to_owned()))
    );
    assert_eq!(
        form().fill("Start", "x"),
        Err(WrongEntry::Ambiguous("Start".to_owned()))
    );
    assert_eq!(
        Form::of_task(&task(r#"{"id":"t1"}"#)).fill("F", "x"),
        Err(WrongEntry::NoFields)
    );
    assert_eq!(form().missing().count(), 1);
    assert_eq!(form().fill_raw("f1", 7.into()).missing().count(), 0);
    assert_eq!(form().fill("f1", Entry::Cleared).unwrap().missing().count(), 1);
}

#[tokio::test]
async fn a_write_whose_answer_broke_off_says_where_to_look() {
    let (client, _sent) = client(|| {
        Err(TransportError::new(
            ErrorKind::Interrupted,
            Method::DELETE,
            "/organizations/acme/runs/r1",
        ))
    });
    let Err(Error::OutcomeUnknown(why)) = client.archive_run("r1").await else {
        panic!("not known");
    };
    assert!(matches!(*why, WhyUnknown::NoAnswer(_)));
    assert!(why.to_string().starts_with("whether this was done is not known"));
}
