//! The shapes, to be read by eye.

use insta::{Settings, assert_json_snapshot};
use serde_json::Value;
use tallyfy_sim::sample::{SampleConfig, webhook};
use tallyfy_sim::webhooks::WebhookKind;
use tallyfy_sim::world::Launch;

use crate::http::get;
use crate::{run_path, simulator};

/// Keys in one order, whatever map `serde_json` was built with.
fn sorted() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_sort_maps(true);
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings
}

#[tokio::test]
async fn a_run_in_default_quirks() {
    let sim = simulator().await;
    let founding = sim.founding();
    let launch = Launch::of(&founding.onboarding)
        .named("Onboarding of Globex")
        .answer("Company", "Globex")
        .tagged(&founding.tags[0]);
    let run = sim.launch_with(&launch).unwrap();
    sim.complete_next(&run).unwrap();
    let with = "?with=checklist,tasks,tags,form_fields,next_task&form_fields_values=true";
    let body = get(&sim, &run_path(&sim, &run, with)).await.json();
    sorted().bind(|| assert_json_snapshot!("run", body));
}

#[test]
fn a_webhook_of_each_kind() {
    for kind in WebhookKind::ALL {
        let sample = webhook(kind, &SampleConfig::default()).unwrap();
        assert!(sample.headers.contains(&("X-Tallyfy-orgID", "northwind".to_owned())));
        let body: Value = serde_json::from_str(&sample.body).unwrap();
        sorted().bind(|| assert_json_snapshot!(format!("webhook_{}", kind.as_str()), body));
    }
}
