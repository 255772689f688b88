//! The tables of all layers together, as they are written: each value is read, none is held against another yet.

use config::Value;
use serde::Deserialize;

use super::handlers::HandlerTable;
use super::keys::leave_out;
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
