//! Which events, notifications or dead letters a command means.

use clap::Args;
use jiff::Timestamp;
use runs_store::{HandlerName, Query};
use tallyfy_model::RunId;
use uuid::Uuid;

/// Which events, notifications or dead letters.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their ids
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<Uuid>,
    /// Those of this run
    #[arg(long, value_name = "RUN_ID")]
    pub(super) run: Option<RunId>,
    /// From this time on, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// How a list is printed.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// One JSON object a line, for programs
    #[arg(long)]
    pub(super) json: bool,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(super) limit: usize,
}

/// One handler.
#[derive(Debug, Args)]
pub(super) struct OfHandler {
    /// Those of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
}

impl Which {
    pub(super) fn query(&self) -> Query {
        let mut query = Query::default();
        query.ids.clone_from(&self.ids);
        query.run.clone_from(&self.run);
        (query.since, query.until) = (self.since, self.until);
        query
    }

    pub(super) fn says_something(&self) -> bool {
        !self.ids.is_empty() || self.run.is_some() || self.since.is_some() || self.until.is_some()
    }
}

impl OfHandler {
    pub(super) fn name(&self) -> Option<HandlerName> {
        self.handler.clone().map(HandlerName::new)
    }
}
