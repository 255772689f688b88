//! Which of the subjects that are due go first.

use std::collections::BTreeMap;

use super::refreshes::{Lane, Lanes};

/// The lanes that are looked into, the foremost first.
pub(crate) fn lanes(lanes: Lanes) -> &'static [Lane] {
    match lanes {
        Lanes::All => &[Lane::Live, Lane::Retry, Lane::Sweep],
        Lanes::WithoutSweeps => &[Lane::Live, Lane::Retry],
        Lanes::SweepsFirst => &[Lane::Sweep, Lane::Live, Lane::Retry],
    }
}

/// The lines in which subjects wait: in each lane, what the API has shown, and what may not exist.
pub(crate) fn lines(lanes: &[Lane]) -> impl Iterator<Item = (Lane, bool)> {
    lanes.iter().flat_map(|&lane| [(lane, true), (lane, false)])
}

/// A subject that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Whether the API has shown it.
    pub(crate) is_known: bool,
    /// The place of its lane among those that are looked into.
    pub(crate) lane: Option<usize>,
    /// Since when it could have been handed out.
    pub(crate) since: i64,
    pub(crate) key: i64,
}

/// What is to be handed out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InTurn {
    /// The subjects, in their order.
    pub(crate) keys: Vec<i64>,
    /// Whose turn it is next, if that changes: true for what the API has shown.
    pub(crate) next_turn: Option<bool>,
}

/// A subject that may be handed out. The order of the fields is the order of precedence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    lane: Option<usize>,
    /// How many of its lane and its kind go before it.
    rank: usize,
    /// Whether it is the turn of the other kind.
    waits: bool,
    key: i64,
    is_known: bool,
}

/// The subjects to hand out: by lane, then the longest due first. In each lane, what the API has shown and what may not
/// exist take turns, the next claim included; `turn` says whose it is.
pub(crate) fn in_turn(mut waiting: Vec<Waiting>, turn: bool, limit: usize) -> InTurn {
    waiting.sort_unstable_by_key(|waiting| (waiting.since, waiting.key));
    let mut ranks: BTreeMap<(Option<usize>, bool), usize> = BTreeMap::new();
    let mut found: Vec<Candidate> = Vec::with_capacity(waiting.len());
    for Waiting {
        is_known, lane, key, ..
    } in waiting
    {
        let rank = ranks.entry((lane, is_known)).or_default();
        found.push(Candidate {
            lane,
            rank: *rank,
            waits: is_known != turn,
            key,
            is_known,
        });
        *rank += 1;
    }
    found.sort_unstable();
    let is_contended = [true, false]
        .iter()
        .all(|kind| found.iter().any(|found| found.is_known == *kind));
    found.truncate(limit);
    let last = found.last().filter(|last| is_contended && last.is_known == turn);
    let next_turn = last.map(|last| !last.is_known);
    InTurn {
        keys: found.into_iter().map(|candidate| candidate.key).collect(),
        next_turn,
    }
}
