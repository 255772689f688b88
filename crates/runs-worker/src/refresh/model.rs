//! Whatever lags, drops out or restarts: the last event of a run is its last state, no state goes back, each milestone is
//! told once, and the number of calls is bounded.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use runs_store::{
    Claim, HandlerName, InboxDesk as _, Lanes, NewNotification, NotificationHead, RefreshDesk as _, RefreshEnd,
    SchedulingTime, SqliteStore, Subject,
};
use tallyfy_model::{OrgId, Run, RunId, Webhook};

use super::decide::Decider;
use crate::config::{EventsConfig, RefreshConfig};
use crate::filter::EventFilter;

/// The calls that are allowed for each announcement: two fetches and the quick tries.
const FOR_EACH_ANNOUNCEMENT: usize = 2 + 3;
/// And once, at the end: looks at growing distance for as long as the API lags, and the look for what has no time.
const TAIL: usize = 12;

/// What a person does to the run, some tenths of a second after the last time.
#[derive(Clone, Copy, Debug)]
struct Act {
    after: u16,
    what: What,
    announced: Announcement,
    /// Whether the worker is restarted before.
    restart: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Edit,
    /// Completes the run, or reopens it.
    Turn,
}

#[derive(Clone, Copy, Debug)]
enum Announcement {
    /// As the templates' webhooks are.
    WithTime,
    /// As an organization's events are.
    WithoutTime,
    Twice,
}

/// What the API has at some time.
#[derive(Clone, Debug)]
struct State {
    at: Timestamp,
    version: u32,
    completed_at: Option<Timestamp>,
    completions: usize,
}

impl State {
    /// As the API answers.
    fn answer(&self, millis: bool) -> String {
        let (version, told) = (self.version, self.told(millis));
        format!(r#"{{"id":"r1","version":{version},{told},"tasks":[]}}"#)
    }

    /// As a webhook says it: two edits of one moment are announced by the same bytes.
    fn announcement(&self, millis: bool) -> String {
        format!(r#"{{"id":"r1",{}}}"#, self.told(millis))
    }

    fn told(&self, millis: bool) -> String {
        let form = if millis {
            "%Y-%m-%dT%H:%M:%S.%3fZ"
        } else {
            "%Y-%m-%dT%H:%M:%SZ"
        };
        let (status, completed_at) = match self.completed_at {
            Some(at) => ("complete", format!(r#""{}""#, at.strftime(form))),
            None => ("active", "null".to_owned()),
        };
        let updated = self.at.strftime(form);
        format!(r#""status":"{status}","completed_at":{completed_at},"last_updated":"{updated}""#)
    }
}

/// A run's life, and how the API answers.
#[derive(Clone, Debug)]
struct Story {
    acts: Vec<Act>,
    /// How many tenths of a second each answer lags behind, in turn; none is told before the launch.
    lags: Vec<u16>,
    /// Whether times are written to the millisecond, or to the second.
    millis: bool,
}

fn stories() -> impl Strategy<Value = Story> {
    let announced = prop_oneof![
        3 => Just(Announcement::WithTime),
        1 => Just(Announcement::WithoutTime),
        1 => Just(Announcement::Twice),
    ];
    let what = prop_oneof![2 => Just(What::Edit), 1 => Just(What::Turn)];
    // Many in the same second.
    let after = prop_oneof![0..6_u16, 0..40_u16];
    let act =
        (after, what, announced, proptest::bool::weighted(0.1)).prop_map(|(after, what, announced, restart)| Act {
            after,
            what,
            announced,
            restart,
        });
    (vec(act, 1..12), vec(0..40_u16, 1..8), any::<bool>()).prop_map(|(acts, lags, millis)| Story { acts, lags, millis })
}

fn tenths(count: u16) -> SignedDuration {
    SignedDuration::from_millis(i64::from(count) * 100)
}

struct World {
    story: Story,
    store: SqliteStore,
    config: RefreshConfig,
    states: Vec<State>,
    announcements: usize,
    calls: usize,
    /// The types of the events, and the versions that they show.
    events: Vec<(String, u32)>,
}

impl World {
    async fn new(story: Story) -> Self {
        let start: Timestamp = "2026-01-31T09:00:00Z".parse().unwrap();
        let store = SqliteStore::in_memory(SchedulingTime::new(start)).unwrap();
        store.watch(&org(), start).await.unwrap();
        let launched = State {
            at: start + SignedDuration::from_secs(1),
            version: 0,
            completed_at: None,
            completions: 0,
        };
        Self {
            story,
            store,
            config: RefreshConfig::default(),
            states: vec![launched],
            announcements: 0,
            calls: 0,
            events: Vec::new(),
        }
    }

    async fn live(&mut self) {
        let mut now = self.states[0].at;
        self.announce(Announcement::WithTime, now).await;
        for act in self.story.acts.clone() {
            // Two changes of one millisecond are one, as far as anybody can tell by their times.
            let after = act.after.max(u16::from(self.story.millis));
            let then = now + tenths(after);
            self.fetch_until(SchedulingTime::new(then)).await;
            now = then;
            if act.restart {
                self.store = self.store.successor(SchedulingTime::new(now)).await.unwrap();
            }
            self.act(act.what, now);
            self.announce(act.announced, now).await;
        }
        self.fetch_until(SchedulingTime::new(now + SignedDuration::from_hours(48)))
            .await;
    }

    fn act(&mut self, what: What, now: Timestamp) {
        let mut state = self.last().clone();
        state.version += 1;
        state.at = now;
        if what == What::Turn {
            state.completed_at = state.completed_at.is_none().then_some(now);
            state.completions += usize::from(state.completed_at.is_some());
        }
        self.states.push(state);
    }

    fn last(&self) -> &State {
        self.states.last().unwrap()
    }

    async fn announce(&mut self, announced: Announcement, now: Timestamp) {
        let with_time = self.last().announcement(self.story.millis);
        let without = r#"{"event":"task.assigned","process":{"id":"r1"}}"#.to_owned();
        let bodies = match announced {
            Announcement::WithTime => vec![with_time],
            Announcement::WithoutTime => vec![without],
            Announcement::Twice => vec![with_time, without],
        };
        for body in bodies {
            self.announcements += 1;
            let webhook = Webhook::parse(body.as_bytes()).unwrap();
            let notification = NewNotification {
                id: uuid::Uuid::now_v7(),
                org: org(),
                subject: Some(Subject::Run(RunId::new("r1"))),
                head: NotificationHead {
                    kind: webhook.kind.as_str().to_owned(),
                    event: webhook.event,
                    run: webhook.run,
                    task: webhook.task,
                    announced: webhook.announced,
                },
                dedupe_key: webhook.dedupe_key.map(|key| format!("{key} {}", webhook.says)),
                received_at: now,
                body: Bytes::from(body),
            };
            self.store.append(notification, SchedulingTime::new(now)).await.unwrap();
        }
    }

    async fn fetch_until(&mut self, until: SchedulingTime) {
        while let Some(due) = self.store.next_due(&org(), Lanes::All).await.unwrap()
            && due <= until
        {
            let claim = Claim {
                now: due,
                lease: Duration::from_secs(60),
                limit: 1,
                in_flight: None,
            };
            let claimed = self.store.claim_due(&org(), Lanes::All, claim).await.unwrap();
            for work in claimed.work {
                self.calls += 1;
                assert!(self.calls < 1000, "it never ends");
                let lag = self.story.lags[self.calls % self.story.lags.len()];
                let seen = due.shown() - tenths(lag);
                // A replica answers with an old state, but never with that the run is not there.
                let shown = self
                    .states
                    .iter()
                    .rfind(|state| state.at <= seen)
                    .unwrap_or(&self.states[0]);
                let answer = Run::from_json(&shown.answer(self.story.millis)).unwrap();
                let handlers = [(HandlerName::new("all"), EventFilter::default())];
                let decider = Decider {
                    config: &self.config,
                    due: &work,
                    events: &EventsConfig::default(),
                    handlers: &handlers,
                    started: due,
                    now: due,
                    fetched_at: due.shown(),
                    random: 0.5,
                };
                let end = decider.fetched(answer).end;
                if let RefreshEnd::Commit(refreshed) = &end {
                    for event in &refreshed.events {
                        let json: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
                        let version = json["data"]["run"]["version"].as_u64().unwrap();
                        self.events
                            .push((event.event_type.clone(), u32::try_from(version).unwrap()));
                    }
                }
                let ended = self
                    .store
                    .end_refreshes(vec![(work.lease, end).into()], due)
                    .await
                    .unwrap();
                assert_eq!(ended, [Ok(())]);
            }
        }
    }

    fn judge(&self) {
        let shown: Vec<u32> = self.events.iter().map(|(_, version)| *version).collect();
        assert_eq!(
            shown.last(),
            Some(&self.last().version),
            "the last event is the last state: {shown:?}"
        );
        // Edits of one moment, as exactly as it is written, have no order that the API shows.
        let moments = shown.iter().map(|version| {
            let at = self.states[*version as usize].at;
            if self.story.millis {
                at.as_millisecond()
            } else {
                at.as_second()
            }
        });
        assert!(moments.is_sorted(), "no state goes back: {shown:?}");
        let told = |word: &str| {
            let of_type = self.events.iter().filter(|(event_type, _)| event_type.contains(word));
            of_type.count()
        };
        assert_eq!(told(".seen."), 1);
        let (completed, reactivated) = (told(".completed."), told(".reactivated."));
        let is_complete = usize::from(self.last().completed_at.is_some());
        assert_eq!(completed, reactivated + is_complete, "they take turns");
        assert!(completed <= self.last().completions, "{completed} completions");
        let most = self.announcements * FOR_EACH_ANNOUNCEMENT + TAIL;
        assert!(
            self.calls <= most,
            "{} calls for {} announcements",
            self.calls,
            self.announcements
        );
    }
}

fn org() -> OrgId {
    OrgId::new("acme")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_ends_on_the_last_state_whatever_lags(story in stories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(story).await;
            world.live().await;
            world.judge();
        });
    }
}

#[tokio::test]
async fn without_a_lag_each_announcement_with_a_time_costs_one_call() {
    let act = Act {
        after: 30,
        what: What::Edit,
        announced: Announcement::WithTime,
        restart: false,
    };
    let story = Story {
        acts: vec![act; 10],
        lags: vec![0],
        millis: false,
    };
    let mut world = World::new(story).await;
    world.live().await;
    world.judge();
    assert_eq!(world.calls, world.announcements);
}

#[tokio::test]
async fn two_changes_of_a_second_that_were_announced_before_either_showed_are_both_told() {
    let act = |after, what, announced| Act {
        after,
        what,
        announced,
        restart: false,
    };
    let story = Story {
        // When the quick tries have been used up, and before the debt is paid by the first change of a second, both of
        // its changes are announced.
        acts: vec![
            act(2, What::Turn, Announcement::Twice),
            act(31, What::Edit, Announcement::WithTime),
            act(37, What::Edit, Announcement::WithTime),
            act(1, What::Edit, Announcement::WithTime),
        ],
        lags: vec![20],
        millis: false,
    };
    let mut world = World::new(story).await;
    world.live().await;
    world.judge();
}
