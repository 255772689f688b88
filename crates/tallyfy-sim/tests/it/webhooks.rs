//! What is sent to whom, and what the ledger says of it.

use std::time::Duration;

use serde_json::{Value, json};
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::quirks::{Quirks, WatcherForm, WebhookDateForm};
use tallyfy_sim::webhooks::{Notification, Outcome, WebhookKind};
use tallyfy_sim::world::{Completion, GUEST_LINK_MARK, Launch, StepDraft, TemplateDraft};
use tallyfy_sim::{SimConfig, Simulator};

use crate::receiver::Receiver;
use crate::simulator_with;

/// A simulator that sends the webhooks of its templates to `/template`, one after the other.
async fn sending_to(receiver: &Receiver) -> Simulator {
    let webhook_url = Some(receiver.url("/template"));
    simulator_with(SimConfig {
        webhook_url,
        webhook_concurrency: 1,
        ..SimConfig::default()
    })
    .await
}

fn events(notifications: &[Notification]) -> Vec<&'static str> {
    notifications.iter().map(|notification| notification.event).collect()
}

#[tokio::test]
async fn a_template_webhook_tells_of_launch_every_task_and_completion() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    let run = sim.launch("Globex").unwrap();
    while sim.complete_next(&run).unwrap().is_some() {}
    sim.settle().await;

    let ledger = sim.ledger().acknowledged();
    let task = "task.completed";
    assert_eq!(
        events(&ledger),
        ["process.launched", task, task, task, "process.completed"]
    );
    assert_eq!(
        ledger
            .iter()
            .map(|n| n.kind == WebhookKind::Process)
            .collect::<Vec<_>>(),
        [true, false, false, false, true]
    );
    let received = receiver.received();
    assert_eq!(received.len(), 5);
    for (webhook, notification) in received.iter().zip(&ledger) {
        assert_eq!(webhook.headers["x-tallyfy-orgid"], "northwind");
        assert_eq!(webhook.headers["content-type"], "application/json");
        assert_eq!(
            webhook.body, *notification.body,
            "the ledger has the bytes that were sent"
        );
        assert_eq!(notification.outcome, Outcome::Answered { status: 200 });
    }
    assert_eq!(received[0].json()["completed_at"], Value::Null);
    assert!(received[4].json()["completed_at"].is_string());
    assert_eq!(received[1].json()["this_task"]["id"], json!(ledger[1].task));
    assert_eq!(received[1].json()["process"]["id"], json!(run));
    assert_eq!(received[3].json()["next_task"], json!([]));
}

#[tokio::test]
async fn a_step_webhook_replaces_the_template_webhook_for_its_task() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    let draft = TemplateDraft::new("Two steps")
        .webhook(&receiver.url("/template"))
        .step(StepDraft::new("Plain"))
        .step(StepDraft::new("Special").webhook(&receiver.url("/step")));
    let template = sim.add_template(&draft).unwrap();
    let run = sim.launch_with(&Launch::of(&template)).unwrap();
    while sim.complete_next(&run).unwrap().is_some() {}
    sim.settle().await;
    assert_eq!(receiver.paths(), ["/template", "/template", "/step", "/template"]);
}

#[tokio::test]
async fn a_watcher_is_told_of_everything_in_few_words() {
    let receiver = Receiver::start().await;
    let watcher_url = Some(receiver.url("/watcher"));
    let sim = simulator_with(SimConfig {
        watcher_url,
        webhook_concurrency: 1,
        ..SimConfig::default()
    })
    .await;
    let run = sim.launch("Globex").unwrap();
    let task = sim.tasks(&run).unwrap()[0].id.clone();
    sim.change(|world| world.comment(&task, 1002, "hello")).unwrap();
    sim.change(|world| world.raise_issue(&task, 1002, "stuck")).unwrap();
    sim.change(|world| world.resolve_issues(&task, 1002, "done")).unwrap();
    sim.change(|world| world.assign(&task, tallyfy_sim::world::Assignees::default()))
        .unwrap();
    sim.quirks().set(Quirks {
        watcher_bodies: WatcherForm::EventOnly,
        ..Quirks::default()
    });
    sim.complete(&task).unwrap();
    sim.settle().await;
    let bodies: Vec<Value> = receiver
        .received()
        .iter()
        .map(crate::receiver::Received::json)
        .collect();
    let with_task = |event: &str| json!({"event": event, "task": {"id": task}});
    assert_eq!(
        bodies,
        [
            json!({"event": "process.launched", "process": {"id": run}}),
            with_task("task.comment_added"),
            with_task("task.issue_raised"),
            with_task("task.issue_resolved"),
            with_task("task.assigned"),
            json!({"event": "task.completed"}),
        ]
    );
}

#[tokio::test]
async fn completing_a_completed_task_tells_again_and_changes_nothing() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    let run = sim.launch("Globex").unwrap();
    let task = sim.complete_next(&run).unwrap().unwrap();
    let before = sim.run(&run).unwrap();
    sim.complete_with(&task, &Completion::new().by(1003)).unwrap();
    sim.settle().await;
    assert_eq!(sim.run(&run).unwrap().last_updated, before.last_updated);
    let received = receiver.received();
    assert_eq!(received[1].json()["this_task"], received[2].json()["this_task"]);
}

#[tokio::test]
async fn a_refused_webhook_is_not_tried_again() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    receiver.answer_with(&[500, 302, 404]);
    for name in ["a", "b", "c", "d"] {
        sim.launch(name).unwrap();
    }
    sim.settle().await;
    let outcomes: Vec<Outcome> = sim.ledger().notifications().into_iter().map(|n| n.outcome).collect();
    assert_eq!(
        outcomes,
        [500, 302, 404, 200].map(|status| Outcome::Answered { status })
    );
    assert_eq!(sim.ledger().acknowledged().len(), 1);
    assert_eq!(receiver.received().len(), 4);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_a_failure_in_the_ledger() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    sim.set_webhook_url(Some("http://127.0.0.1:9/closed")).unwrap();
    let run = sim.launch("Globex").unwrap();
    sim.settle().await;
    let notification = &sim.ledger().of_run(&run)[0];
    assert!(
        matches!(&notification.outcome, Outcome::Failed { error } if error.contains("refused")),
        "{notification:?}"
    );
    assert!(notification.sent);
}

#[tokio::test(start_paused = true)]
async fn a_silent_receiver_times_out() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    receiver.close_door();
    sim.launch("Globex").unwrap();
    let before = tokio::time::Instant::now();
    sim.settle().await;
    assert!(before.elapsed() >= Duration::from_secs(10));
    let notification = sim.ledger().get(1).unwrap();
    assert!(
        matches!(&notification.outcome, Outcome::Failed { error } if error.contains("timed out")),
        "{notification:?}"
    );
}

#[tokio::test]
async fn a_lost_webhook_stands_in_the_ledger_and_nowhere_else() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    sim.faults().once(Fault::WebhookLost);
    let (lost, told) = (sim.launch("Lost").unwrap(), sim.launch("Told").unwrap());
    sim.settle().await;
    assert_eq!(receiver.received().len(), 1);
    let lost = &sim.ledger().of_run(&lost)[0];
    assert_eq!((lost.sent, &lost.outcome), (false, &Outcome::Lost));
    assert!(sim.ledger().of_run(&told)[0].is_acknowledged());
}

#[tokio::test]
async fn a_duplicate_is_sent_twice_and_says_of_whom_it_is_one() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    sim.faults().once(Fault::WebhookDuplicated);
    sim.launch("Globex").unwrap();
    sim.settle().await;
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
    let duplicates: Vec<Option<u64>> = sim.ledger().acknowledged().iter().map(|n| n.duplicate_of).collect();
    assert_eq!(duplicates, [None, Some(1)]);
}

#[tokio::test]
async fn a_reordered_webhook_comes_after_the_next_one() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    sim.faults().once(Fault::WebhookReordered);
    for name in ["first", "second", "third"] {
        sim.launch(name).unwrap();
    }
    sim.settle().await;
    let names: Vec<Value> = receiver
        .received()
        .iter()
        .map(|webhook| webhook.json()["name"].clone())
        .collect();
    assert_eq!(names, ["second", "first", "third"].map(Value::from));
    sim.faults().once(Fault::WebhookReordered);
    sim.launch("alone").unwrap();
    sim.settle().await;
    assert_eq!(
        receiver.received().len(),
        4,
        "without a next one it goes when the dust settles"
    );
}

#[tokio::test(start_paused = true)]
async fn a_delayed_webhook_lets_others_pass() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    let slow = sim.faults().add(FaultRule::once(Fault::WebhookDelayed {
        by: Duration::from_secs(2),
    }));
    sim.launch("slow").unwrap();
    sim.launch("fast").unwrap();
    assert_eq!(slow.hits(), 1);
    let before = tokio::time::Instant::now();
    sim.settle().await;
    assert!(before.elapsed() >= Duration::from_secs(2));
    let names: Vec<Value> = receiver
        .received()
        .iter()
        .map(|webhook| webhook.json()["name"].clone())
        .collect();
    assert_eq!(names, ["fast", "slow"].map(Value::from));
}

#[tokio::test]
async fn no_more_webhooks_are_on_their_way_than_allowed() {
    let receiver = Receiver::start().await;
    let webhook_url = Some(receiver.url("/"));
    let sim = simulator_with(SimConfig {
        webhook_url,
        webhook_concurrency: 3,
        ..SimConfig::default()
    })
    .await;
    receiver.close_door();
    for number in 0..10 {
        sim.launch(&format!("Run {number}")).unwrap();
    }
    receiver.wait_for(3).await;
    let sent = sim.ledger().notifications().iter().filter(|n| n.sent).count();
    assert_eq!((sent, receiver.received().len(), sim.ledger().pending()), (3, 3, 10));
    receiver.open_door();
    sim.settle().await;
    assert_eq!(sim.ledger().acknowledged().len(), 10);
}

#[tokio::test]
async fn a_shutdown_leaves_no_webhook_pending() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    receiver.close_door();
    sim.launch("on its way").unwrap();
    receiver.wait_for(1).await;
    sim.launch("in the queue").unwrap();
    sim.faults().once(Fault::WebhookReordered);
    sim.launch("held").unwrap();
    sim.faults().once(Fault::WebhookDelayed {
        by: Duration::from_secs(3600),
    });
    sim.launch("delayed").unwrap();
    sim.shutdown().await;
    assert_eq!(
        (sim.ledger().len(), sim.ledger().pending(), receiver.received().len()),
        (4, 0, 1)
    );
}

#[tokio::test]
async fn dates_can_be_localized_as_far_as_the_setting_goes() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    for webhook_dates in WebhookDateForm::ALL {
        sim.quirks().set(Quirks {
            webhook_dates: *webhook_dates,
            ..Quirks::default()
        });
        let launch = Launch::of(&sim.founding().onboarding).answer("Start date", "2026-02-01");
        sim.launch_with(&launch).unwrap();
    }
    sim.settle().await;
    let dates: Vec<(Value, Value)> = receiver
        .received()
        .iter()
        .map(|webhook| {
            (
                webhook.json()["created_at"].clone(),
                webhook.json()["ko-form-fields"]["start-date"].clone(),
            )
        })
        .collect();
    let pair = |envelope: &str, answer: &str| (json!(envelope), json!(answer));
    assert_eq!(
        dates,
        [
            pair("2026-01-05T09:00:00Z", "2026-02-01"),
            pair("2026-01-05T09:00:00Z", "01/02/2026 12:00 AM UTC"),
            pair("05/01/2026 09:00 AM UTC", "01/02/2026 12:00 AM UTC"),
        ]
    );
}

#[tokio::test]
async fn guest_links_are_easy_to_find() {
    let receiver = Receiver::start().await;
    let sim = sending_to(&receiver).await;
    sim.launch("Globex").unwrap();
    sim.settle().await;
    let body = receiver.received()[0].json();
    let link = body["guest-links"]["riley@customer.example"]["link_for_guest"]
        .as_str()
        .unwrap();
    assert!(link.starts_with("https://") && link.contains(GUEST_LINK_MARK), "{link}");
}
