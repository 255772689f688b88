//! A task by its id alone.

use tallyfy_model::{Task, TaskId, WithJson};
use tallyfy_runs::{Error, GetTaskOptions};

use crate::answering::{answer, client};

async fn get_t1(body: &str) -> Result<WithJson<Task>, Error> {
    let (client, asked) = client(Ok(answer(200, body)));
    let task = client.get_task(&TaskId::from("t1"), &GetTaskOptions::default()).await;
    assert_eq!(asked.recv().unwrap(), "GET /organizations/acme/tasks/t1");
    task
}

#[tokio::test]
async fn a_task_names_its_run_however_it_is_wrapped() {
    for body in [
        r#"{"data":{"id":"t1","run_id":"r1"}}"#,
        r#"{"id":"t1","run_id":"r1"}"#,
        r#"{"data":[{"id":"t1","run_id":"r1"}]}"#,
        r#"{"data":{"data":{"id":"t1","run_id":"r1"}}}"#,
        r#"{"data":{"run_id":"r1"}}"#,
        r#"{"data":{"id":"T1","run_id":"r1"}}"#,
        "\u{feff}{\"data\":{\"run_id\":\"r1\",\"id\":\"t1\"}}",
    ] {
        let task = get_t1(body).await.unwrap();
        assert_eq!(task.run_id.get().unwrap().as_str(), "r1", "{body}");
    }
}

#[tokio::test]
async fn a_one_off_task_names_none() {
    for body in [
        r#"{"data":{"id":"t1","run_id":null}}"#,
        r#"{"data":{"id":"t1"}}"#,
        r#"{"data":{"id":"t1","run_id":""}}"#,
    ] {
        assert!(get_t1(body).await.unwrap().run_id.get().is_none(), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_task_is_an_error_that_says_what_it_is() {
    let mut table = Vec::new();
    for body in [
        "",
        "<html>",
        "[]",
        r#"{"data":null}"#,
        r#"{"data":[]}"#,
        r#"{"data":{}}"#,
        r#"{"data":"t1"}"#,
        r#"{"data":7}"#,
        r#"{"data":{"id":"t2","run_id":"r2"}}"#,
    ] {
        let shown = match get_t1(body).await {
            Ok(task) => format!("a task: {:?}", task.id),
            Err(error) => error.to_string(),
        };
        table.push(format!("{body}\n    {shown}"));
    }
    insta::assert_snapshot!("what_is_no_task", table.join("\n"));
}
