//! What is read out of webhook bodies.

use tallyfy_model::{UnreadableWebhook, Webhook};

/// What a body says, a line for each thing that it says.
fn shown(body: &[u8]) -> String {
    let webhook = match Webhook::parse(body) {
        Ok(webhook) => webhook,
        Err(UnreadableWebhook::Json(_)) => return "  refused: not JSON".to_owned(),
        Err(reason) => return format!("  refused: {reason}"),
    };
    let announced = serde_json::to_string(&webhook.announced).unwrap();
    let members = [
        ("kind", Some(webhook.kind.to_string())),
        ("org", webhook.org.map(|org| org.to_string())),
        ("run", webhook.run.map(|run| run.to_string())),
        ("task", webhook.task.map(|task| task.to_string())),
        ("event", webhook.event),
        ("at", webhook.occurred_at.map(|at| at.to_string())),
        ("announced", Some(announced).filter(|announced| announced != "{}")),
        ("key", webhook.dedupe_key),
    ];
    let lines = members
        .into_iter()
        .filter_map(|(name, value)| Some(format!("  {name}: {}", value?)));
    lines.collect::<Vec<_>>().join("\n")
}

fn all_shown<B: AsRef<[u8]>>(bodies: &[(&str, B)]) -> String {
    let shown = bodies
        .iter()
        .map(|(what, body)| format!("{what}\n{}", shown(body.as_ref())));
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn task_payloads() {
    let shown = all_shown(&[
        ("as documented", include_str!("../fixtures/webhooks/task.json")),
        (
            "localized dates",
            include_str!("../fixtures/webhooks/task_with_localized_dates.json"),
        ),
        (
            "completed by somebody with only an email",
            r#"{"this_task":{"id":"t1","completed_at":"2025-10-15T09:00:00Z","completed_by":{"email":"a@example.com"}},
                "process":{"id":"r1"}}"#,
        ),
        (
            "no process",
            r#"{"this_task":{"id":"t1","completed_at":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "run id inside the task",
            r#"{"this_task":{"id":"t1","run_id":"r1","completed_at":null},"process":[]}"#,
        ),
        (
            "process without an id, run beside it",
            r#"{"this_task":{"id":"t1"},"process":{"name":"x"},"run":{"id":"r1"}}"#,
        ),
        ("no time", r#"{"this_task":{"id":"t1"},"process":{"id":"r1"}}"#),
        (
            "ids as numbers",
            r#"{"this_task":{"id":11},"process":{"id":7,"organization_id":3}}"#,
        ),
        ("task as a bare id", r#"{"this_task":"t1","process":"r1"}"#),
        (
            "this_task of a foreign type",
            r#"{"this_task":true,"process":{"id":"r1"}}"#,
        ),
        (
            "this_task wrapped",
            r#"{"this_task":{"data":{"id":"t1"}},"process":{"data":{"id":"r1"}}}"#,
        ),
        (
            "in an envelope",
            r#"{"data":{"this_task":{"id":"t1"},"process":{"id":"r1","organization_id":"o1"}}}"#,
        ),
        (
            "in an envelope that names the organization",
            r#"{"organization_id":"o1","data":{"this_task":{"id":"t1"},"process":{"id":"r1"}}}"#,
        ),
        (
            "with an event of its own",
            r#"{"event":"task.assigned","this_task":{"id":"t1","completed_at":"2025-10-15T09:00:00Z"},"process":{"id":"r1"}}"#,
        ),
        (
            "a number out of range, half a surrogate pair and a deep member",
            &format!(
                r#"{{"this_task":{{"id":"t1","status":1e999}},"process":{{"id":"r1","name":"\ud800"}},"prerun":{}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn next_task_makes_no_difference() {
    let with = |next: &str| {
        let body = format!(
            r#"{{"this_task":{{"id":"t1","completed_at":"2025-10-15T09:00:00Z"}},"process":{{"id":"r1"}}{next}}}"#
        );
        Webhook::parse(body.as_bytes()).unwrap()
    };
    for next in [
        r#","next_task":[]"#,
        r#","next_task":{}"#,
        r#","next_task":null"#,
        r#","next_task":{"id":"t2"}"#,
    ] {
        assert_eq!(with(next), with(""), "{next}");
    }
}

#[test]
fn process_payloads() {
    let shown = all_shown(&[
        ("at launch", include_str!("../fixtures/webhooks/process_at_launch.json")),
        (
            "at completion",
            include_str!("../fixtures/webhooks/process_at_completion.json"),
        ),
        (
            "archived under way",
            r#"{"id":"r1","name":"x","completed_at":null,"archived_at":"2025-10-16T09:00:00Z","last_updated":"2025-10-15T09:00:00Z"}"#,
        ),
        (
            "archived after completion",
            r#"{"id":"r1","name":"x","completed_at":"2025-10-14T09:00:00Z","archived_at":"2025-10-16T09:00:00Z","last_updated":"2025-10-15T09:00:00Z"}"#,
        ),
        (
            "in an envelope",
            r#"{"data":{"id":"r1","name":"x","organization_id":"o1","last_updated":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "with a byte order mark",
            "\u{feff}{\"id\":\"r1\",\"status\":\"in-progress\"}",
        ),
        (
            "pretty-printed",
            "{\r\n\t\"id\" : \"r1\" ,\r\n\t\"name\" : \"x\"\r\n}\r\n",
        ),
        (
            "id as number",
            r#"{"id":7,"checklist_id":"c1","started_at":"2025-10-15"}"#,
        ),
        ("status of a foreign type", r#"{"id":"r1","status":7}"#),
        ("progress of a foreign type", r#"{"id":"r1","progress":[[]]}"#),
        (
            "localized dates",
            r#"{"id":"r1","name":"x","last_updated":"15/10/2025 09:00 AM CST"}"#,
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn organization_events() {
    let shown = all_shown(&[
        ("a task's id", r#"{"event":"task.completed","task":{"id":"T1"}}"#),
        ("a task as a bare id", r#"{"event":"task.completed","task":"T1"}"#),
        (
            "a task with its run's id",
            r#"{"event":"task.completed","task":{"id":"t1","run_id":"r1","completed_at":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "a comment on a task that was completed before",
            r#"{"event":"task.comment_added","task":{"id":"t1","run_id":"r1","completed_at":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "a process",
            r#"{"event":"process.launched","process":{"id":"r1","organization_id":"o1","last_updated":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "a run wrapped",
            r#"{"event":"process.launched","run":{"data":{"id":"r1"}}}"#,
        ),
        ("a run as a bare id", r#"{"event":"process.completed","run":7}"#),
        (
            "a run's id alone",
            r#"{"event":"process.completed","run_id":"r1","org_id":"o1"}"#,
        ),
        (
            "a process' id alone",
            r#"{"event":"process.completed","process_id":"r1"}"#,
        ),
        (
            "a task's id alone",
            r#"{"event":"task.assigned","task_id":"t1","timestamp":"2025-10-15 09:00:00"}"#,
        ),
        (
            "in data",
            r#"{"event":"task.assigned","created_at":"2025-10-15","data":{"task":{"id":"t1","run":{"id":"r1"}},"organization_id":"o1"}}"#,
        ),
        (
            "data is the task",
            r#"{"event":"task.completed","data":{"id":"t1","run_id":"r1","title":"x","status":"completed","completed_at":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "data is the process",
            r#"{"event":"process.completed","data":{"id":"r1","name":"x","created_at":"2025-10-01","completed_at":"2025-10-15T09:00:00Z"}}"#,
        ),
        (
            "data is a task payload",
            r#"{"event":"task.completed","data":{"this_task":{"id":"t1"},"process":{"id":"r1"}}}"#,
        ),
        (
            "the event among the process' own members",
            r#"{"event":"process.completed","id":"r1","name":"x","created_at":"2025-10-01","completed_at":"2025-10-15T09:00:00Z"}"#,
        ),
        (
            "an id of the event itself",
            r#"{"event":"task.issue_raised","id":"e1","occurred_at":"2025-10-15","task":{"id":"t1"}}"#,
        ),
        (
            "an event nobody knows",
            r#"{"event":"process.painted","process":{"id":"r1"}}"#,
        ),
        ("an event of a foreign type", r#"{"event":7,"process":{"id":"r1"}}"#),
        (
            "an event too long to be one",
            &format!(r#"{{"event":"{}","process":{{"id":"r1"}}}}"#, "x".repeat(65)),
        ),
        (
            "an event with control characters",
            r#"{"event":"task.completed\nforged=1","process":{"id":"r1"}}"#,
        ),
        (
            "a time too long to be one",
            &format!(
                r#"{{"event":"task.completed","task":{{"id":"t1","completed_at":"{}"}}}}"#,
                "9".repeat(65)
            ),
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_no_webhook() {
    let long = "a".repeat(129);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let nested = r#"{"data":"#.repeat(120) + r#"{"id":"r1","name":"x"}"# + &"}".repeat(120);
    let shown = all_shown::<Vec<u8>>(&[
        ("empty", b"".to_vec()),
        ("empty object", b"{}".to_vec()),
        ("null", b"null".to_vec()),
        ("array", br#"[{"id":"r1","name":"x"}]"#.to_vec()),
        ("text", b"hello".to_vec()),
        ("string", br#""hello""#.to_vec()),
        ("form", b"payload=%7B%22id%22%3A%22r1%22%7D".to_vec()),
        ("cut off", br#"{"id":"r1","name":"#.to_vec()),
        (
            "two bodies",
            br#"{"id":"r1","name":"x"}{"id":"r1","name":"x"}"#.to_vec(),
        ),
        ("event alone", br#"{"event":"task.assigned"}"#.to_vec()),
        ("an id alone", br#"{"id":"r1"}"#.to_vec()),
        (
            "no ids",
            br#"{"this_task":{"title":"x"},"process":{"name":"x"}}"#.to_vec(),
        ),
        ("id with a slash", br#"{"id":"../r1","name":"x"}"#.to_vec()),
        ("id with a line break", br#"{"id":"r1\nx","name":"x"}"#.to_vec()),
        ("id too long", format!(r#"{{"id":"{long}","name":"x"}}"#).into_bytes()),
        (
            "task id with a slash, run id without",
            br#"{"this_task":{"id":"t/1"},"process":{"id":"r1"}}"#.to_vec(),
        ),
        (
            "organization with a slash",
            br#"{"id":"r1","name":"x","organization_id":"a/b"}"#.to_vec(),
        ),
        ("deep", deep.into_bytes()),
        ("envelopes without end", nested.into_bytes()),
        ("open brackets", vec![b'['; 4 << 20]),
        ("not UTF-8", b"{\"id\":\"r\xff\",\"name\":\"x\"}".to_vec()),
        ("not UTF-8 in a name", b"{\"id\":\"r1\",\"name\":\"\xff\"}".to_vec()),
        (
            "UTF-16",
            "{\"id\":\"r1\"}".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_named_goes_before_the_id_of_an_envelope() {
    let shown = all_shown(&[
        ("a task alone", r#"{"id":"t1","run_id":"r1","step_id":"s1"}"#),
        (
            "a task alone as the API shows it",
            r#"{"id":"t1","run_id":"r1","checklist_id":"c1","title":"x","status":"completed","taskdata":[],
                "completed_at":"2025-10-15T09:00:00Z"}"#,
        ),
        (
            "a task alone, done without a time",
            r#"{"data":{"id":"t1","run_id":"r1","step_id":null,"status":"Complete","completed_at":null}}"#,
        ),
        (
            "a run's id beside another",
            r#"{"id":"e1","run_id":"r1","status":"completed","completed_at":null}"#,
        ),
        (
            "a process beside another id",
            r#"{"id":"e1","name":"x","process":{"id":"r1"}}"#,
        ),
        (
            "a task's id beside another",
            r#"{"id":"e1","task_id":"t1","status":"active"}"#,
        ),
        (
            "a task beside another id",
            r#"{"id":"e1","name":"x","task":{"id":"t1","run_id":"r1"}}"#,
        ),
        ("a run's id alone", r#"{"run_id":"r1"}"#),
        (
            "in the data of an event",
            r#"{"event":"task.completed","id":"e1","data":{"id":"d1","task_id":"t1","run_id":"r1"}}"#,
        ),
        (
            "in the data of an event of a process",
            r#"{"event":"process.completed","id":"e1","data":{"id":"d1","process_id":"r1","name":"x"}}"#,
        ),
        (
            "beside the data of an event of a process",
            r#"{"event":"process.completed","data":{"id":"d1"},"process":{"id":"r1"}}"#,
        ),
        (
            "an event that does not say of what",
            r#"{"event":"completed","data":{"id":"t1","run_id":"r1","step_id":"s1"}}"#,
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn an_event_about_neither_a_run_nor_a_task_asks_for_none() {
    for body in [
        r#"{"event":"member.invited"}"#,
        r#"{"event":"member.invited","data":{"id":"m1","name":"Ada","status":"active"}}"#,
        r#"{"event":"template.updated","id":"c1","name":"x","checklist_id":"c1","prerun":[]}"#,
        r#"{"event":"template.updated","data":{"id":"c1","title":"x","progress":0}}"#,
    ] {
        let webhook = Webhook::parse(body.as_bytes()).unwrap();
        assert_eq!((webhook.run, webhook.task), (None, None), "{body}");
        assert_eq!(webhook.kind.as_str(), "organization");
        assert!(webhook.event.is_some_and(|event| event.contains('.')), "{body}");
    }
    // One of these families that names nothing should have named something, and is for a person to look at.
    for body in [
        r#"{"event":"task.assigned"}"#,
        r#"{"event":"process.completed","name":"x"}"#,
    ] {
        assert!(Webhook::parse(body.as_bytes()).is_err(), "{body}");
    }
    let named = Webhook::parse(br#"{"event":"comment.added","data":{"id":"c1","task_id":"t1"}}"#).unwrap();
    assert_eq!(named.task.unwrap().as_str(), "t1");
}

#[test]
fn a_completion_needs_no_time_and_a_time_that_is_none_completes_nothing() {
    let event = |status: &str, completed_at: &str| {
        let body = format!(
            r#"{{"id":"r1","name":"x","status":"{status}","completed_at":{completed_at},"archived_at":"never",
                "last_updated":"2025-10-15T09:00:00Z"}}"#
        );
        Webhook::parse(body.as_bytes()).unwrap()
    };
    let completed = event("Completed", "null");
    assert_eq!(completed.event.as_deref(), Some("process.completed"));
    assert!(completed.announced.run_is_complete && completed.announced.run_completed_at.is_none());
    for none in [
        "\"0000-00-00 00:00:00\"",
        "\"-0001-11-30T00:00:00.000000Z\"",
        "\"never\"",
        "false",
    ] {
        let launched = event("active", none);
        assert_eq!(launched.event.as_deref(), Some("process.launched"), "{none}");
        assert_eq!(launched.announced.run_completed_at, None, "{none}");
        assert_eq!(launched.announced.run_archived_at, None, "{none}");
        assert!(!launched.announced.run_is_complete, "{none}");
    }
    let task = |completed_at: &str| {
        let body = format!(
            r#"{{"this_task":{{"id":"t1","status":"completed","completed_at":"{completed_at}"}},"process":{{"id":"r1"}}}}"#
        );
        Webhook::parse(body.as_bytes()).unwrap().announced
    };
    assert!(task("0000-00-00 00:00:00").task_is_complete);
    assert_eq!(task("0000-00-00 00:00:00").task_completed_at, None);
    assert!(task("2025-10-15T09:00:00Z").task_completed_at.is_some());
}

const PLAIN: &str = r#"{"id":"r1","name":"ä","status":"active","last_updated":"2025-10-15T09:00:00Z"}"#;

#[test]
fn a_body_in_a_wrapping_says_what_it_says_without() {
    let plain = Webhook::parse(PLAIN.as_bytes()).unwrap();
    let as_string = serde_json::to_string(PLAIN).unwrap();
    let encoded: String = PLAIN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let utf16 = |order: fn(u16) -> [u8; 2]| PLAIN.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    for (what, wrapped) in [
        ("a list of one", format!("[{PLAIN}]").into_bytes()),
        ("a string", as_string.clone().into_bytes()),
        ("a form", format!("payload={encoded}").into_bytes()),
        ("a form with more", format!("a=b&payload={encoded}&c").into_bytes()),
        (
            "a relay",
            format!(r#"{{"body":{PLAIN},"headers":{{"host":"x"}}}}"#).into_bytes(),
        ),
        (
            "a relay with a string",
            format!(r#"{{"body":{as_string}}}"#).into_bytes(),
        ),
        ("UTF-16", utf16(u16::to_le_bytes)),
        ("UTF-16, big end first", utf16(u16::to_be_bytes)),
        (
            "UTF-16 with a mark",
            [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
        ),
    ] {
        assert_eq!(Webhook::parse(&wrapped).ok().as_ref(), Some(&plain), "{what}");
    }
    // Only one wrapping is opened.
    for twice in [
        format!("[[{PLAIN}]]"),
        format!("[{as_string}]"),
        format!("[{PLAIN},{PLAIN}]"),
    ] {
        assert!(Webhook::parse(twice.as_bytes()).is_err(), "{twice}");
    }
}

#[test]
fn an_id_in_capitals_is_the_same_id() {
    let id = "0123456789abcdef0123456789abcdef";
    let of = |id: &str| {
        let body = format!(
            r#"{{"event":"task.assigned","task_id":"{id}","run_id":"{id}","timestamp":"2025-10-15 09:00:00"}}"#
        );
        let webhook = Webhook::parse(body.as_bytes()).unwrap();
        (webhook.run, webhook.task, webhook.dedupe_key)
    };
    assert_eq!(of(&id.to_uppercase()), of(id));
}

#[test]
fn what_says_something_new_is_told_from_a_duplicate() {
    let says = |body: &str| {
        let webhook = Webhook::parse(body.as_bytes()).unwrap();
        (webhook.dedupe_key.unwrap(), webhook.says)
    };
    let assigned = |to: &str| {
        says(&format!(
            r#"{{"event":"task.assigned","task":{{"id":"t1","owners":{{"users":[{to}]}}}},"timestamp":"2025-10-15T09:00:00Z"}}"#
        ))
    };
    let (key, to_one) = assigned("7");
    let (same_key, to_other) = assigned("8");
    assert_eq!(key, same_key);
    assert_ne!(to_one, to_other);
    assert_eq!(assigned(" 7 "), (key, to_one));

    let completed = |rest: &str| {
        says(&format!(
            r#"{{"this_task":{{"id":"t1","completed_at":"2025-10-15T09:00:00Z"}},"process":{{"id":"r1"}}{rest}}}"#
        ))
        .1
    };
    let plain = completed("");
    for same in [
        r#","next_task":{"id":"t2"}"#,
        r#","guest-links":{"a@b.example":{"link_for_guest":"https://x/1"}}"#,
        r#","summary":null"#,
    ] {
        assert_eq!(completed(same), plain, "{same}");
    }
    for new in [
        r#","form-fields":{"a":"b"}"#,
        r#","last_updated":"2025-10-15T09:00:01Z""#,
        r#","launcher":{"id":"7"}"#,
    ] {
        assert_ne!(completed(new), plain, "{new}");
    }
}

fn key(body: &str) -> Option<String> {
    Webhook::parse(body.as_bytes()).unwrap().dedupe_key
}

fn task_key(run: &str, task: &str, completed_at: &str, rest: &str) -> Option<String> {
    key(&format!(
        r#"{{"this_task":{{"id":"{task}","completed_at":"{completed_at}"}},"process":{{"id":"{run}"}}{rest}}}"#
    ))
}

#[test]
fn the_same_thing_sent_again_has_the_same_key() {
    let first = task_key("r1", "t1", "2025-10-15T09:00:00Z", "");
    assert!(first.is_some());
    assert_eq!(
        first,
        task_key(
            "r1",
            "t1",
            "2025-10-15T09:00:00Z",
            r#","form-fields":{"a":"later"},"next_task":[]"#
        )
    );
}

#[test]
fn another_run_task_time_or_event_has_another_key() {
    let keys = [
        task_key("r1", "t1", "2025-10-15T09:00:00Z", ""),
        task_key("r2", "t1", "2025-10-15T09:00:00Z", ""),
        task_key("r1", "t2", "2025-10-15T09:00:00Z", ""),
        // Reopened, and completed again.
        task_key("r1", "t1", "2025-10-15T09:30:00Z", ""),
        key(r#"{"event":"task.assigned","task":{"id":"t1"},"process":{"id":"r1"},"timestamp":"2025-10-15T09:00:00Z"}"#),
        key(
            r#"{"event":"task.issue_raised","task":{"id":"t1"},"process":{"id":"r1"},"timestamp":"2025-10-15T09:00:00Z"}"#,
        ),
        key(r#"{"id":"r1","name":"x","last_updated":"2025-10-15T09:00:00Z"}"#),
        key(r#"{"id":"r1","name":"x","last_updated":"2025-10-15T09:00:00Z","completed_at":"2025-10-15T09:00:00Z"}"#),
        key(
            r#"{"id":"r1","name":"x","last_updated":"2025-10-15T09:00:00Z","completed_at":"2025-10-15T09:00:00Z",
                "archived_at":"2025-10-16T09:00:00Z"}"#,
        ),
    ];
    let distinct: std::collections::BTreeSet<_> = keys.iter().flatten().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:#?}");
}

#[test]
fn what_has_no_time_of_its_own_has_no_key() {
    for body in [
        r#"{"this_task":{"id":"t1"},"process":{"id":"r1"}}"#,
        r#"{"this_task":{"id":"t1","completed_at":null},"process":{"id":"r1"}}"#,
        r#"{"id":"r1","name":"x"}"#,
        r#"{"event":"task.assigned","task":{"id":"t1"}}"#,
        // A day does not tell two assignments apart.
        r#"{"event":"task.assigned","task":{"id":"t1"},"timestamp":"2025-10-15"}"#,
        // A second comment would have the same time.
        r#"{"event":"task.comment_added","task":{"id":"t1","completed_at":"2025-10-15T09:00:00Z"}}"#,
        r#"{"event":"task.assigned","process":{"id":"r1","last_updated":"2025-10-15T09:00:00Z"}}"#,
    ] {
        assert_eq!(key(body), None, "{body}");
    }
}
