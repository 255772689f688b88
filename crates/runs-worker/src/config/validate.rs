//! What is wrong with values that are each right alone.

use std::time::Duration;

use super::problem::Problem;
use super::{AdminConfig, Config, ReceiveConfig};
use crate::front_door::ListenAddress;

/// A seat that is renewed more often than three times a second keeps the database busy.
const SHORTEST_TERM: Duration = Duration::from_secs(1);

impl Config {
    /// What is wrong with the values as they stand together.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = listeners(&self.receive, &self.admin);
        let mut problem = |key: &str, message: &str| problems.push(Problem::new(key, message));
        if let Err(error) = self.store.location() {
            problem(self.store.key(), &error.to_string());
        }
        if self.store.seat_term < SHORTEST_TERM {
            problem(
                "store.seat_term",
                "must be at least 1s: a seat is renewed at a third of it",
            );
        }
        if self.receive.max_bytes_in_hand < self.receive.max_body_bytes {
            problem(
                "receive.max_bytes_in_hand",
                "must be at least receive.max_body_bytes, or the largest webhooks can never be taken",
            );
        }
        if self.refresh.lease <= self.api.timeout {
            problem(
                "refresh.lease",
                "must be longer than api.timeout, or runs are claimed again while they are being fetched",
            );
        }
        if !(1..=100).contains(&self.reconcile.budget_percent) {
            problem("reconcile.budget_percent", "must be from 1 to 100");
        }
        if self.reconcile.interval.is_zero() {
            problem(
                "reconcile.interval",
                "must be more than zero; to sweep only when asked, set reconcile.scope to `off`",
            );
        }
        for (section, initial, max) in [
            ("refresh", self.refresh.retry_initial, self.refresh.retry_max),
            ("deliver", self.deliver.retry_initial, self.deliver.retry_max),
        ] {
            if initial.is_zero() || initial > max {
                problem(
                    &format!("{section}.retry_initial"),
                    &format!("must be more than zero and at most {section}.retry_max"),
                );
            }
        }
        problems
    }
}

fn listeners(receive: &ReceiveConfig, admin: &AdminConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !admin.listen.ip().is_loopback() && !admin.allow_remote {
        let message = format!(
            "{} is not a loopback address; set admin.allow_remote if others may read the metrics",
            admin.listen
        );
        problems.push(Problem::new("admin.listen", message));
    }
    if receive.listen.is_empty() {
        let message = "is empty: an address for webhooks is needed";
        problems.push(Problem::new("receive.listen", message));
    }
    if receive.listen.contains(&ListenAddress::Tcp(admin.listen)) && admin.listen.port() != 0 {
        let message = format!("{} is the address for webhooks already", admin.listen);
        problems.push(Problem::new("admin.listen", message));
    }
    problems
}
