//! What is owed by announcements, what pays it, and which answer is older than what is known.

use proptest::prelude::*;
use serde_json::{Value, json};
use tallyfy_model::{Announced, Run, Webhook};
use tallyfy_runs::{Owed, older_than};

fn run(json: &Value) -> Run {
    Run::from_json(&json.to_string()).unwrap()
}

/// The time this many seconds after the beginning.
fn at(second: usize) -> String {
    format!("2026-01-31T09:{:02}:{:02}Z", second / 60, second % 60)
}

fn announced(body: &Value) -> Announced {
    Webhook::parse(body.to_string().as_bytes()).unwrap().announced
}

fn task_completed(task: &str, second: usize) -> Announced {
    announced(&json!({ "this_task": { "id": task, "completed_at": at(second) }, "process": { "id": "r1" } }))
}

#[test]
fn a_debt_is_paid_only_by_a_state_that_shows_it() {
    let mut owed = Owed::default();
    owed.raise(&task_completed("t1", 10));
    owed.raise(&task_completed("t2", 20));
    let state = |second: usize, t1: &str, t2: &str| {
        run(&json!({ "id": "r1", "last_updated": at(second), "tasks": [
            { "id": "t1", "status": t1 }, { "id": "t2", "status": t2 },
        ] }))
    };
    let shown = |run: &Run| owed.unpaid(run).map(|behind| behind.to_string());
    assert_eq!(
        shown(&state(9, "active", "active")).unwrap(),
        "task t1 not complete, but announced so"
    );
    assert_eq!(
        shown(&state(10, "completed", "active")).unwrap(),
        "task t2 not complete, but announced so"
    );
    assert_eq!(shown(&state(20, "completed", "completed")), None);
    // Reopened since.
    assert_eq!(shown(&state(21, "active", "completed")), None);

    let mut partly = owed.clone();
    partly.pay(&state(10, "completed", "active"));
    assert_eq!(
        partly.unpaid(&state(10, "active", "active")).unwrap().to_string(),
        "task t2 not complete, but announced so"
    );
    partly.pay(&state(20, "completed", "completed"));
    assert!(partly.is_paid());
}

#[test]
fn what_an_answer_does_not_tell_pays_nothing_and_what_was_not_asked_for_cannot() {
    let owed = Owed::by(&task_completed("t1", 10));
    for unpaid in [
        json!({ "id": "r1", "tasks": null }),
        json!({ "id": "r1", "tasks": { "data": null } }),
        json!({ "id": "r1", "tasks": [] }),
        json!({ "id": "r1", "tasks": [{ "id": "t1", "completed_at": "0000-00-00 00:00:00" }] }),
    ] {
        assert!(owed.unpaid(&run(&unpaid)).is_some(), "{unpaid}");
    }
    assert_eq!(owed.unpaid(&run(&json!({ "id": "r1" }))), None);
}

#[test]
fn a_completion_that_has_no_time_is_owed_too() {
    let body = json!({ "id": "r1", "name": "x", "status": "completed", "completed_at": null, "last_updated": at(10) });
    let owed = Owed::by(&announced(&body));
    let state = |second: usize, status: &str| run(&json!({ "id": "r1", "last_updated": at(second), "status": status }));
    assert!(owed.unpaid(&state(10, "active")).is_some());
    assert_eq!(owed.unpaid(&state(10, "Complete")), None);
    assert_eq!(owed.unpaid(&state(11, "active")), None, "reopened since");
}

#[test]
fn an_earlier_completion_does_not_pay_for_a_later_one() {
    let body = json!({ "id": "r1", "name": "x", "completed_at": at(20) });
    let owed = Owed::by(&announced(&body));
    let state = |completed: usize| run(&json!({ "id": "r1", "status": "complete", "completed_at": at(completed) }));
    assert!(owed.unpaid(&state(5)).is_some());
    assert_eq!(owed.unpaid(&state(20)), None);
}

#[test]
fn a_debt_survives_being_written_down() {
    let mut owed = Owed::by(&task_completed("t1", 10));
    owed.raise(&announced(
        &json!({ "id": "r1", "name": "x", "completed_at": at(20), "last_updated": at(21) }),
    ));
    let written = serde_json::to_string(&owed).unwrap();
    assert_eq!(serde_json::from_str::<Owed>(&written).unwrap(), owed);
    assert_eq!(serde_json::to_string(&Owed::default()).unwrap(), "{}");
}

#[test]
fn an_answer_is_older_by_its_time_or_within_one_second_by_what_it_lacks() {
    let done = json!([{ "id": "t1", "status": "completed" }]);
    let open = json!([{ "id": "t1", "status": "active" }]);
    let state = |updated: &str, status: &str, tasks: &Value| {
        run(&json!({ "id": "r1", "last_updated": updated, "status": status, "tasks": tasks }))
    };
    let known = state("2026-01-31T09:00:05.700Z", "complete", &done);
    for (what, updated, status, tasks, expected) in [
        ("the same", "2026-01-31T09:00:05.700Z", "complete", &done, None),
        ("later", "2026-01-31T09:00:06Z", "active", &open, None),
        (
            "earlier",
            "2026-01-31T09:00:04Z",
            "complete",
            &done,
            Some("last updated"),
        ),
        (
            "earlier by milliseconds",
            "2026-01-31T09:00:05.600Z",
            "complete",
            &done,
            Some("last updated"),
        ),
        (
            "not complete",
            "2026-01-31T09:00:05Z",
            "active",
            &done,
            Some("not complete, but known to be"),
        ),
        (
            "a task is open",
            "2026-01-31 09:00:05",
            "complete",
            &open,
            Some("task t1 not complete, but known to be"),
        ),
        (
            "no tasks were told",
            "2026-01-31T09:00:05Z",
            "complete",
            &Value::Null,
            None,
        ),
    ] {
        let older = older_than(&state(updated, status, tasks), &known).map(|older| older.to_string());
        match expected {
            None => assert_eq!(older, None, "{what}"),
            Some(start) => assert!(
                older.as_deref().is_some_and(|older| older.starts_with(start)),
                "{what}: {older:?}"
            ),
        }
    }
}

/// What happens to a run of three tasks, a second or more after what happened before.
#[derive(Clone, Debug)]
enum Step {
    Complete(usize),
    Reopen(usize),
    Rename,
}

fn steps() -> impl Strategy<Value = Vec<(Step, usize)>> {
    let step = prop_oneof![
        3 => (0_usize..3).prop_map(Step::Complete),
        1 => (0_usize..3).prop_map(Step::Reopen),
        1 => Just(Step::Rename),
    ];
    prop::collection::vec((step, 1_usize..3), 1..12)
}

/// The states that the run goes through, and what is announced of each.
fn states(steps: &[(Step, usize)]) -> Vec<(Value, Vec<Announced>)> {
    let mut now = 0;
    let mut done: [Option<usize>; 3] = [None; 3];
    let mut states = Vec::new();
    for (step, pause) in steps {
        now += pause;
        let mut told = Vec::new();
        match *step {
            Step::Complete(task) if done[task].is_none() => {
                done[task] = Some(now);
                told.push(task_completed(&format!("t{task}"), now));
            }
            Step::Reopen(task) => done[task] = None,
            _ => {}
        }
        let completed = done
            .iter()
            .all(Option::is_some)
            .then(|| done.iter().flatten().max().copied())
            .flatten();
        let mut state = json!({
            "id": "r1", "name": "x", "last_updated": at(now), "completed_at": completed.map(at),
            "status": if completed.is_some() { "complete" } else { "active" },
        });
        told.push(announced(&state));
        let task =
            |(task, done): (usize, &Option<usize>)| json!({ "id": format!("t{task}"), "completed_at": done.map(at) });
        state["tasks"] = done.iter().enumerate().map(task).collect();
        states.push((state, told));
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However many announcements came, in any order and some of them twice, the newest state that they announce pays
    /// them all, and an older one does not.
    #[test]
    fn the_newest_state_pays_everything_and_an_older_one_does_not(
        steps in steps(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let states = states(&steps);
        let all: Vec<&Announced> = states.iter().flat_map(|(_, told)| told).collect();
        let mut owed = Owed::default();
        for announced in order.iter().map(|index| *index.get(&all)).chain(all.iter().rev().copied()) {
            owed.raise(announced);
        }
        let (newest, before) = states.split_last().unwrap();
        for (older, _) in before {
            prop_assert!(owed.unpaid(&run(older)).is_some());
            prop_assert!(older_than(&run(older), &run(&newest.0)).is_some());
        }
        // Lagging answers may come in between, whatever they pay.
        for (older, _) in before {
            owed.pay(&run(older));
            prop_assert!(!owed.is_paid());
        }
        owed.pay(&run(&newest.0));
        prop_assert!(owed.is_paid(), "{:?}", owed);
    }

    #[test]
    fn the_order_of_announcements_makes_no_difference(steps in steps(), turned in any::<bool>()) {
        let states = states(&steps);
        let all: Vec<&Announced> = states.iter().flat_map(|(_, told)| told).collect();
        let (mut one, mut other) = (Owed::default(), Owed::default());
        for announced in &all {
            one.raise(announced);
        }
        let (first, second) = all.split_at(all.len() / 2);
        for announced in second.iter().rev() {
            other.raise(announced);
        }
        let mut rest = Owed::default();
        first.iter().for_each(|announced| rest.raise(announced));
        if turned {
            std::mem::swap(&mut other, &mut rest);
        }
        other.merge(&rest);
        other.merge(&one);
        prop_assert_eq!(one, other);
    }
}
