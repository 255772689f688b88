//! What is wrong with values that are each right alone.

use super::{Config, Problem};
use crate::front_door::ListenAddress;

impl Config {
    /// What is wrong with the values as they stand together.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.admin.listen.ip().is_loopback() && !self.admin.allow_remote {
            problems.push(Problem::new(
                "admin.listen",
                format!(
                    "{} is not a loopback address; set admin.allow_remote if others may read the metrics",
                    self.admin.listen
                ),
            ));
        }
        if self.receive.listen.is_empty() {
            problems.push(Problem::new(
                "receive.listen",
                "is empty: an address for webhooks is needed",
            ));
        }
        let admin = ListenAddress::Tcp(self.admin.listen);
        if self.receive.listen.contains(&admin) && self.admin.listen.port() != 0 {
            problems.push(Problem::new(
                "admin.listen",
                format!("{} is the address for webhooks already", self.admin.listen),
            ));
        }
        if self.receive.max_bytes_in_hand < self.receive.max_body_bytes {
            problems.push(Problem::new(
                "receive.max_bytes_in_hand",
                "must be at least receive.max_body_bytes, or the largest webhooks can never be taken",
            ));
        }
        if self.refresh.lease <= self.api.timeout {
            problems.push(Problem::new(
                "refresh.lease",
                "must be longer than api.timeout, or runs are claimed again while they are being fetched",
            ));
        }
        if !(1..=100).contains(&self.reconcile.budget_percent) {
            problems.push(Problem::new("reconcile.budget_percent", "must be from 1 to 100"));
        }
        if self.reconcile.interval.is_zero() {
            problems.push(Problem::new(
                "reconcile.interval",
                "must be more than zero; to sweep only when asked, set reconcile.scope to `off`",
            ));
        }
        for (section, initial, max) in [
            ("refresh", self.refresh.retry_initial, self.refresh.retry_max),
            ("deliver", self.deliver.retry_initial, self.deliver.retry_max),
        ] {
            if initial.is_zero() || initial > max {
                problems.push(Problem::new(
                    format!("{section}.retry_initial"),
                    format!("must be more than zero and at most {section}.retry_max"),
                ));
            }
        }
        for (position, handler) in self.handlers.iter().enumerate() {
            if let Err(found) = handler.kind(&format!("handlers[{position}]")) {
                problems.extend(found);
            }
            let place = format!("handlers[{position}].name");
            if handler.name.is_empty()
                || handler
                    .name
                    .chars()
                    .any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
            {
                problems.push(Problem::new(place, "must be letters, digits, `-` and `_`"));
            } else if self.handlers[..position].iter().any(|other| other.name == handler.name) {
                problems.push(Problem::new(
                    place,
                    format!("another handler is called `{}`", handler.name),
                ));
            }
        }
        problems
    }
}
