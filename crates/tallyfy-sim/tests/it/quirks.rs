//! Every quirk, on the wire.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tallyfy_sim::Simulator;
use tallyfy_sim::quirks::{
    AnswerForm, DateForm, EmptyIncludeForm, EmptyMapForm, IdForm, IncludeForm, NextTaskForm, PeopleForm, ProgressForm,
    Quirks, StatusForm, TagForm,
};
use tallyfy_sim::world::Launch;

use crate::http::{Answer, get};
use crate::{run_path, simulator};

struct Subject {
    sim: Simulator,
    path: String,
}

/// A run with a tag, one task of three done.
async fn subject() -> Subject {
    let sim = simulator().await;
    let founding = sim.founding();
    let launch = Launch::of(&founding.onboarding)
        .named("Globex")
        .tagged(&founding.tags[0]);
    let run = sim.launch_with(&launch).unwrap();
    sim.complete_next(&run).unwrap();
    let path = run_path(&sim, &run, "?with=tasks,tags,next_task,stages,tasks.form_fields");
    Subject { sim, path }
}

impl Subject {
    async fn answer(&self, quirks: Quirks) -> Answer {
        self.sim.quirks().set(quirks);
        get(&self.sim, &self.path).await
    }

    async fn data(&self, quirks: Quirks) -> Value {
        self.answer(quirks).await.data()
    }
}

#[tokio::test]
async fn includes_are_wrapped_bare_or_null() {
    let subject = subject().await;
    let bare = subject
        .data(Quirks {
            includes: IncludeForm::Bare,
            ..Quirks::default()
        })
        .await;
    assert_eq!(bare["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(bare["stages"], json!([]));
    let null = subject
        .data(Quirks {
            empty_includes: EmptyIncludeForm::Null,
            ..Quirks::default()
        })
        .await;
    assert_eq!(null["stages"], json!({"data": null}));
    assert_eq!(null["tasks"]["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn empty_maps_can_be_lists() {
    let subject = subject().await;
    let data = subject
        .data(Quirks {
            empty_maps: EmptyMapForm::List,
            ..Quirks::default()
        })
        .await;
    assert_eq!(data["custom_fields"], json!([]));
    assert_eq!(data["tasks"]["data"][1]["taskdata"], json!([]));
    assert!(data["prerun"].is_object(), "it is not empty");
}

#[tokio::test]
async fn ids_progress_people_and_next_task_change_their_type() {
    let subject = subject().await;
    let strings = subject
        .data(Quirks {
            ids: IdForm::String,
            ..Quirks::default()
        })
        .await;
    assert_eq!(
        (&strings["started_by"], &strings["users"]),
        (&json!("1002"), &json!(["1002"]))
    );
    let number = subject
        .data(Quirks {
            progress: ProgressForm::Number,
            ..Quirks::default()
        })
        .await;
    assert_eq!(
        (&number["progress"], &number["whole_progress"]),
        (&json!(33), &json!(33))
    );
    let empty = subject
        .data(Quirks {
            progress: ProgressForm::Empty,
            ..Quirks::default()
        })
        .await;
    assert_eq!(empty["progress"], json!({}));
    let people = subject
        .data(Quirks {
            people: PeopleForm::Objects,
            ..Quirks::default()
        })
        .await;
    assert_eq!(people["users"], json!([{"user_id": 1002, "full_name": "Ada Okafor"}]));
    assert_eq!(
        people["tasks"]["data"][0]["owners"]["users"][0]["full_name"],
        "Ada Okafor"
    );
    let single = subject
        .data(Quirks {
            next_task: NextTaskForm::Single,
            ..Quirks::default()
        })
        .await;
    assert_eq!(single["next_task"]["title"], "Kick-off call");
    let value = subject
        .data(Quirks {
            answers: AnswerForm::Value,
            ..Quirks::default()
        })
        .await;
    assert!(value["tasks"]["data"][0]["form_fields"]["data"][0]["value"].is_string());
}

#[tokio::test]
async fn a_tag_has_four_forms() {
    let subject = subject().await;
    let tag_id = subject.sim.founding().tags[0].clone();
    let mut forms = Vec::new();
    for tags in TagForm::ALL {
        forms.push(
            subject
                .data(Quirks {
                    tags: *tags,
                    ..Quirks::default()
                })
                .await["tags"]["data"][0]
                .clone(),
        );
    }
    assert!(forms[0]["id"].is_u64());
    assert_eq!(forms[0]["tag_id"], json!(tag_id));
    assert_eq!(forms[1], json!({"id": tag_id, "title": "Priority", "color": "#c0392b"}));
    assert_eq!(forms[2], json!({"id": tag_id, "name": "Priority", "color": "#c0392b"}));
    assert_eq!(forms[3], json!(tag_id));
}

#[tokio::test]
async fn times_and_statuses_are_spelled_in_several_ways() {
    let subject = subject().await;
    let mut times = Vec::new();
    for dates in DateForm::ALL {
        times.push(
            subject
                .data(Quirks {
                    dates: *dates,
                    ..Quirks::default()
                })
                .await["last_updated"]
                .clone(),
        );
    }
    assert_eq!(
        times,
        [
            "2026-01-05T09:00:00.001Z",
            "2026-01-05T09:00:00Z",
            "2026-01-05 09:00:00",
            "2026-01-05"
        ]
        .map(Value::from)
    );
    let mut statuses = Vec::new();
    for form in StatusForm::ALL {
        let data = subject
            .data(Quirks {
                statuses: *form,
                ..Quirks::default()
            })
            .await;
        statuses.push((data["status"].clone(), data["tasks"]["data"][0]["status"].clone()));
    }
    let pair = |run: &str, task: &str| (json!(run), json!(task));
    assert_eq!(
        statuses,
        [
            pair("active", "completed"),
            pair("in-progress", "complete"),
            pair("waiting-for-signature", "paused-by-policy")
        ]
    );
}

#[tokio::test]
async fn unknown_fields_keep_every_digit() {
    let subject = subject().await;
    let answer = subject
        .answer(Quirks {
            extra_fields: true,
            ..Quirks::default()
        })
        .await;
    for text in [
        r#""risk_score":1.50"#,
        r#""external_ref":12345678901234567890"#,
        "100000000000000000000000.10",
    ] {
        assert!(answer.text().contains(text), "{text}");
    }
    assert!(answer.json()["data"]["insights"].is_object());
}

#[tokio::test]
async fn a_body_can_have_line_breaks() {
    let subject = subject().await;
    let plain = subject.answer(Quirks::default()).await;
    let pretty = subject
        .answer(Quirks {
            pretty: true,
            ..Quirks::default()
        })
        .await;
    assert!(!plain.text().contains('\n') && pretty.text().contains("\n  \"data\": {\n"));
    assert_eq!(plain.json(), pretty.json());
}

#[tokio::test]
async fn random_quirks_differ_from_answer_to_answer_and_repeat_with_their_seed() {
    let subject = subject().await;
    let draw = async || {
        subject.sim.quirks().randomize(7);
        let mut texts = Vec::new();
        for _ in 0..15 {
            texts.push(get(&subject.sim, &subject.path).await.text().to_owned());
        }
        texts
    };
    let first = draw().await;
    assert_eq!(first, draw().await);
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 10);
    for text in first {
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["data"]["name"], "Globex");
    }
}
