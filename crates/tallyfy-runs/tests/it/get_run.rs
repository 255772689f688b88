//! What is asked for, and what comes of an answer that is a run.

use tallyfy_model::RunId;
use tallyfy_runs::{Error, GetRunOptions, Include};

use crate::answering::{answer, client, get_r1};

async fn asked(run: &str, options: GetRunOptions) -> String {
    let body = format!(r#"{{"data":{{"id":{}}}}}"#, serde_json::to_string(run).unwrap());
    let (client, asked) = client(Ok(answer(200, body)));
    client.get_run(&RunId::from(run), &options).await.unwrap();
    asked.recv().unwrap()
}

#[tokio::test]
async fn by_default_it_asks_for_what_the_documentation_shows() {
    assert_eq!(
        asked("r1", GetRunOptions::default()).await,
        "GET /organizations/acme/runs/r1?with=checklist,tasks,tags,form_fields&form_fields_values=true"
    );
}

#[tokio::test]
async fn it_asks_for_no_more_than_the_options_say() {
    assert_eq!(
        asked("r1", GetRunOptions::none()).await,
        "GET /organizations/acme/runs/r1"
    );
    let includes = [
        Include::Tasks,
        Include::TasksFormFields,
        "ko-form-fields".parse().unwrap(),
    ];
    assert_eq!(
        asked("r1", GetRunOptions::none().with_includes(includes)).await,
        "GET /organizations/acme/runs/r1?with=tasks,tasks.form_fields,ko-form-fields"
    );
    assert_eq!(
        asked("r1", GetRunOptions::none().with_form_fields_values(true)).await,
        "GET /organizations/acme/runs/r1?form_fields_values=true"
    );
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_path() {
    for (id, path) in [
        ("a/../b", "a%2F..%2Fb"),
        ("a?with=x", "a%3Fwith%3Dx"),
        ("a b", "a%20b"),
        ("grün", "gr%C3%BCn"),
        ("100%", "100%25"),
        ("a#b", "a%23b"),
    ] {
        assert_eq!(
            asked(id, GetRunOptions::none()).await,
            format!("GET /organizations/acme/runs/{path}")
        );
    }
}

#[tokio::test]
async fn an_id_that_would_change_the_route_is_not_sent() {
    for id in ["", ".", ".."] {
        let (client, asked) = client(Ok(answer(200, "")));
        let error = client
            .get_run(&RunId::from(id), &GetRunOptions::none())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Unsendable(_)), "{error}");
        assert!(asked.try_recv().is_err(), "{id:?} was sent");
    }
}

#[tokio::test]
async fn the_json_of_the_run_stays_as_it_came() {
    let run =
        "{ \"id\" : \"r1\",\n\t\"big\": 12345678901234567890123, \"n\":1.50e+3,\"a\": \"\\u00e4\\/\",  \"a\":[ ] }";
    for body in [
        format!("{{\"data\":{run}}}"),
        format!("\u{feff}\r\n {{ \"meta\": [], \"data\" :  {run} , \"x\":1}}\n "),
        run.to_owned(),
        format!("  {run}\n"),
    ] {
        assert_eq!(get_r1(Ok(answer(200, body))).await.unwrap().raw(), run);
    }
}

#[tokio::test]
async fn a_run_needs_nothing_but_its_id() {
    for body in [
        r#"{"data":{"id":"r1"}}"#,
        r#"{"id":"r1"}"#,
        r#"{"data":{"id":"R1"}}"#,
        r#"{"data":{"id":"r1","name":[],"tasks":7,"tags":{"data":null},"progress":"x","prerun":false}}"#,
    ] {
        let run = get_r1(Ok(answer(200, body))).await;
        assert!(run.is_ok(), "{body}: {run:?}");
    }
    assert!(get_r1(Ok(answer(203, r#"{"data":{"id":"r1"}}"#))).await.is_ok());
}
