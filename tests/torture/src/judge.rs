//! Holds a history against the promises. Pure: the same history, the same verdict.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::history::{Announcement, Arrival, Done, History, Issued, Shown, Undone, Version};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A webhook was answered with 2xx, and a handler has no event that tells of it.
    Untold {
        /// The handler.
        handler: String,
        /// The webhook.
        announcement: Announcement,
    },
    /// A webhook was answered with 2xx, and a handler has nothing as new as what it announced.
    Lost {
        /// The handler.
        handler: String,
        /// The webhook.
        announcement: Announcement,
    },
    /// The state that a handler has last is older than one that was announced, and acknowledged.
    NotLast {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// What it has.
        shown: Version,
        /// What was announced.
        announced: Version,
    },
    /// An event came before the one before it had been taken.
    Overtaken {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// The number of the event that came.
        came: u64,
        /// The newest one that had come before.
        after: u64,
    },
    /// An event came again after a later one.
    WentBack {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// The number of the event that came.
        came: u64,
        /// The newest one that had come before.
        after: u64,
    },
    /// A later event shows an older state, and does not say so.
    Aged {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// What it shows.
        shown: Version,
        /// What an earlier one showed.
        after: Version,
    },
    /// A later event shows something undone that nobody undid: a read from a replica that was behind.
    Undone {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// The number of the event.
        came: u64,
        /// What went back.
        what: String,
    },
    /// No sweep looked at the run, and its last event does not show the last state that a webhook announced.
    NotEnded {
        /// The handler.
        handler: String,
        /// The run.
        run: String,
        /// What it has.
        shown: Version,
        /// What was announced.
        announced: Version,
    },
    /// One place in a run's line has two ids.
    TwoIds {
        /// The run.
        run: String,
        /// The place.
        sequence: u64,
    },
    /// One id has two bodies, or two places.
    TwoEvents {
        /// The id.
        id: String,
    },
    /// A state that the API never held.
    Invented {
        /// The run.
        run: String,
        /// What the event shows.
        shown: Shown,
    },
}

/// What a violation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What was acknowledged is told.
    Conservation,
    /// Events come in order.
    Order,
    /// Ids are stable.
    Identity,
    /// What is told was so, and nothing goes back.
    Truth,
}

impl Violation {
    /// What it breaks.
    pub fn promise(&self) -> Promise {
        match self {
            Self::Untold { .. } | Self::Lost { .. } | Self::NotLast { .. } | Self::NotEnded { .. } => {
                Promise::Conservation
            }
            Self::Overtaken { .. } | Self::WentBack { .. } => Promise::Order,
            Self::TwoIds { .. } | Self::TwoEvents { .. } => Promise::Identity,
            Self::Aged { .. } | Self::Undone { .. } | Self::Invented { .. } => Promise::Truth,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untold { handler, announcement } => {
                write!(
                    formatter,
                    "lost: no event of `{handler}` tells of {}",
                    Webhook(announcement)
                )
            }
            Self::Lost { handler, announcement } => {
                write!(
                    formatter,
                    "lost: nothing of `{handler}` is as new as {}",
                    Webhook(announcement)
                )
            }
            Self::NotLast {
                handler,
                run,
                shown,
                announced,
            } => write!(
                formatter,
                "lost: the last event of run {run} for `{handler}` shows version {shown}, announced was {announced}"
            ),
            Self::Overtaken {
                handler,
                run,
                came,
                after,
            } => write!(
                formatter,
                "order: event {came} of run {run} came to `{handler}` before event {} was taken, after event {after}",
                came.saturating_sub(1)
            ),
            Self::WentBack {
                handler,
                run,
                came,
                after,
            } => write!(
                formatter,
                "order: event {came} of run {run} came to `{handler}` again after event {after}"
            ),
            Self::Aged {
                handler,
                run,
                shown,
                after,
            } => write!(
                formatter,
                "truth: version {shown} of run {run} came to `{handler}` after version {after}"
            ),
            Self::Undone {
                handler,
                run,
                came,
                what,
            } => write!(
                formatter,
                "truth: by event {came} of run {run}, `{handler}` saw a state go back: {what}"
            ),
            Self::NotEnded {
                handler,
                run,
                shown,
                announced,
            } => write!(
                formatter,
                "truth: without a sweep, run {run} ends on version {shown} for `{handler}`, announced was {announced}"
            ),
            Self::TwoIds { run, sequence } => write!(formatter, "ids: event {sequence} of run {run} has two ids"),
            Self::TwoEvents { id } => write!(formatter, "ids: {id} is two different events"),
            Self::Invented { run, shown } => write!(formatter, "truth: the API never held {shown:?} of run {run}"),
        }
    }
}

/// A webhook, for a person.
struct Webhook<'a>(&'a Announcement);

impl fmt::Display for Webhook<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Announcement { run, told, version, .. } = self.0;
        write!(formatter, "the {} webhook `{}` of run {run}", told.kind, told.event)?;
        if let Some(task) = &told.task {
            write!(formatter, " and task {task}")?;
        }
        write!(formatter, ", version {version}")
    }
}

/// What the judge says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What nothing that comes later can mend.
    pub contradictions: Vec<Violation>,
    /// What is owed. While the worker still works, it may come yet.
    pub owed: Vec<Violation>,
    /// How many different events came, each counted once for each handler.
    pub events: usize,
    /// How many came again.
    pub duplicates: usize,
}

/// Judges a history.
pub fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict {
        contradictions: identity(history),
        ..Verdict::default()
    };
    for (handler, arrivals) in &history.arrivals {
        let mut lines: BTreeMap<&str, Line<'_>> = BTreeMap::new();
        for arrival in arrivals {
            verdict.contradictions.extend(truth(history, arrival));
            let line = lines.entry(&arrival.run).or_default();
            verdict.contradictions.extend(line.add(handler, arrival));
            let undone = line.undone(arrival, history.runs.get(&arrival.run));
            verdict.contradictions.extend(undone.map(|what| Violation::Undone {
                handler: handler.clone(),
                run: arrival.run.clone(),
                came: arrival.sequence,
                what,
            }));
        }
        verdict.events += lines.values().map(|line| line.accepted.len()).sum::<usize>();
        verdict.duplicates += lines.values().map(|line| line.repeats).sum::<usize>();
        for announcement in history.announcements.iter().filter(|sent| sent.is_acknowledged) {
            let is_deleted = history.runs.get(&announcement.run).is_some_and(|run| run.is_deleted);
            let line = lines.get(announcement.run.as_str());
            verdict
                .owed
                .extend(conservation(handler, announcement, line, is_deleted));
        }
        verdict.owed.extend(last_states(history, handler, &lines));
    }
    verdict
}

/// What came of one run to one handler.
#[derive(Default)]
struct Line<'a> {
    newest: u64,
    /// The newest state that was shown.
    version: Version,
    accepted: BTreeMap<u64, &'a Arrival>,
    repeats: usize,
    /// The last state that was told, and the last that had tasks of its own.
    state: Option<Told<'a>>,
    tasks: Option<Told<'a>>,
}

/// A state that was told, by which event, and its version.
#[derive(Clone, Copy)]
struct Told<'a> {
    sequence: u64,
    version: Version,
    done: &'a Done,
}

impl<'a> Line<'a> {
    fn add(&mut self, handler: &str, arrival: &'a Arrival) -> Vec<Violation> {
        let mut wrong = Vec::new();
        let (handler, run, came, after) = (handler.to_owned(), arrival.run.clone(), arrival.sequence, self.newest);
        if came > after {
            let is_next = came == after + 1 && (after == 0 || self.accepted.contains_key(&after));
            if !is_next {
                wrong.push(Violation::Overtaken {
                    handler: handler.clone(),
                    run: run.clone(),
                    came,
                    after,
                });
            }
            self.newest = came;
            if let Shown::State(shown) = arrival.shown {
                if shown < self.version && !arrival.is_stale {
                    wrong.push(Violation::Aged {
                        handler,
                        run,
                        shown,
                        after: self.version,
                    });
                }
                self.version = self.version.max(shown);
            }
        } else {
            self.repeats += 1;
            if came < after {
                wrong.push(Violation::WentBack {
                    handler,
                    run,
                    came,
                    after,
                });
            }
        }
        if arrival.is_accepted {
            self.accepted.insert(came, arrival);
        }
        wrong
    }
}

impl<'a> Line<'a> {
    /// What this event shows undone that nobody undid since the one before.
    fn undone(&mut self, arrival: &'a Arrival, issued: Option<&Issued>) -> Option<String> {
        let (Some(done), Shown::State(version)) = (&arrival.done, arrival.shown) else {
            return None;
        };
        let (sequence, none) = (arrival.sequence, Issued::default());
        let now = Told {
            sequence,
            version,
            done,
        };
        let issued = issued.unwrap_or(&none);
        let state = self.state.filter(|before| before.sequence < sequence);
        let tasks = self.tasks.filter(|before| before.sequence < sequence);
        let what = state
            .and_then(|before| of_the_run(before, now, arrival.is_reactivation, issued))
            .or_else(|| tasks.and_then(|before| of_a_task(before, now, issued)));
        if self.state.is_none_or(|before| before.sequence < sequence) {
            self.state = Some(now);
        }
        if done.tasks.is_some() && self.tasks.is_none_or(|before| before.sequence < sequence) {
            self.tasks = Some(now);
        }
        what
    }
}

fn of_the_run(before: Told<'_>, now: Told<'_>, is_reactivation: bool, issued: &Issued) -> Option<String> {
    let since = |undone: &Undone| was_undone(undone, before, now, issued);
    let (completion, archiving) = (since(&Undone::Completion), since(&Undone::Archiving));
    // An operation is several changes of one moment, with one version: these are not told apart.
    if let (Some(was), Some(is)) = (before.done.updated, now.done.updated)
        && is < was
        && before.version != now.version
    {
        return Some(format!("it was last updated {was}, and then {is}"));
    }
    if before.done.is_complete && !now.done.is_complete && !completion {
        return Some("it was complete, and nobody reopened it".to_owned());
    }
    if before.done.is_archived && !now.done.is_archived && !archiving {
        return Some("it was archived, and nobody brought it back".to_owned());
    }
    (is_reactivation && !completion && !archiving).then(|| "it was told as reactivated, and nobody did that".to_owned())
}

fn of_a_task(before: Told<'_>, now: Told<'_>, issued: &Issued) -> Option<String> {
    let (was, is) = (before.done.tasks.as_ref()?, now.done.tasks.as_ref()?);
    let done = was.iter().filter(|(_, was_done)| **was_done).map(|(task, _)| task);
    let open = done.filter(|task| is.get(*task) == Some(&false));
    open.filter(|task| !was_undone(&Undone::Task((*task).clone()), before, now, issued))
        .map(|task| format!("task {task} was complete, and nobody reopened it"))
        .next()
}

/// Whether the run's people took this back between two states. The version is written before that is done: a read in
/// between shows the one without the other.
fn was_undone(what: &Undone, before: Told<'_>, now: Told<'_>, issued: &Issued) -> bool {
    let between = |version: Version| before.version <= version && version <= now.version;
    issued
        .undone
        .iter()
        .any(|(version, undone)| undone == what && between(*version))
}

/// Same place, same id; same id, same bytes: whoever got it, and however often.
fn identity(history: &History) -> Vec<Violation> {
    let mut ids: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    let mut bodies: BTreeMap<&str, &Bytes> = BTreeMap::new();
    let mut wrong = Vec::new();
    for arrival in history.arrivals.values().flatten() {
        let id = *ids.entry((&arrival.run, arrival.sequence)).or_insert(&arrival.id);
        if id != arrival.id {
            wrong.push(Violation::TwoIds {
                run: arrival.run.clone(),
                sequence: arrival.sequence,
            });
        }
        let body = *bodies.entry(&arrival.id).or_insert(&arrival.body);
        if *body != arrival.body {
            wrong.push(Violation::TwoEvents { id: arrival.id.clone() });
        }
    }
    wrong.dedup();
    wrong
}

fn truth(history: &History, arrival: &Arrival) -> Option<Violation> {
    let issued = history.runs.get(&arrival.run);
    let is_true = match arrival.shown {
        Shown::State(version) => issued.is_some_and(|issued| version <= issued.last),
        Shown::Nothing => issued.is_none_or(|issued| issued.is_deleted),
    };
    (!is_true).then(|| Violation::Invented {
        run: arrival.run.clone(),
        shown: arrival.shown,
    })
}

fn conservation(
    handler: &str,
    announcement: &Announcement,
    line: Option<&Line<'_>>,
    is_deleted: bool,
) -> Vec<Violation> {
    // Which run a task belongs to cannot be found out once the run is gone.
    if is_deleted && announcement.told.kind == "organization" {
        return Vec::new();
    }
    let accepted = || line.into_iter().flat_map(|line| line.accepted.values());
    let mut owed = Vec::new();
    if !accepted().any(|arrival| arrival.told.contains(&announcement.told)) {
        owed.push(Violation::Untold {
            handler: handler.to_owned(),
            announcement: announcement.clone(),
        });
    }
    let is_new_enough = |arrival: &Arrival| match arrival.shown {
        Shown::State(version) => version >= announcement.version,
        Shown::Nothing => is_deleted,
    };
    if announcement.is_binding && !accepted().any(|arrival| is_new_enough(arrival)) {
        owed.push(Violation::Lost {
            handler: handler.to_owned(),
            announcement: announcement.clone(),
        });
    }
    owed
}

/// The newest version of each run that a handler is owed, against the last event that it has.
fn last_states(history: &History, handler: &str, lines: &BTreeMap<&str, Line<'_>>) -> Vec<Violation> {
    let mut announced: BTreeMap<&str, Version> = BTreeMap::new();
    for sent in &history.announcements {
        let is_deleted = history.runs.get(&sent.run).is_some_and(|run| run.is_deleted);
        let is_binding = sent.is_binding || history.without_sweeps;
        if sent.is_acknowledged && is_binding && !is_deleted {
            let newest = announced.entry(&sent.run).or_default();
            *newest = sent.version.max(*newest);
        }
    }
    let is_behind = |(run, announced): (&str, Version)| {
        let last = lines.get(run)?.accepted.last_key_value()?.1;
        match last.shown {
            Shown::State(shown) if shown < announced => {
                let (handler, run) = (handler.to_owned(), run.to_owned());
                Some(match history.without_sweeps {
                    true => Violation::NotEnded {
                        handler,
                        run,
                        shown,
                        announced,
                    },
                    false => Violation::NotLast {
                        handler,
                        run,
                        shown,
                        announced,
                    },
                })
            }
            _ => None,
        }
    };
    announced.into_iter().filter_map(is_behind).collect()
}
