//! How everything stands, on one page.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runs_store::{HandlerStats, Pulse, SchedulingTime, Store, StoreError, Sweep, SweepKind};
use serde::Serialize;
use tallyfy_model::OrgId;

use super::report::{Budget, OrgReport, WorkerReport};
use super::words::{ago, length, plural, until};
use super::{Sentence, Tone};

/// A worker that was not there for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// After how long one of several workers that is not seen is believed to be away.
pub(crate) const AWAY: Duration = Duration::from_secs(60);
/// How far back it is told what was done.
const LOOKS_BACK: SignedDuration = SignedDuration::from_hours(24);
/// How late something is that should worry somebody.
const LATE: Duration = Duration::from_secs(15 * 60);
/// What the pulse calls webhooks of an organization, and requests that were turned away.
pub(crate) const WEBHOOKS_OF: &str = "webhooks of ";
pub(crate) const REFUSED: &str = "refused: ";

/// How everything stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) at: Timestamp,
    pub(crate) tone: Tone,
    /// What is wrong, the worst first; one sentence that all is well, if nothing is.
    pub(crate) sentences: Vec<Sentence>,
    pub(crate) workers: Vec<WorkerView>,
    pub(crate) organizations: Vec<OrgView>,
    pub(crate) handlers: Vec<HandlerView>,
    /// Runs that wait for a fetch, and since when the oldest could have been fetched.
    pub(crate) due: u64,
    pub(crate) oldest_due: Option<Timestamp>,
    pub(crate) unreadable: u64,
    /// Requests that the door turned away within a day, by reason, with the last minute in which one was.
    pub(crate) refused: Vec<Refused>,
    #[serde(skip)]
    pub(crate) pulse: Vec<Pulse>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerView {
    pub(crate) worker: String,
    pub(crate) version: String,
    pub(crate) started_at: Timestamp,
    pub(crate) seen_at: Timestamp,
    pub(crate) is_there: bool,
    pub(crate) report: WorkerReport,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct OrgView {
    pub(crate) organization: String,
    pub(crate) tone: Tone,
    /// Why nothing is fetched, if that is so.
    pub(crate) trouble: Option<String>,
    pub(crate) last_webhook: Option<Timestamp>,
    pub(crate) last_sweep: Option<SweepView>,
    pub(crate) budget: Vec<Budget>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct SweepView {
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) compared: u64,
    pub(crate) missing: u64,
    pub(crate) in_words: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct HandlerView {
    pub(crate) handler: String,
    pub(crate) tone: Tone,
    pub(crate) in_words: String,
    pub(crate) configured: bool,
    pub(crate) paused: bool,
    pub(crate) waiting: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) dead_letters: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) attempts: Option<u32>,
    pub(crate) next_try: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) count: u64,
    pub(crate) last: Timestamp,
}

impl Status {
    /// Whether a worker is there.
    pub(crate) fn is_served(&self) -> bool {
        self.workers.iter().any(|worker| worker.is_there)
    }

    /// An organization.
    pub(crate) fn organization(&self, org: &str) -> Option<&OrgView> {
        self.organizations.iter().find(|view| view.organization == org)
    }
}

/// Asks the store how everything stands.
pub(crate) async fn status(store: &dyn Store, now: Timestamp) -> Result<Status, StoreError> {
    let since = now.checked_sub(LOOKS_BACK).unwrap_or(Timestamp::MIN);
    let stats = store.stats(SchedulingTime::new(now)).await?;
    let pulse = store.pulse(since).await?;
    let workers: Vec<WorkerView> = store
        .beats(since)
        .await?
        .into_iter()
        .map(|seen| WorkerView {
            is_there: is_within(seen.seen_at, now, GONE_AFTER),
            worker: seen.worker,
            version: seen.version,
            started_at: seen.started_at,
            seen_at: seen.seen_at,
            report: serde_json::from_str(&seen.report).unwrap_or_default(),
        })
        .collect();
    let mut organizations = Vec::new();
    for report in reports(&workers) {
        let sweep = store.sweeps(&OrgId::new(report.org.clone())).await?.latest;
        organizations.push(organization(report, sweep.as_ref(), &pulse, now));
    }
    let handlers = stats
        .handlers
        .iter()
        .map(|stats| handler(stats, &workers, now))
        .collect();
    let mut status = Status {
        at: now,
        tone: Tone::Good,
        sentences: Vec::new(),
        workers,
        organizations,
        handlers,
        due: stats.due,
        oldest_due: stats.oldest_due.map(SchedulingTime::shown),
        unreadable: stats.unrecognized,
        refused: refused(&pulse),
        pulse,
    };
    status.sentences = sentences(&status);
    status.tone = status.sentences.first().map_or(Tone::Good, |sentence| sentence.tone);
    Ok(status)
}

fn is_within(at: Timestamp, now: Timestamp, long: Duration) -> bool {
    Duration::try_from(now.duration_since(at)).is_ok_and(|passed| passed <= long) || at > now
}

/// What is told of each organization, by those who are there before those who were.
fn reports(workers: &[WorkerView]) -> Vec<OrgReport> {
    let mut reports: BTreeMap<&str, OrgReport> = BTreeMap::new();
    let (there, gone): (Vec<_>, Vec<_>) = workers.iter().partition(|worker| worker.is_there);
    for report in there.into_iter().chain(gone).flat_map(|worker| &worker.report.orgs) {
        let told = reports.entry(&report.org).or_insert_with(|| report.clone());
        told.last_webhook = told.last_webhook.max(report.last_webhook);
        told.trouble = told.trouble.take().or_else(|| report.trouble.clone());
    }
    reports.into_values().collect()
}

fn organization(report: OrgReport, sweep: Option<&Sweep>, pulse: &[Pulse], now: Timestamp) -> OrgView {
    let key = format!("{WEBHOOKS_OF}{}", report.org);
    let earlier = pulse
        .iter()
        .filter(|pulse| pulse.what == key)
        .map(|pulse| pulse.minute)
        .max();
    let last_webhook = report.last_webhook.max(earlier);
    let silence = Duration::from_secs(report.silence_seconds);
    let is_silent = last_webhook.is_some_and(|at| !silence.is_zero() && !is_within(at, now, silence));
    let tone = match (&report.trouble, is_silent) {
        (Some(_), _) => Tone::Bad,
        (None, true) => Tone::Warn,
        (None, false) => Tone::Good,
    };
    OrgView {
        organization: report.org,
        tone,
        trouble: report.trouble,
        last_webhook,
        last_sweep: sweep.map(|sweep| sweep_view(sweep, now)),
        budget: report.budget,
    }
}

fn sweep_view(sweep: &Sweep, now: Timestamp) -> SweepView {
    let finished_at = match sweep.phase {
        runs_store::SweepPhase::Finished(at) => Some(at),
        _ => None,
    };
    let found = sweep.found;
    let compared = plural(found.listed, "run");
    let in_words = match (finished_at, found.missing(), sweep.baseline && !sweep.order.backfill) {
        (None, ..) => format!(
            "under way since {}: {compared} compared so far",
            ago(sweep.started_at, now)
        ),
        (Some(at), _, true) => format!("{}: recorded {compared}", ago(at, now)),
        (Some(at), 0, _) => format!("{}: {compared} compared, all up to date", ago(at, now)),
        (Some(at), missing, _) => format!(
            "{}: {compared} compared, {} that no webhook told of",
            ago(at, now),
            plural(missing, "change")
        ),
    };
    SweepView {
        number: sweep.number,
        kind: match sweep.order.kind {
            SweepKind::Sync => "sync",
            SweepKind::Audit => "audit",
        },
        started_at: sweep.started_at,
        finished_at,
        compared: found.listed,
        missing: found.missing(),
        in_words,
    }
}

fn handler(stats: &HandlerStats, workers: &[WorkerView], now: Timestamp) -> HandlerView {
    let name = stats.handler.as_str();
    let trouble = workers
        .iter()
        .filter(|worker| worker.is_there)
        .flat_map(|worker| &worker.report.handlers)
        .filter(|report| report.handler == name)
        .find_map(|report| report.trouble.clone());
    let oldest = stats.oldest.map(SchedulingTime::shown);
    let is_late = oldest.is_some_and(|oldest| !is_within(oldest, now, LATE));
    let (tone, in_words) = match (&trouble, &stats.failing) {
        _ if stats.paused => (
            Tone::Warn,
            format!("paused: {} wait until it is resumed", plural(stats.waiting, "event")),
        ),
        _ if !stats.active => (
            Tone::Warn,
            format!(
                "not configured any more; {} wait for it",
                plural(stats.waiting, "event")
            ),
        ),
        (Some(trouble), _) => (Tone::Bad, trouble.clone()),
        (None, Some(failing)) => {
            let tone = if is_late { Tone::Bad } else { Tone::Warn };
            let next = until(failing.next_try.shown(), now);
            (
                tone,
                format!(
                    "try {} failed: {}; the next one is {next}",
                    failing.attempts, failing.reason
                ),
            )
        }
        (None, None) if is_late => (Tone::Warn, "late".to_owned()),
        (None, None) if stats.dead_letters > 0 => (
            Tone::Warn,
            format!(
                "{} given up, see the dead letters",
                plural(stats.dead_letters, "delivery")
            ),
        ),
        (None, None) if stats.waiting > 0 => (Tone::Good, "at work".to_owned()),
        (None, None) => (Tone::Good, "has everything".to_owned()),
    };
    HandlerView {
        handler: name.to_owned(),
        tone,
        in_words,
        configured: stats.active,
        paused: stats.paused,
        waiting: stats.waiting,
        oldest,
        dead_letters: stats.dead_letters,
        last_error: trouble.or_else(|| stats.failing.as_ref().map(|failing| failing.reason.clone())),
        attempts: stats.failing.as_ref().map(|failing| failing.attempts),
        next_try: stats.failing.as_ref().map(|failing| failing.next_try.shown()),
    }
}

fn refused(pulse: &[Pulse]) -> Vec<Refused> {
    let mut reasons: BTreeMap<&str, Refused> = BTreeMap::new();
    for pulse in pulse {
        let Some(reason) = pulse.what.strip_prefix(REFUSED) else {
            continue;
        };
        let told = reasons.entry(reason).or_insert_with(|| Refused {
            reason: refusal(reason).to_owned(),
            count: 0,
            last: pulse.minute,
        });
        told.count += pulse.count;
        told.last = told.last.max(pulse.minute);
    }
    reasons.into_values().collect()
}

/// Why the door turned something away, in words.
fn refusal(reason: &str) -> &str {
    match reason {
        "not found" => "to an unknown address, which a wrong secret in the path makes",
        "wrong organization" => "for an organization that the secret in the path is not for",
        "wrong method" => "not a POST",
        "empty" => "without a body",
        "broken" => "with a body that broke off",
        "too slow" => "with a body that took too long",
        "too large" => "with a body that is too large",
        "busy" => "while too much was under way",
        "not stored" => "that could not be kept",
        other => other,
    }
}

/// What is wrong, the worst first.
fn sentences(status: &Status) -> Vec<Sentence> {
    let now = status.at;
    let mut told = Vec::new();
    let mut tell = |tone, text: String| told.push(Sentence { tone, text });
    match status.workers.iter().map(|worker| worker.seen_at).max() {
        None => tell(Tone::Bad, "No worker has run here within a day.".to_owned()),
        Some(seen) if !status.is_served() => {
            tell(
                Tone::Bad,
                format!("No worker runs; the last one was seen {}.", ago(seen, now)),
            );
        }
        Some(_) => {}
    }
    for WorkerView { worker, report, .. } in status.workers.iter().filter(|worker| worker.is_there) {
        let parts = [
            ("cannot receive", &report.door),
            ("has trouble with its store", &report.store),
            ("cannot reach the API", &report.api),
            ("cannot import from its intake log", &report.import),
        ];
        for (what, trouble) in parts {
            if let Some(trouble) = trouble {
                tell(Tone::Bad, format!("Worker {worker} {what}: {trouble}."));
            }
        }
    }
    for org in &status.organizations {
        match (&org.trouble, org.last_webhook) {
            (Some(trouble), _) => tell(Tone::Bad, format!("Organization {}: {trouble}.", org.organization)),
            (None, Some(last)) if org.tone == Tone::Warn => tell(
                Tone::Warn,
                format!(
                    "Organization {}: no webhook since {}.",
                    org.organization,
                    ago(last, now)
                ),
            ),
            _ => {}
        }
    }
    for handler in status.handlers.iter().filter(|handler| handler.tone > Tone::Quiet) {
        tell(
            handler.tone,
            format!("Handler {}: {}.", handler.handler, handler.in_words),
        );
    }
    if let Some(oldest) = status.oldest_due.filter(|oldest| !is_within(*oldest, now, LATE)) {
        let long = length(super::words::gap(oldest, now));
        tell(Tone::Warn, format!("The oldest run that is due has waited for {long}."));
    }
    if status.unreadable > 0 {
        let bodies = plural(status.unreadable, "notification");
        tell(Tone::Warn, format!("{bodies} could not be read."));
    }
    told.sort_by_key(|sentence| std::cmp::Reverse(sentence.tone));
    if told.is_empty() {
        told.push(Sentence {
            tone: Tone::Good,
            text: "All is well.".to_owned(),
        });
    }
    told
}
