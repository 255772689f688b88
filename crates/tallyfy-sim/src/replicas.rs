//! Replicas that lag behind by different times, includes that drop out, and lists that contradict themselves.
//!
//! All of it is documented for this vendor (API reference, sections h.3, h.4 and h.24). A replica only goes forward, but no
//! two are equally far, so that a read may show an older state than the read before it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::Lag;

/// How reads are answered by replicas. The same seed and the same requests give the same answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replicas {
    /// Decides which replica answers, how far it lags, and what is left out.
    pub seed: u64,
    /// How many there are.
    pub count: NonZeroUsize,
    /// How far they lag on average. Most lags are shorter, and a few much longer.
    #[serde(rename = "mean_lag_millis", with = "crate::millis")]
    pub mean_lag: Duration,
    /// How far they lag at most.
    #[serde(rename = "longest_lag_millis", with = "crate::millis")]
    pub longest_lag: Duration,
    /// The part of the includes, from 0 to 1, that drop out: `null`, `{"data":null}`, `false`, or not there.
    pub dropped_includes: f64,
    /// The part of the lists, from 0 to 1, that are empty or a run short with the same total, or half as long.
    pub contradicting_lists: f64,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            seed: 1,
            count: NonZeroUsize::MIN.saturating_add(2),
            mean_lag: Duration::from_millis(500),
            longest_lag: Duration::from_secs(3),
            dropped_includes: 0.1,
            contradicting_lists: 0.1,
        }
    }
}

impl Replicas {
    /// The default, by another seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The part that is none, if one is.
    pub(crate) fn wrong_part(&self) -> Option<&'static str> {
        let parts = [
            ("dropped_includes", self.dropped_includes),
            ("contradicting_lists", self.contradicting_lists),
        ];
        let wrong = parts.into_iter().find(|(_, part)| !(0.0..=1.0).contains(part));
        wrong.map(|(name, _)| name)
    }
}

/// Where reads take their view of the world from.
#[derive(Debug, Default)]
pub(crate) struct ReplicaSource(Mutex<Option<Drawn>>);

#[derive(Debug)]
struct Drawn {
    replicas: Replicas,
    rng: StdRng,
    /// Up to when each replica has the changes.
    reached: Vec<Timestamp>,
}

/// How one read sees the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) lag: Lag,
    pub(crate) list: Option<Contradiction>,
    missing: BTreeMap<String, Missing>,
}

/// How a list contradicts itself, or the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// The page has no items. Its total is right.
    Empty,
    /// The page lacks its last item. Its total is right.
    Short,
    /// The list has half of its items, and a total to match.
    Half,
}

/// The form of an include that drops out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Absent,
    Null,
    NullData,
    False,
}

impl ReplicaSource {
    pub(crate) fn set(&self, replicas: Option<Replicas>) {
        *self.drawn() = replicas.map(|replicas| Drawn {
            rng: StdRng::seed_from_u64(replicas.seed),
            reached: vec![Timestamp::MIN; replicas.count.get()],
            replicas,
        });
    }

    pub(crate) fn replicas(&self) -> Option<Replicas> {
        self.drawn().as_ref().map(|drawn| drawn.replicas.clone())
    }

    /// The view of the next read, which asks for these includes; `None` where there are no replicas.
    pub(crate) fn view<'i>(&self, includes: impl Iterator<Item = &'i str>, now: Timestamp) -> Option<View> {
        Some(self.drawn().as_mut()?.view(includes, now))
    }

    fn drawn(&self) -> MutexGuard<'_, Option<Drawn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drawn {
    fn view<'i>(&mut self, includes: impl Iterator<Item = &'i str>, now: Timestamp) -> View {
        let replica = self.rng.random_range(0..self.reached.len());
        let behind = now.checked_sub(self.lag()).unwrap_or(Timestamp::MIN);
        let lag = self.reached.get_mut(replica).map_or(Duration::ZERO, |reached| {
            *reached = behind.max(*reached);
            now.duration_since(*reached).unsigned_abs()
        });
        let (dropped, contradicting) = (self.replicas.dropped_includes, self.replicas.contradicting_lists);
        let missing = includes
            .filter_map(|include| Some((include.to_owned(), self.one_of(dropped, Missing::ALL)?)))
            .collect();
        View {
            lag: Lag::Time(lag),
            list: self.one_of(contradicting, Contradiction::ALL),
            missing,
        }
    }

    /// Exponential, and cut off.
    fn lag(&mut self) -> Duration {
        let luck: f64 = self.rng.random();
        let lag = self.replicas.mean_lag.as_secs_f64() * -(1.0 - luck).ln();
        Duration::try_from_secs_f64(lag)
            .unwrap_or(Duration::MAX)
            .min(self.replicas.longest_lag)
    }

    fn one_of<T: Copy>(&mut self, part: f64, forms: &[T]) -> Option<T> {
        if !self.rng.random_bool(part.clamp(0.0, 1.0)) {
            return None;
        }
        forms.get(self.rng.random_range(0..forms.len())).copied()
    }
}

impl View {
    /// Whole, and behind by this lag.
    pub(crate) fn behind(lag: Lag) -> Self {
        Self { lag, ..Self::default() }
    }

    /// Takes out of a run what drops out of this answer.
    pub(crate) fn leave_out(&self, run: &mut Value) {
        let Some(members) = run.as_object_mut() else { return };
        for (include, missing) in &self.missing {
            let instead = match missing {
                Missing::Absent => {
                    members.remove(include);
                    continue;
                }
                Missing::Null => Value::Null,
                Missing::NullData => json!({"data": null}),
                Missing::False => json!(false),
            };
            members.insert(include.clone(), instead);
        }
    }
}

impl Missing {
    const ALL: &'static [Self] = &[Self::Absent, Self::Null, Self::NullData, Self::False];
}

impl Contradiction {
    const ALL: &'static [Self] = &[Self::Empty, Self::Short, Self::Half];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn views(replicas: Replicas, count: u32) -> Vec<View> {
        let source = ReplicaSource::default();
        source.set(Some(replicas));
        let start: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let view = |number| {
            source.view(
                ["tasks", "tags"].into_iter(),
                start + Duration::from_millis(100) * number,
            )
        };
        (0..count).filter_map(view).collect()
    }

    fn lag(view: &View) -> Duration {
        match view.lag {
            Lag::Time(lag) => lag,
            _ => Duration::MAX,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_views() {
        assert_eq!(views(Replicas::seeded(3), 50), views(Replicas::seeded(3), 50));
        assert_ne!(views(Replicas::seeded(3), 50), views(Replicas::seeded(4), 50));
    }

    #[test]
    fn lags_differ_and_are_cut_off() {
        let views = views(Replicas::default(), 500);
        assert!(views.iter().all(|view| lag(view) <= Duration::from_secs(3)));
        assert!(views.iter().any(|view| lag(view) > Duration::from_secs(1)));
        assert!(
            views
                .windows(2)
                .any(|pair| lag(&pair[1]) > lag(&pair[0]) + Duration::from_millis(100))
        );
    }

    #[test]
    fn a_single_replica_only_goes_forward() {
        let one = Replicas {
            count: NonZeroUsize::MIN,
            ..Replicas::default()
        };
        let is_forward = |pair: &[View]| lag(&pair[1]) <= lag(&pair[0]) + Duration::from_millis(100);
        assert!(views(one, 500).windows(2).all(is_forward));
    }

    #[test]
    fn an_include_drops_out_in_every_form() {
        let always = Replicas {
            dropped_includes: 1.0,
            ..Replicas::default()
        };
        let told = |view: &View| {
            let mut run = json!({"id": "r1", "tasks": {"data": []}});
            view.leave_out(&mut run);
            run.get("tasks").map(ToString::to_string)
        };
        let forms: BTreeSet<Option<String>> = views(always, 50).iter().map(told).collect();
        let expected = [None, Some("false"), Some("null"), Some(r#"{"data":null}"#)];
        assert_eq!(forms, expected.map(|form| form.map(str::to_owned)).into());
    }
}
