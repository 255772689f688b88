//! When which sweep begins. Nothing here does I/O or reads a clock.

use std::time::Duration;

use runs_store::{SweepKind, SweepOrder, SweepScope, Sweeps};
use tokio::time::Instant;

use crate::config::{ReconcileConfig, ReconcileScope};

/// After webhooks were turned away: how long until a sweep looks for what they were about.
const AFTER_A_LOSS: Duration = Duration::from_secs(10);

/// What calls for a sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reasons {
    /// When the last sweep that this process began has ended; none, if there was none.
    pub(super) last_ended: Option<Instant>,
    /// When a webhook was turned away since, for the first time.
    pub(super) lost_at: Option<Instant>,
}

/// The sweep that is to begin or to go on, or how long there is nothing to do.
pub(super) fn next(
    sweeps: &Sweeps,
    config: &ReconcileConfig,
    reasons: Reasons,
    now: Instant,
) -> Result<SweepOrder, Duration> {
    if let Some(sweep) = sweeps.latest.as_ref().filter(|sweep| !sweep.is_finished()) {
        return Ok(sweep.order);
    }
    if let Some(asked) = sweeps.asked {
        return Ok(asked);
    }
    let scope = match config.scope {
        ReconcileScope::All => SweepScope::All,
        ReconcileScope::Active => SweepScope::Active,
        ReconcileScope::Off => return Err(Duration::MAX),
    };
    let order = SweepOrder {
        kind: SweepKind::Sync,
        scope,
        // Once; what is new after the first sweep is told of anyway.
        backfill: config.backfill && reasons.last_ended.is_none(),
    };
    let Some(last_ended) = reasons.last_ended else {
        return Ok(order);
    };
    let by_interval = last_ended + config.interval;
    let at = match reasons.lost_at {
        Some(lost_at) => by_interval.min(lost_at + AFTER_A_LOSS),
        None => by_interval,
    };
    match at.checked_duration_since(now) {
        None | Some(Duration::ZERO) => Ok(order),
        Some(wait) => Err(wait),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use runs_store::{Sweep, SweepFound, SweepPhase};

    use super::*;

    const SYNC: SweepOrder = SweepOrder {
        kind: SweepKind::Sync,
        scope: SweepScope::All,
        backfill: false,
    };
    const AUDIT: SweepOrder = SweepOrder {
        kind: SweepKind::Audit,
        ..SYNC
    };

    fn reasons(last_ended: Option<Instant>, lost_at: Option<Instant>) -> Reasons {
        Reasons { last_ended, lost_at }
    }

    #[test]
    fn a_sweep_begins_at_the_start_and_then_at_the_interval() {
        let (now, config) = (Instant::now(), ReconcileConfig::default());
        let sweeps = Sweeps::default();
        assert_eq!(next(&sweeps, &config, reasons(None, None), now), Ok(SYNC));
        let ended = reasons(Some(now), None);
        assert_eq!(next(&sweeps, &config, ended, now), Err(config.interval));
        assert_eq!(next(&sweeps, &config, ended, now + config.interval), Ok(SYNC));
    }

    #[test]
    fn what_is_under_way_goes_on_before_anything_else_begins() {
        let unfinished = Sweep {
            number: 3,
            order: AUDIT,
            baseline: false,
            started_at: Timestamp::UNIX_EPOCH,
            phase: SweepPhase::Closing,
            expected: 0,
            total: None,
            found: SweepFound::default(),
        };
        let sweeps = Sweeps {
            latest: Some(unfinished),
            asked: Some(SYNC),
        };
        let order = next(
            &sweeps,
            &ReconcileConfig::default(),
            reasons(None, None),
            Instant::now(),
        );
        assert_eq!(order, Ok(AUDIT));
    }

    #[test]
    fn a_persons_wish_waits_for_no_interval_and_needs_no_sweeps_at_all() {
        let sweeps = Sweeps {
            latest: None,
            asked: Some(AUDIT),
        };
        let off = ReconcileConfig {
            scope: ReconcileScope::Off,
            ..ReconcileConfig::default()
        };
        let now = Instant::now();
        assert_eq!(next(&sweeps, &off, reasons(Some(now), None), now), Ok(AUDIT));
        assert_eq!(
            next(&Sweeps::default(), &off, reasons(None, None), now),
            Err(Duration::MAX)
        );
    }

    #[test]
    fn webhooks_that_were_turned_away_call_for_a_sweep_soon() {
        let (now, config) = (Instant::now(), ReconcileConfig::default());
        let lost = reasons(Some(now), Some(now));
        assert_eq!(next(&Sweeps::default(), &config, lost, now), Err(AFTER_A_LOSS));
        assert_eq!(next(&Sweeps::default(), &config, lost, now + AFTER_A_LOSS), Ok(SYNC));
    }

    #[test]
    fn the_past_is_filled_in_once() {
        let config = ReconcileConfig {
            backfill: true,
            ..ReconcileConfig::default()
        };
        let now = Instant::now();
        let first = next(&Sweeps::default(), &config, reasons(None, None), now);
        assert_eq!(first.map(|order| order.backfill), Ok(true));
        let later = next(
            &Sweeps::default(),
            &config,
            reasons(Some(now), None),
            now + config.interval,
        );
        assert_eq!(later.map(|order| order.backfill), Ok(false));
    }
}
