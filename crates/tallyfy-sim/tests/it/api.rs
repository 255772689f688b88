//! Runs and tasks through the API.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tallyfy_sim::quirks::{Quirks, WatcherUrlForm};
use tallyfy_sim::world::{Actor, Assignees, Completion, Lag, Launch, RunStatus};
use tallyfy_sim::{SimConfig, Simulator};

use crate::http::{get, send};
use crate::{run_path, simulator, still_clock};

const EVERYTHING: &str = "checklist,tasks,tags,assets,next_task,permissions,tasks_meta,stages,folders,\
    ko_form_fields,form_fields,member_watchers,guest_watchers";

#[tokio::test]
async fn a_run_is_the_same_on_both_hosts() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let root = get(&sim, &run_path(&sim, &run, "")).await;
    let api = get(&sim, &format!("/api{}", run_path(&sim, &run, ""))).await;
    assert_eq!(root.text(), api.text());
    assert_eq!(root.data()["id"], json!(run));
}

#[tokio::test]
async fn an_include_is_there_only_when_asked_for() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let plain = get(&sim, &run_path(&sim, &run, "?with=nonsense,task")).await.data();
    let full = get(&sim, &run_path(&sim, &run, &format!("?with={EVERYTHING}")))
        .await
        .data();
    for include in EVERYTHING.split(',') {
        assert_eq!(plain.get(include), None, "{include}");
        assert!(
            full[include].get("data").is_some(),
            "{include} is not wrapped: {}",
            full[include]
        );
    }
    assert_eq!(full["stages"], json!({"data": []}));
    assert_eq!(full["tasks"]["data"].as_array().unwrap().len(), 3);
    assert_eq!(full["tasks"]["data"][0].get("step"), None);
    let nested = get(
        &sim,
        &run_path(&sim, &run, "?with=tasks.step,tasks.form_fields,tasks.threads"),
    )
    .await
    .data();
    let task = &nested["tasks"]["data"][0];
    assert_eq!(task["step"]["data"]["title"], task["title"]);
    assert_eq!(task["form_fields"]["data"][0]["label"], "Tax number");
    assert_eq!(task["threads"], json!({"data": []}));
}

#[tokio::test]
async fn answers_stand_in_form_fields_only_when_asked_for() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    sim.complete_next(&run).unwrap();
    let field = |data: Value| data["form_fields"]["data"][0].clone();
    let without = field(get(&sim, &run_path(&sim, &run, "?with=form_fields")).await.data());
    let with = field(
        get(&sim, &run_path(&sim, &run, "?with=form_fields&form_fields_values=true"))
            .await
            .data(),
    );
    assert_eq!(without.get("field_value"), None);
    assert!(with["field_value"].as_str().unwrap().starts_with("Tax number"));
}

#[tokio::test]
async fn a_run_goes_from_launch_to_completion_and_back() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let percent = |data: &Value| data["progress"]["percent"].as_f64().unwrap();
    let mut last_updated = String::new();
    let mut steps = Vec::new();
    for _ in 0..4 {
        let data = get(&sim, &run_path(&sim, &run, "")).await.data();
        let now = data["last_updated"].as_str().unwrap().to_owned();
        assert!(now > last_updated, "{now} after {last_updated}");
        last_updated = now;
        steps.push((
            data["status"].as_str().unwrap().to_owned(),
            percent(&data),
            data["completed_at"].is_string(),
        ));
        sim.complete_next(&run).unwrap();
    }
    let active = |percent| ("active".to_owned(), percent, false);
    assert_eq!(
        steps,
        [
            active(0.0),
            active(33.33),
            active(66.67),
            ("complete".to_owned(), 100.0, true)
        ]
    );
    let task = sim.tasks(&run).unwrap()[1].id.clone();
    sim.change(|world| world.reopen(&task)).unwrap();
    let data = get(&sim, &run_path(&sim, &run, "")).await.data();
    assert_eq!(
        (data["status"].as_str(), data["completed_at"].is_null()),
        (Some("active"), true)
    );
}

#[tokio::test]
async fn a_hidden_task_stays_in_the_list_and_out_of_the_count() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let first = sim.tasks(&run).unwrap()[0].id.clone();
    sim.change(|world| world.skip(&first)).unwrap();
    let data = get(&sim, &run_path(&sim, &run, "?with=tasks,next_task")).await.data();
    assert_eq!(data["tasks"]["data"][0]["status"], "auto-skipped");
    assert_eq!(data["progress"]["total"], 2);
    // The API goes by deadline: the third task is due before the second.
    assert_eq!(data["next_task"]["data"][0]["title"], "Kick-off call");
    assert!(sim.complete(&first).is_err());
}

#[tokio::test]
async fn a_guest_completes_with_answers_and_shows_by_address() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let tasks = sim.tasks(&run).unwrap();
    sim.complete_with(&tasks[1].id, &Completion::new().by_guest("riley@customer.example"))
        .unwrap();
    let answers = Completion::new()
        .answer("outcome", "Go")
        .answer("Notes", "<p>fine</p>")
        .by(1003);
    sim.complete_with(&tasks[2].id, &answers).unwrap();
    let data = get(&sim, &run_path(&sim, &run, "?with=tasks")).await.data();
    let (guest, member) = (&data["tasks"]["data"][1], &data["tasks"]["data"][2]);
    assert_eq!(
        (&guest["completer_id"], &guest["completer_guest"]),
        (&Value::Null, &json!("riley@customer.example"))
    );
    assert_eq!(
        (&member["completer_id"], &member["completer_guest"]),
        (&json!(1003), &Value::Null)
    );
    let values: Vec<&Value> = member["taskdata"].as_object().unwrap().values().collect();
    assert!(values.contains(&&json!("Go")) && values.contains(&&json!("<p>fine</p>")));
    assert_eq!(
        sim.run(&run).unwrap().tasks[1].completer,
        Some(Actor::Guest("riley@customer.example".to_owned()))
    );
}

#[tokio::test]
async fn a_bad_answer_is_unprocessable_and_changes_nothing() {
    let sim = simulator().await;
    let org = sim.org().to_owned();
    let run = sim.launch("Globex").unwrap();
    let before = sim.run(&run).unwrap();
    let task = &before.tasks[2];
    let outcome = &task.captures[0].id;
    let body = json!({"taskdata": {outcome: {"id": 1, "text": "Go"}}}).to_string();
    let answer = send(&sim, "PUT", &format!("/organizations/{org}/tasks/{}", task.id), &body).await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.json(),
        json!({"error": true, "errors": {"outcome": ["must be the text of an option"]}})
    );
    assert_eq!(sim.run(&run).unwrap().last_updated, before.last_updated);
    let launch = json!({"checklist_id": before.template.id, "name": "x", "prerun": []}).to_string();
    assert_eq!(
        send(&sim, "POST", &format!("/organizations/{org}/runs"), &launch)
            .await
            .status,
        422
    );
}

#[tokio::test]
async fn a_task_is_found_with_and_without_its_run() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let task = sim.tasks(&run).unwrap()[0].id.clone();
    let with = get(&sim, &run_path(&sim, &run, &format!("/tasks/{task}"))).await.data();
    let without = get(&sim, &format!("/organizations/{}/tasks/{task}", sim.org()))
        .await
        .data();
    assert_eq!(with, without);
    assert_eq!(with["run_id"], json!(run));
    assert!(with["summary"].is_string(), "a single task has its summary");
    let listed = get(&sim, &run_path(&sim, &run, "/tasks")).await.data();
    assert_eq!(listed[0].get("summary"), None);
    assert_eq!(
        sim.requests().of_run(&run),
        3,
        "the call without a run counts for the task's run"
    );
}

#[tokio::test]
async fn a_replica_that_lags_shows_an_earlier_state() {
    let clock = still_clock();
    let sim = Simulator::start(SimConfig {
        clock: Arc::new(clock.clone()),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let run = sim.launch("Globex").unwrap();
    clock.advance(Duration::from_secs(10));
    sim.complete_next(&run).unwrap();
    let complete = async || {
        let answer = get(&sim, &run_path(&sim, &run, "")).await;
        (answer.status == 200).then(|| answer.data()["progress"]["complete"].as_u64().unwrap())
    };
    assert_eq!(complete().await, Some(1));
    sim.set_lag(Lag::Versions(1));
    assert_eq!(complete().await, Some(0));
    sim.set_lag(Lag::Versions(2));
    assert_eq!(complete().await, None, "the launch has not arrived yet");
    assert_eq!(
        get(&sim, &run_path(&sim, &run, "/tasks")).await.data(),
        json!([]),
        "a fresh run lists no tasks"
    );
    sim.set_lag(Lag::Time(Duration::from_secs(3)));
    assert_eq!(complete().await, Some(0));
    clock.advance(Duration::from_secs(4));
    assert_eq!(complete().await, Some(1));
}

#[tokio::test]
async fn the_run_list_is_filtered_as_documented() {
    let sim = simulator().await;
    let founding = sim.founding().clone();
    let tagged = sim
        .launch_with(
            &Launch::of(&founding.onboarding)
                .named("Tagged")
                .tagged(&founding.tags[0]),
        )
        .unwrap();
    let done = sim.launch("Done").unwrap();
    while sim.complete_next(&done).unwrap().is_some() {}
    let other = sim
        .launch_with(&Launch::of(&founding.every_field).named("Other template").by(1003))
        .unwrap();
    let archived = sim.launch("Archived").unwrap();
    sim.change(|world| world.archive(&archived)).unwrap();
    let trouble = sim.launch("Trouble").unwrap();
    let task = sim.tasks(&trouble).unwrap()[0].id.clone();
    sim.change(|world| world.raise_issue(&task, 1002, "stuck")).unwrap();
    let issue = sim.launch("Issue").unwrap();
    sim.change(|world| world.set_run_issue(&issue, true)).unwrap();
    assert_eq!(sim.run(&issue).unwrap().status(), RunStatus::Issue);
    assert_eq!(sim.run(&other).unwrap().started_by, 1003);
    assert_eq!(sim.run(&tagged).unwrap().tags.len(), 1);

    let cases = [
        ("", "Issue, Trouble, Other template, Done, Tagged"),
        ("sort=created_at", "Tagged, Done, Other template, Trouble, Issue"),
        ("sort=name", "Done, Issue, Other template, Tagged, Trouble"),
        ("sort_by=-name", "Trouble, Tagged, Other template, Issue, Done"),
        ("q=T%65mplate", "Other template"),
        ("q=other+template", ""),
        ("status=complete", "Done"),
        ("status=active", "Other template, Tagged"),
        ("status=problem", "Issue, Trouble"),
        ("status=issue", "Issue"),
        ("archived=only", "Archived"),
        ("archived=true&q=d", "Archived, Done, Tagged"),
        (&format!("tag={}", founding.tags[0]), "Tagged"),
        ("untagged=true&status=complete", "Done"),
        (&format!("checklist_id={}", founding.every_field), "Other template"),
        (&format!("blueprint_id={}", founding.every_field), "Other template"),
        ("owners=1003&status=active", "Other template, Tagged"),
        ("owners=1002&status=active", "Tagged"),
        ("type=form", ""),
        ("task_status=completed", "Done"),
        (
            "updated_since=2030-01-01&modified_after=x",
            "Issue, Trouble, Other template, Done, Tagged",
        ),
    ];
    for (query, expected) in cases {
        let data = get(&sim, &format!("/organizations/{}/runs?{query}", sim.org()))
            .await
            .data();
        let names: Vec<&str> = data
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(", "), expected, "{query}");
    }
}

#[tokio::test]
async fn tasks_are_filtered_and_sorted_as_documented() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    sim.complete_next(&run).unwrap();
    sim.change(|world| world.add_task(&run, "Send a gift", Assignees::default(), None))
        .unwrap();
    let cases = [
        (
            "",
            "Collect documents, Confirm the contract, Kick-off call, Send a gift",
        ),
        ("?status=complete", "Collect documents"),
        ("?status=active", "Confirm the contract, Kick-off call, Send a gift"),
        ("?sort=-position&per_page=2", "Send a gift, Kick-off call"),
        (
            "?sort=deadline&status=active",
            "Send a gift, Kick-off call, Confirm the contract",
        ),
        ("?owners=1003", "Kick-off call"),
        ("?guests=riley@customer.example", "Confirm the contract"),
        ("?unassigned=true", "Send a gift"),
    ];
    for (query, expected) in cases {
        let data = get(&sim, &run_path(&sim, &run, &format!("/tasks{query}"))).await.data();
        let titles: Vec<&str> = data
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["title"].as_str().unwrap())
            .collect();
        assert_eq!(titles.join(", "), expected, "{query}");
    }
}

#[tokio::test]
async fn a_deleted_run_is_gone_with_its_tasks() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let task = sim.tasks(&run).unwrap()[0].id.clone();
    sim.change(|world| world.delete(&run)).unwrap();
    assert_eq!(get(&sim, &run_path(&sim, &run, "")).await.status, 404);
    assert_eq!(
        get(&sim, &format!("/organizations/{}/tasks/{task}", sim.org()))
            .await
            .status,
        404
    );
    assert_eq!(
        get(&sim, &format!("/organizations/{}/runs", sim.org())).await.data(),
        json!([])
    );
    assert!(sim.complete(&task).is_err());
}

#[tokio::test]
async fn a_change_that_names_nobody_detaches_everybody() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let renamed = send(&sim, "PUT", &run_path(&sim, &run, ""), r#"{"name":"Initech"}"#)
        .await
        .data();
    assert_eq!((&renamed["name"], &renamed["users"]), (&json!("Initech"), &json!([])));
}

#[tokio::test]
async fn a_watcher_is_registered_by_an_administrator_who_says_for_what() {
    let sim = simulator().await;
    let (org, admin) = (sim.org().to_owned(), sim.founding().admin);
    let add = format!("/organizations/{org}/users/{admin}/add-watcher");
    let body = |org: &str, url: &str| {
        json!({"object_type": "organization", "object_id": org, "notification_type": "webhook",
               "frequency": "electric", "webhook": url})
        .to_string()
    };
    for wrong in [
        body("other", "https://a.example"),
        body(&org, "no URL"),
        "{}".to_owned(),
    ] {
        assert_eq!(send(&sim, "POST", &add, &wrong).await.status, 422, "{wrong}");
    }
    let added = send(&sim, "POST", &add, &body(&org, "https://a.example")).await;
    assert_eq!(added.status, 201);
    let id = added.data()["id"].clone();
    let list = format!("/organizations/{org}/watchers?notification=webhook");
    for (form, name) in [
        (WatcherUrlForm::Webhook, "webhook"),
        (WatcherUrlForm::WebhookUrl, "webhook_url"),
        (WatcherUrlForm::Url, "url"),
    ] {
        sim.quirks().set(Quirks {
            watcher_urls: form,
            ..Quirks::default()
        });
        assert_eq!(
            get(&sim, &list).await.data(),
            json!([{"id": id, name: "https://a.example"}])
        );
    }
    let remove = format!("/organizations/{org}/remove-watcher/{id}");
    assert_eq!(send(&sim, "DELETE", &remove, "").await.status, 200);
    assert_eq!(get(&sim, &list).await.data(), json!([]));

    sim.add_token("member", &org, sim.founding().member);
    let mut headers = crate::http::good_headers(&sim);
    headers[0].1 = "Bearer member".to_owned();
    let refused = crate::http::call(sim.address(), "GET", &list, &headers, "").await;
    assert_eq!(refused.status, 403);
}
