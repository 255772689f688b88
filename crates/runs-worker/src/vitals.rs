//! What this worker is called and what it has done lately, for those who look on. Every stage adds to it; none reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tallyfy_model::OrgId;

use crate::shared::worker_name::worker_name;
use crate::tell::{REFUSED, WEBHOOKS_OF};

/// What is counted besides webhooks and refusals.
pub(crate) const FETCHES: &str = "fetches";
pub(crate) const FAILED_FETCHES: &str = "failed fetches";
pub(crate) const API_REQUESTS: &str = "API requests";
pub(crate) const EVENTS: &str = "events";
pub(crate) const DELIVERIES: &str = "deliveries";
pub(crate) const FAILED_DELIVERIES: &str = "failed deliveries";

/// A worker's name, and what it has done since somebody asked last.
pub(crate) struct Vitals {
    name: Arc<str>,
    started_at: Timestamp,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    done: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
    webhooks: BTreeMap<OrgId, Webhooks>,
}

struct Webhooks {
    count: u64,
    last: Timestamp,
}

impl Vitals {
    pub(crate) fn new(started_at: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            name: worker_name(),
            started_at,
            counts: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// A webhook was kept.
    pub(crate) fn webhook(&self, org: &OrgId, at: Timestamp) {
        let mut counts = self.lock();
        match counts.webhooks.get_mut(org) {
            Some(webhooks) => {
                webhooks.count += 1;
                webhooks.last = at;
            }
            None => {
                counts.webhooks.insert(org.clone(), Webhooks { count: 1, last: at });
            }
        }
    }

    /// When the last webhook of an organization was kept.
    pub(crate) fn last_webhook(&self, org: &str) -> Option<Timestamp> {
        let counts = self.lock();
        counts
            .webhooks
            .iter()
            .find(|(of, _)| of.as_str() == org)
            .map(|(_, webhooks)| webhooks.last)
    }

    /// A request was turned away at the door.
    pub(crate) fn refused(&self, reason: &'static str) {
        *self.lock().refused.entry(reason).or_default() += 1;
    }

    /// Something was done so often.
    pub(crate) fn done(&self, what: &'static str, count: u64) {
        *self.lock().done.entry(what).or_default() += count;
    }

    /// What was done since this was asked last.
    pub(crate) fn take(&self) -> Vec<(String, u64)> {
        let mut counts = self.lock();
        let mut taken: Vec<(String, u64)> = std::mem::take(&mut counts.done)
            .into_iter()
            .map(|(what, count)| (what.to_owned(), count))
            .collect();
        let refused = std::mem::take(&mut counts.refused);
        taken.extend(
            refused
                .into_iter()
                .map(|(reason, count)| (format!("{REFUSED}{reason}"), count)),
        );
        for (org, webhooks) in &mut counts.webhooks {
            taken.push((format!("{WEBHOOKS_OF}{org}"), std::mem::take(&mut webhooks.count)));
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Whoever panicked while holding it left whole numbers.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
