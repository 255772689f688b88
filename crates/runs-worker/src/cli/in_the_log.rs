//! Notifications that the store does not have yet.

use std::path::PathBuf;

use runs_store::{NewNotification, Query, Store, intake_log};

use super::with_store::Trouble;
use crate::telemetry;

/// What is meant of the notifications that are in the intake log and not in the store, the newest first.
pub(super) async fn waiting(
    folders: &[PathBuf],
    store: &dyn Store,
    query: &Query,
) -> Result<Vec<NewNotification>, Trouble> {
    let failed = |error| Trouble::Failed(telemetry::chain(&error));
    let Some(log) = intake_log::inspect(folders).map_err(failed)? else {
        return Ok(Vec::new());
    };
    let imported = store.imported(log.id).await?;
    let records = log.records(imported).map(|(_, notification)| notification);
    let mut waiting: Vec<_> = records.filter(|found| is_meant(found, query)).collect();
    waiting.reverse();
    Ok(waiting)
}

/// All of them wait for a fetch, or for somebody who can read them.
fn is_meant(found: &NewNotification, query: &Query) -> bool {
    let is_of = |run| found.head.run.as_ref() == Some(run);
    query.run.as_ref().is_none_or(is_of)
        && query.org.as_ref().is_none_or(|org| found.org == *org)
        && (query.ids.is_empty() || query.ids.contains(&found.id))
        && query.since.is_none_or(|since| found.received_at >= since)
        && query.until.is_none_or(|until| found.received_at < until)
        && (!query.unrecognized || found.subject.is_none())
}
