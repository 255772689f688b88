//! Faults on request: which are in force, and what they strike.

mod fault;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use fault::{Fault, FaultRule, RetryAfter};

/// A fault that was asked for.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    /// Its id.
    pub id: u64,
    faults: Faults,
    gate: Gate,
}

impl FaultHandle {
    /// How often it has struck.
    #[must_use]
    pub fn hits(&self) -> u64 {
        *self.gate.hits.borrow()
    }

    /// Waits until it has struck so often.
    pub async fn wait_for_hits(&self, hits: u64) {
        // The sender lives in this handle, so the channel cannot close.
        let _ = self.gate.hits.subscribe().wait_for(|struck| *struck >= hits).await;
    }

    /// Removes the fault and lets go of every request it holds.
    pub fn release(&self) {
        self.faults.remove(self.id);
        self.gate.open();
    }
}

/// What holds requests back, and counts them.
#[derive(Debug, Clone)]
struct Gate {
    hits: watch::Sender<u64>,
    open: watch::Sender<bool>,
}

impl Gate {
    fn new() -> Self {
        Self {
            hits: watch::Sender::new(0),
            open: watch::Sender::new(false),
        }
    }

    fn open(&self) {
        self.open.send_replace(true);
    }
}

#[derive(Debug)]
struct Active {
    id: u64,
    rule: FaultRule,
    gate: Gate,
}

#[derive(Debug, Default)]
struct Rules {
    last_id: u64,
    active: Vec<Active>,
}

/// The faults in force.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

/// What has to go wrong with one request.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    pub(crate) latency: Duration,
    gates: Vec<Gate>,
    pub(crate) fault: Option<Fault>,
}

impl Struck {
    /// Waits until nobody holds the request any more.
    pub(crate) async fn wait(&self) {
        for gate in &self.gates {
            let _ = gate.open.subscribe().wait_for(|open| *open).await;
        }
    }
}

impl Faults {
    /// Asks for a fault.
    pub fn add(&self, rule: FaultRule) -> FaultHandle {
        let gate = Gate::new();
        let mut rules = self.rules();
        rules.last_id += 1;
        let id = rules.last_id;
        rules.active.push(Active {
            id,
            rule,
            gate: gate.clone(),
        });
        FaultHandle {
            id,
            faults: self.clone(),
            gate,
        }
    }

    /// Asks for a fault of the next request.
    pub fn once(&self, fault: Fault) -> FaultHandle {
        self.add(FaultRule::once(fault))
    }

    /// Asks for a fault until it is cleared.
    pub fn always(&self, fault: Fault) -> FaultHandle {
        self.add(FaultRule::always(fault))
    }

    /// Removes one fault; whether it was in force.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let before = rules.active.len();
        rules.active.retain(|active| {
            if active.id == id {
                active.gate.open();
            }
            active.id != id
        });
        rules.active.len() < before
    }

    /// Removes every fault and lets go of every request that is held.
    pub fn clear(&self) {
        for active in self.rules().active.drain(..) {
            active.gate.open();
        }
    }

    /// The faults in force, oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<(u64, FaultRule)> {
        let rules = self.rules();
        let in_force = rules.active.iter().filter(|active| active.rule.times != Some(0));
        in_force.map(|active| (active.id, active.rule.clone())).collect()
    }

    /// What strikes this API request: all delays and holds that apply, and the oldest other fault that does.
    pub(crate) fn strike_request(&self, run: Option<&str>, route: &str) -> Struck {
        let mut struck = Struck::default();
        for active in &mut self.rules().active {
            if active.rule.fault.is_of_webhooks() || !active.rule.applies(run, Some(route)) {
                continue;
            }
            match &active.rule.fault {
                Fault::Latency { by } => struck.latency += *by,
                Fault::Hold => struck.gates.push(active.gate.clone()),
                fault if struck.fault.is_none() => struck.fault = Some(fault.clone()),
                _ => continue,
            }
            active.hit();
        }
        struck
    }

    /// What strikes this webhook.
    pub(crate) fn strike_webhook(&self, run: &str) -> Option<Fault> {
        let mut rules = self.rules();
        let struck = rules
            .active
            .iter_mut()
            .find(|active| active.rule.fault.is_of_webhooks() && active.rule.applies(Some(run), None))?;
        struck.hit();
        Some(struck.rule.fault.clone())
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    /// Counts a strike. A rule that is used up stays, so that what it holds can be released.
    fn hit(&mut self) {
        if let Some(times) = &mut self.rule.times {
            *times -= 1;
        }
        self.gate.hits.send_modify(|hits| *hits += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_asked_and_only_whom_it_is_for() {
        let faults = Faults::default();
        let handle = faults.add(FaultRule::times(2, Fault::Forbidden).on_run("r1"));
        let strike = |run| faults.strike_request(Some(run), "GET /x").fault;
        assert_eq!(strike("r2"), None);
        assert_eq!(strike("r1"), Some(Fault::Forbidden));
        assert_eq!(strike("r1"), Some(Fault::Forbidden));
        assert_eq!(strike("r1"), None);
        assert_eq!(handle.hits(), 2);
        assert!(faults.active().is_empty());
    }

    #[test]
    fn delays_add_up_and_leave_room_for_another_fault() {
        let faults = Faults::default();
        faults.always(Fault::Latency {
            by: Duration::from_millis(20),
        });
        faults.always(Fault::Latency {
            by: Duration::from_millis(30),
        });
        faults.always(Fault::WebhookLost);
        faults.always(Fault::NotFound);
        let struck = faults.strike_request(None, "GET /x");
        assert_eq!(struck.latency, Duration::from_millis(50));
        assert_eq!(struck.fault, Some(Fault::NotFound));
        assert_eq!(faults.strike_webhook("r1"), Some(Fault::WebhookLost));
    }

    #[test]
    fn a_rule_is_one_flat_json_object() {
        let rule: FaultRule =
            serde_json::from_str(r#"{"kind":"too_many_requests","retry_after":{"seconds":2},"times":3}"#).unwrap();
        assert_eq!(
            rule,
            FaultRule::times(
                3,
                Fault::TooManyRequests {
                    retry_after: RetryAfter::Seconds(2)
                }
            )
        );
        let late: FaultRule = serde_json::from_str(r#"{"kind":"latency","millis":250,"run":"r1"}"#).unwrap();
        assert_eq!(
            late,
            FaultRule::always(Fault::Latency {
                by: Duration::from_millis(250)
            })
            .on_run("r1")
        );
    }
}
