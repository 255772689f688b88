//! The tables of all layers together, as they are written: each value is read, none is held against another yet.

use config::{Value, ValueKind};
use serde::Deserialize;

use super::handlers::HandlerTable;
use super::organization::OrganizationTable;
use super::places::Places;
use super::problem::Problem;
use super::{
    AdminConfig, ApiConfig, Config, DeliverConfig, EventsConfig, IntakeConfig, LogConfig, ReceiveConfig,
    ReconcileConfig, RefreshConfig, RetentionConfig, StoreConfig,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tables {
    pub(super) store: StoreConfig,
    pub(super) intake: IntakeConfig,
    receive: ReceiveConfig,
    admin: AdminConfig,
    api: ApiConfig,
    refresh: RefreshConfig,
    reconcile: ReconcileConfig,
    deliver: DeliverConfig,
    events: EventsConfig,
    retention: RetentionConfig,
    log: LogConfig,
    pub(super) handlers: Vec<HandlerTable>,
    pub(super) organizations: Vec<OrganizationTable>,
}

impl Tables {
    /// Reads every value. One that cannot be read is told and left out, so that the others are read too.
    pub(super) fn read(mut values: Value, places: &Places<'_>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        loop {
            match Self::deserialize(values.clone()) {
                Ok(tables) => return (tables, problems),
                Err(error) => {
                    let problem = places.explain(&error);
                    let left_out = problem.key().is_some_and(|key| leave_out(&mut values, key));
                    problems.push(problem);
                    if !left_out {
                        return (Self::default(), problems);
                    }
                }
            }
        }
    }

    /// The settings, without the tables that are lists.
    pub(super) fn config(&self) -> Config {
        Config {
            store: self.store.clone(),
            intake: self.intake.clone(),
            receive: self.receive.clone(),
            admin: self.admin.clone(),
            api: self.api.clone(),
            refresh: self.refresh.clone(),
            reconcile: self.reconcile.clone(),
            deliver: self.deliver.clone(),
            events: self.events.clone(),
            retention: self.retention.clone(),
            log: self.log.clone(),
        }
    }
}

/// Removes the value at a key, or what is around it where there is no such value. Whether anything was removed.
pub(super) fn leave_out(values: &mut Value, key: &str) -> bool {
    let mut key = key;
    while !key.is_empty() {
        if remove(values, key) {
            return true;
        }
        key = outer(key);
    }
    false
}

/// The key of what is around a value.
pub(super) fn outer(key: &str) -> &str {
    key.rfind(['.', '[']).map_or("", |end| &key[..end])
}

fn remove(values: &mut Value, key: &str) -> bool {
    let (outer_key, last) = match key.rfind(['.', '[']) {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => ("", key),
    };
    let Some(around) = find(values, outer_key) else {
        return false;
    };
    match &mut around.kind {
        ValueKind::Table(table) => table.shift_remove(last).is_some(),
        ValueKind::Array(list) => match last.trim_end_matches(']').parse::<usize>() {
            Ok(position) if position < list.len() => {
                list.remove(position);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// The value at a key.
pub(super) fn find<'a>(values: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let parts = key.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    parts
        .filter(|part| !part.is_empty())
        .try_fold(values, |value, part| match &mut value.kind {
            ValueKind::Table(table) => table.get_mut(part),
            ValueKind::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        })
}
