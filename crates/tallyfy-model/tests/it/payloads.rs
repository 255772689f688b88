//! What webhook bodies hold, typed.

use tallyfy_model::{Record as _, WebhookBody};

#[test]
fn a_task_body_says_who_completed_what_and_how_the_form_was_filled() {
    let body = include_bytes!("../fixtures/webhooks/task.json");
    let WebhookBody::Task(body) = WebhookBody::parse(body).unwrap() else {
        panic!("a task");
    };
    assert_eq!(body.surprises(), []);
    let mut lines = vec![format!("completed by {:?}", body.completed_by())];
    lines.extend(
        body.answers()
            .map(|(id, answer)| format!("{id}: {:?} {:?}", answer.label, answer.text())),
    );
    lines.extend(
        body.form_fields
            .entries()
            .map(|(alias, json)| format!("{alias}: {json}")),
    );
    lines.extend(
        body.process_tasks
            .entries()
            .map(|(alias, task)| format!("{alias}: {task}")),
    );
    lines.push(format!(
        "process {:?} {:?}",
        body.process.get().unwrap().id,
        body.process.get().unwrap().name
    ));
    lines.push(format!("template {:?}", body.template.get().unwrap().title));
    insta::assert_snapshot!("task_body", lines.join("\n"));
}

#[test]
fn a_process_body_is_a_run_with_its_launcher() {
    let body =
        br#"{"data":{"id":"r1","name":"Onboarding","status":"in-progress","prerun":{"f1":{"id":2,"text":"Blue"}},
        "launcher":{"id":"7","email":"a@example.com"},"ko-form-fields":{"colour":"Blue"},"process-tasks":{"call":"t1"},
        "guest-links":{"g@example.com":{"link_for_guest":"https://x/s3cret"}}}}"#;
    let WebhookBody::Process(body) = WebhookBody::parse(body).unwrap() else {
        panic!("a process");
    };
    assert_eq!(body.name.as_str(), Some("Onboarding"));
    assert_eq!(body.answers()[0].text().as_deref(), Some("Blue"));
    assert_eq!(
        body.further.launcher.get().unwrap().email.as_str(),
        Some("a@example.com")
    );
    assert_eq!(body.further.process_tasks.of("call").unwrap(), "t1");
    assert!(!format!("{body:?}").contains("s3cret"));
}

#[test]
fn forms_that_nobody_foresaw_harm_nothing() {
    for body in [
        r#"{"this_task":{"id":"t1","captures":[],"completed_by":{"email":"a@example.com"}},"process":{"id":"r1"},"next_task":[]}"#,
        r#"{"this_task":"t1","completer":[],"process":[],"next_task":{},"form-fields":[]}"#,
        r#"{"event":"task.completed","task":{"id":"t1"}}"#,
        r#"{"event":"task.completed","data":{"id":"t1"}}"#,
    ] {
        assert!(WebhookBody::parse(body.as_bytes()).is_ok(), "{body}");
    }
    assert!(WebhookBody::parse(b"{}").is_err());
}
