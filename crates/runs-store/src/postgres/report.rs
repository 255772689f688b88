//! How the server stands, for a person.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::column::Columns as _;
use super::connect::{self, explain};
use super::failure::Failure;
use super::session::{Access, Transaction};
use super::settings::{PostgresSettings, Target};
use super::wake::{Listener, Wake};
use crate::error::StoreError;
use crate::location::ServerReport;

/// How long it may take to find out whether notifications are heard.
const HEARING: Duration = Duration::from_secs(5);

/// How the server stands. Changes nothing.
pub async fn report(settings: &PostgresSettings) -> Result<ServerReport, StoreError> {
    let target = Target::read(settings)?;
    let tls = connect::tls(&target)?;
    let pool = connect::pool(&target, tls.clone())?;
    connect::examine(&target, &pool).await?;
    let looked = async {
        let view = Transaction::begin(&pool, &target.schema, Access::Read).await?;
        let report = look(&view).await;
        view.roll_back().await;
        report
    };
    let mut report = looked.await.map_err(|failure| explain(&target, failure))?;
    let (wake, _wakeups) = Wake::new();
    let wake = Arc::new(wake);
    let mut hears = wake.hears();
    let listener = Listener {
        wake,
        pool,
        target,
        tls,
    };
    let _listening = AbortOnDropHandle::new(tokio::spawn(listener.run()));
    let tried = timeout(HEARING, hears.wait_for(Option::is_some)).await;
    report.hears_notifications = matches!(tried, Ok(Ok(hears)) if *hears == Some(true));
    Ok(report)
}

async fn look(view: &Transaction) -> Result<ServerReport, Failure> {
    let row = view
        .row(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit'),
                    current_setting('fsync') = 'on',
                    current_setting('synchronous_standby_names') <> '',
                    coalesce((SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname = current_schema()), 0)::bigint,
                    coalesce((SELECT sum(n_live_tup) FROM pg_stat_user_tables WHERE schemaname = current_schema()), 0)::bigint",
            &[],
        )
        .await?
        .ok_or(Failure::Conflict)?;
    Ok(ServerReport {
        version: row.at(0)?,
        synchronous_commit: row.at(1)?,
        syncs: row.at(2)?,
        has_synchronous_standby: row.at(3)?,
        hears_notifications: false,
        oldest_transaction: oldest_transaction(view).await?,
        dead_rows: row.count(4)?,
        live_rows: row.count(5)?,
    })
}

/// How long the oldest transaction beside this one is open, of whatever program. Without the role `pg_read_all_stats` the
/// server shows only those of the user's own sessions.
pub(super) async fn oldest_transaction(view: &Transaction) -> Result<Option<Duration>, Failure> {
    let oldest = "
        SELECT (extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000000)::bigint FROM pg_stat_activity
         WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let oldest: Option<i64> = view.row(oldest, &[]).await?.ok_or(Failure::Conflict)?.at(0)?;
    Ok(oldest
        .and_then(|micros| u64::try_from(micros).ok())
        .map(Duration::from_micros))
}
