//! `runs-worker notifications`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{IdsOf, NewNotification, NotificationSummary, Query, SchedulingTime, Store};
use serde_json::json;
use tallyfy_model::without_guest_links;
use uuid::Uuid;

use super::short_id::ShortId;
use super::table::Table;
use super::which::{Output, Which};
use super::with_store::{End, Outcome, Trouble, misused, with_store};
use super::{Settings, in_the_log, print};
use crate::config::ReceiveConfig;
use crate::receive::{encoding_in, opened, read_notification};

#[derive(Debug, Subcommand)]
pub(super) enum Notifications {
    /// List notifications, the newest first
    List {
        #[command(flatten)]
        which: Which,
        /// Only unreadable bodies
        #[arg(long)]
        unrecognized: bool,
        /// Only those whose run is still to be fetched
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print the body of a notification
    Show {
        /// The notification's id, or the beginning of it
        id: ShortId,
        /// With its guest links, which open a task without a login
        #[arg(long)]
        guest_links: bool,
        /// As it is, controls and all, on a terminal too
        #[arg(long)]
        raw: bool,
    },
    /// Read unreadable bodies again, after an upgrade for example
    Retry {
        #[command(flatten)]
        which: Which,
    },
}

impl Notifications {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List {
                which,
                unrecognized,
                pending,
                output,
            } => {
                let mut query = which.query(store, IdsOf::Notifications).await?;
                (query.unrecognized, query.pending) = (*unrecognized, *pending);
                let folders = folders(settings)?;
                list(&folders, store, &query, output).await
            }
            Self::Show { id, guest_links, raw } => {
                let id = id.find(store, IdsOf::Notifications).await?;
                show(store, id, *guest_links, *raw).await
            }
            Self::Retry { which } => read_again(store, which.query(store, IdsOf::Notifications).await?).await,
        })
        .await
    }
}

/// The folders of the intake log.
fn folders(settings: &Settings) -> Result<Vec<PathBuf>, Trouble> {
    let kept = settings.kept().map_err(|error| misused(error.to_string()))?;
    Ok(kept.intake.folders(&kept.store.folder()))
}

async fn list(folders: &[PathBuf], store: &dyn Store, query: &Query, output: &Output) -> Outcome {
    let mut table = Table::new([
        "id",
        "received",
        "org",
        "kind",
        "event",
        "run",
        "task",
        "duplicates",
        "state",
        "led to",
    ]);
    // The log first: what is imported in between is missing in neither.
    let in_the_log = in_the_log::waiting(folders, store, query).await?;
    let stored = store.notifications(query, output.limit).await?;
    let is_stored = |id| stored.iter().any(|stored| stored.id == id);
    let mut left = output.limit;
    for waiting in in_the_log
        .iter()
        .filter(|waiting| !is_stored(waiting.id))
        .take(output.limit)
    {
        left -= 1;
        table.row([
            json!(waiting.id),
            json!(waiting.received_at),
            json!(waiting.org),
            json!(waiting.head.kind),
            json!(waiting.head.event),
            json!(waiting.head.run),
            json!(waiting.head.task),
            json!(0),
            json!("in the intake log"),
            json!([]),
        ]);
    }
    for notification in stored.iter().take(left) {
        table.row([
            json!(notification.id),
            json!(notification.received_at),
            json!(notification.org),
            json!(notification.kind),
            json!(notification.event),
            json!(notification.run),
            json!(notification.task),
            json!(notification.duplicates),
            json!(state(notification)),
            json!(notification.led_to),
        ]);
    }
    print::table(table, output.json)
}

fn state(notification: &NotificationSummary) -> &'static str {
    match (notification.kind.as_str(), notification.covered) {
        ("unrecognized", _) => "unrecognized",
        (_, true) => "covered",
        (_, false) => "pending",
    }
}

async fn show(store: &dyn Store, id: Uuid, guest_links: bool, raw: bool) -> Outcome {
    let Some(found) = store.notification(id).await? else {
        return Ok(End::Nothing);
    };
    if guest_links {
        return print::body(&found.body, raw);
    }
    match without_guest_links(&String::from_utf8_lossy(&found.body)) {
        Ok(shown) => print::body(shown.as_bytes(), raw),
        Err(_) => Err(misused(
            "the body cannot be searched for guest links; see it with --guest-links",
        )),
    }
}

/// Reads unreadable bodies again.
async fn read_again(store: &dyn Store, mut query: Query) -> Outcome {
    query.unrecognized = true;
    let most = ReceiveConfig::default().max_body_bytes.get();
    let (mut read, mut left) = (0_u64, 0_u64);
    for found in store.notifications(&query, usize::MAX).await? {
        let Some(whole) = store.notification(found.id).await? else {
            continue;
        };
        let encoding = found.event.as_deref().and_then(encoding_in);
        let body = opened(&whole.body, encoding, most).unwrap_or(whole.body);
        let again = NewNotification {
            id: found.id,
            ..read_notification(&found.org, body, found.received_at)
        };
        if again.subject.is_some() && store.recognize(again, SchedulingTime::by_wall_clock()).await? {
            read += 1;
        } else {
            left += 1;
        }
    }
    match (read, left) {
        (0, 0) => Ok(End::Nothing),
        _ => print::say(&format!("{read} can be read now, {left} still cannot")),
    }
}
