//! `handlers test`: a handler is tried before a webhook comes.

use std::fs;

use tempfile::TempDir;

use crate::handlers::{json, notify, receiver, script, start, until};

/// Runs `handlers test` with this configuration: what it prints, and its exit status.
async fn try_handler(folder: &TempDir, handlers: &str, arguments: &[&str]) -> (String, i32) {
    let file = folder.path().join("try.toml");
    let organization = "[[organizations]]\nid = \"acme\"\ntoken = \"t0ken-t0ken\"\n";
    fs::write(&file, format!("{organization}\n{handlers}")).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_runs-worker"));
    command
        .args(["handlers", "test", "--config"])
        .arg(file)
        .args(arguments)
        .env_clear();
    let output = command.output().await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (text, output.status.code().unwrap())
}

#[tokio::test]
async fn a_handler_is_tried_with_the_type_that_it_is_for_or_with_a_real_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let program = script(
        &folder,
        "program",
        &format!("cat > {}\necho took it >&2", out.display()),
    );
    let handlers = format!(
        "[store]\ndata_dir = \"{}\"\n[[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"{program}\"]\n\
         [handlers.filter]\nevents = [\"completed\"]",
        folder.path().join("data").display()
    );
    let (said, status) = try_handler(&folder, &handlers, &["run", "--type", "completed"]).await;
    assert!(
        said.starts_with("its filter lets such an event pass\nit said:\ntook it\nrun has taken the completed event ")
            && status == 0,
        "{said}"
    );
    let event = json(&fs::read(&out).unwrap());
    assert_eq!(
        (&event["type"], &event["data"]["run"]["status"]),
        (&"com.tallyfy.run.completed.v1".into(), &"complete".into())
    );
    let (said, _) = try_handler(&folder, &handlers, &["run", "--type", "archived"]).await;
    assert!(
        said.starts_with("its filter would keep such an event back (events); this one is sent all the same\n"),
        "{said}"
    );
    let (said, status) = try_handler(&folder, &handlers, &["run", "--type", "complete"]).await;
    assert!(status == 2 && said.contains("did you mean `completed`?"), "{said}");

    let (said, status) = try_handler(&folder, &handlers, &["run", "--run", "r1"]).await;
    assert!(status == 1 && said.contains("there is no store at "), "{said}");
    let worker = start(
        &folder,
        "[[handlers]]\nname = \"out\"\ntype = \"file\"\npath = \"/dev/null\"",
    )
    .await;
    notify(&worker, "r1").await;
    let known = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_runs-worker"))
            .args(["events", "list", "--data-dir"])
            .arg(folder.path().join("data"))
            .env_clear()
            .output()
            .unwrap()
            .status
            .success()
    };
    until(known).await;
    let (said, status) = try_handler(&folder, &handlers, &["run", "--type", "completed", "--run", "r1"]).await;
    worker.stop().await;
    assert!(status == 0, "{said}");
    let event = json(&fs::read(&out).unwrap());
    assert_eq!(
        (&event["subject"], &event["data"]["run"]["name"], &event["type"]),
        (
            &"r1".into(),
            &"Größe \"0\" %".into(),
            &"com.tallyfy.run.completed.v1".into()
        )
    );
    let (said, status) = try_handler(&folder, &handlers, &["run", "--run", "r2"]).await;
    assert_eq!(
        (said.as_str(), status),
        ("runs-worker: the store has no event of run r2\n", 3)
    );
}

#[tokio::test]
async fn a_handler_can_be_tried_with_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[200, 422, 410]).await;
    let handlers = format!("[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"");
    let (said, status) = try_handler(&folder, &handlers, &["crm"]).await;
    assert!(
        said.starts_with("its filter lets such an event pass\ncrm has taken the changed event ") && status == 0,
        "{said}"
    );
    let (_, body) = received.recv().await.unwrap();
    let event = json(&body);
    assert_eq!(
        (&event["subject"], &event["data"]["changes"][0]["kind"]),
        (&"sample".into(), &"task.completed".into())
    );

    let (said, status) = try_handler(&folder, &handlers, &["crm"]).await;
    assert_eq!(
        (said.as_str(), status),
        (
            "its filter lets such an event pass\nruns-worker: crm: answered 422: because of reasons; it would be tried again for a while, and then be a dead letter\nbecause\nof reasons\n",
            1
        )
    );
    let (said, status) = try_handler(&folder, &handlers, &["crm"]).await;
    assert!(
        said.contains("events would wait until the worker is started again") && status == 1,
        "{said}"
    );
    let (said, status) = try_handler(&folder, &handlers, &["cmr"]).await;
    assert_eq!(
        (said.as_str(), status),
        ("runs-worker: there is no handler `cmr`; did you mean `crm`?\n", 2)
    );
}
