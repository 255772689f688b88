//! One webhook of each kind, with its headers, without a running simulator.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::ManualClock;
use crate::quirks::Quirks;
use crate::render::to_text;
use crate::webhooks::{ORG_HEADER, WebhookKind, plan};
use crate::world::{Completion, Launch, World, WorldError};

/// What a sample is made of.
#[derive(Debug, Clone)]
pub struct SampleConfig {
    /// Id of the organization.
    pub org: String,
    /// Seed of all ids.
    pub seed: u64,
    /// When it happens.
    pub at: jiff::Timestamp,
    /// How it is written.
    pub quirks: Quirks,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            org: "northwind".to_owned(),
            seed: 1,
            // 2026-01-05T09:00:00Z
            at: jiff::Timestamp::UNIX_EPOCH
                .saturating_add(jiff::SignedDuration::from_secs(1_767_603_600))
                .unwrap_or_default(),
            quirks: Quirks::default(),
        }
    }
}

/// A webhook as it would be sent.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its shape.
    pub kind: WebhookKind,
    /// Name and value of each header.
    pub headers: Vec<(&'static str, String)>,
    /// The body, on one line.
    pub body: String,
    /// The run it is about.
    pub run: String,
}

/// The webhook of this kind that the second step of a run of "Client onboarding" brings about: the launch, the
/// completion of the first task, or the event that tells the organization of it.
///
/// # Errors
/// None in practice; the signature is that of the operations it is made of.
pub fn webhook(kind: WebhookKind, config: &SampleConfig) -> Result<Sample, WorldError> {
    let url = "http://receiver.invalid/";
    let clock = ManualClock::at(config.at);
    let mut world = World::new(Arc::new(clock.clone()), config.seed);
    let founding = world.found(&config.org)?;
    world.set_template_webhook(&founding.onboarding, Some(url))?;
    world.add_watcher(&config.org, url)?;
    let launch = Launch::of(&founding.onboarding)
        .named("Onboarding of Globex")
        .answer("Company", "Globex")
        .answer("Start date", "2026-02-01T00:00:00.000Z")
        .tagged(&founding.tags[0]);
    let run = world.launch(&config.org, &launch)?;
    if kind != WebhookKind::Process {
        world.take_happenings();
        clock.advance(std::time::Duration::from_secs(5400));
        let task = world
            .run(&run)?
            .tasks
            .first()
            .map(|task| task.id.clone())
            .unwrap_or_default();
        world.complete(&task, &Completion::new().filled())?;
    }
    let happenings = world.take_happenings();
    let mut planned = happenings
        .iter()
        .flat_map(|happening| plan(&world, &config.quirks, happening));
    let body = planned
        .find(|planned| planned.kind == kind)
        .map_or(Value::Null, |planned| planned.body);
    Ok(Sample {
        kind,
        headers: vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json".to_owned()),
            (ORG_HEADER, config.org.clone()),
        ],
        body: to_text(&body, config.quirks.pretty),
        run,
    })
}
