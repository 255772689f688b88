//! What goes into the store and what comes out of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use crate::sweep::Version;

/// What a notification asks to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A run.
    Run(RunId),
    /// A task whose run is not known yet: an organization event may name nothing else.
    Task(TaskId),
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(formatter, "run {run}"),
            Self::Task(task) => write!(formatter, "task {task}"),
        }
    }
}

/// The name of a handler, as configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerName(String);

impl HandlerName {
    /// Takes a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One webhook body, about to be stored.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Its id, made by the receiver (time-ordered, UUID version 7).
    pub id: Uuid,
    /// The organization that it was accepted for.
    pub org: OrgId,
    /// What it is about; `None` if the body could not be read.
    pub subject: Option<Subject>,
    /// What the receiver read off the body.
    pub head: NotificationHead,
    /// Equal for two notifications of the same thing; made of ids and times. `None` if the body has too little for one.
    pub dedupe_key: Option<String>,
    /// When it arrived, by the wall clock.
    pub received_at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
}

/// What the receiver read off a notification's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationHead {
    /// Which of the documented bodies it is: `process`, `task`, `organization`; `unrecognized` otherwise.
    pub kind: String,
    /// The event's name, given by the body or inferred from it, such as `task.completed`.
    pub event: Option<String>,
    /// The run that the body names.
    pub run: Option<RunId>,
    /// The task that the body names.
    pub task: Option<TaskId>,
    /// What the fetched run must not be older than.
    pub announced: Announced,
}

/// What became of an appended notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, and its subject is due.
    Stored,
    /// It is stored for a person to look at.
    Unrecognized,
    /// Its twin was stored before.
    Duplicate {
        /// The twin's id.
        of: Uuid,
        /// Whether the subject became due once more, because a fetch that covers the twin had started already.
        due_again: bool,
    },
}

/// Which work goes first when the budget is short. The order of the variants is the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A webhook announced it, or a person asked.
    Live,
    /// It was tried before.
    Retry,
    /// A sweep found it.
    Sweep,
}

/// Which lanes a claim looks into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lanes {
    /// All, in the order of precedence.
    #[default]
    All,
    /// All but the sweeps, whose share of the budget is used up.
    WithoutSweeps,
    /// The sweeps before the others: they have waited for long.
    SweepsFirst,
}

/// How work is to be claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The scheduling time.
    pub now: Timestamp,
    /// How long the work is the claimer's.
    pub lease: Duration,
    /// The most pieces of work to hand out.
    pub limit: usize,
}

/// What a claim handed out.
#[derive(Clone, Debug)]
pub struct Claimed<T> {
    /// The work, possibly none.
    pub work: Vec<T>,
    /// When something will be due, if nothing changes until then; `None` if nothing waits. In the past if the limit
    /// left work behind. Leases that may expire count.
    pub next_due: Option<Timestamp>,
}

/// The time-limited right to work on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which thing, in the store's own terms.
    pub(crate) key: i64,
    /// Which handler's, for deliveries.
    pub(crate) handler: Option<HandlerName>,
    /// Grows with every claim of this thing; an old number has lost its right.
    pub(crate) fence: i64,
}

impl Lease {
    /// A lease that no verb takes for one of its own: for work that came from no store.
    pub fn of_nothing() -> Self {
        Self {
            key: 0,
            handler: None,
            fence: -1,
        }
    }
}

/// A subject that is due, leased.
#[derive(Clone, Debug)]
pub struct DueRefresh {
    /// The right to work on it.
    pub lease: Lease,
    /// Its organization.
    pub org: OrgId,
    /// The subject.
    pub subject: Subject,
    /// In which lane it waited.
    pub lane: Lane,
    /// How many attempts failed in a row.
    pub failures: u32,
    /// How many answers in a row were older than what was announced.
    pub stale_reads: u32,
    /// What is known of the run.
    pub standing: Standing,
    /// The run as it was last fetched.
    pub snapshot: Option<Snapshot>,
    /// The version that the run list showed, if that made it due.
    pub listed: Option<String>,
    /// How many events of this run were committed; the next one has this number plus one.
    pub events: u64,
    /// The notifications that the commit will cover, the oldest first.
    pub notifications: Vec<PendingNotification>,
}

/// A notification that no committed refresh has covered.
#[derive(Clone, Debug)]
pub struct PendingNotification {
    /// Its id.
    pub id: Uuid,
    /// What the receiver read off the body.
    pub head: NotificationHead,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How many duplicates of it arrived.
    pub duplicates: u32,
    /// The length of the body in bytes.
    pub body_len: u64,
    /// The body as it came; `None` for older ones where all together would be more than
    /// [`MAX_CLAIMED_BODY_BYTES`].
    pub body: Option<Bytes>,
}

/// The most bytes of notification bodies that come with one claimed subject. The newest are kept: bodies of one run
/// grow, and a later one repeats what an earlier one said.
pub const MAX_CLAIMED_BODY_BYTES: u64 = 8 * 1024 * 1024;

/// The run as it was fetched.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The JSON of the run, as the API sent it.
    pub body: Bytes,
    /// When the fetch that brought it began, by the wall clock.
    pub fetched_at: Timestamp,
}

/// What the API last said of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Never fetched.
    Unseen,
    /// It is there.
    Present,
    /// The API knows no such thing (404), after a bounded number of tries.
    Gone,
    /// The token may not see it (403), after a bounded number of tries.
    NoAccess,
}

/// The result of a refresh.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// What the API said.
    pub standing: Standing,
    /// The run as fetched; `None` leaves the last snapshot in place.
    pub snapshot: Option<Snapshot>,
    /// Which state of the run it was; `None` if the API sent no run.
    pub version: Option<Version>,
    /// What handlers are to get; `None` if there is nothing to tell.
    pub event: Option<NewEvent>,
    /// The next fetch of this run starts no earlier: notifications that arrive until then share it.
    pub not_before: Timestamp,
}

/// An event, about to be put in the outbox.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, the same at every attempt to deliver it.
    pub id: Uuid,
    /// Its CloudEvents type.
    pub event_type: String,
    /// When it was made, by the wall clock.
    pub created_at: Timestamp,
    /// The whole event as handlers get it.
    pub body: Bytes,
    /// Who gets it.
    pub recipients: Recipients,
}

/// Which handlers get an event; of those, only active ones do. An event that none gets is kept all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// Each of them.
    #[default]
    All,
    /// These.
    Only(Vec<HandlerName>),
}

/// Why a due subject is given back.
#[derive(Clone, Debug)]
pub struct Postponement {
    /// When it is due again.
    pub until: Timestamp,
    /// What the postponement counts as.
    pub cause: PostponeCause,
    /// What happened, for a person; holds no secret and no body.
    pub reason: String,
}

/// What a postponement counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostponeCause {
    /// The attempt failed: one more failure in a row, and the subject waits among the retries.
    Failed,
    /// The answer was older than what was announced: one more stale read in a row. The subject stays in its lane.
    StaleRead,
    /// Nothing was tried, or it was nobody's fault (a rate limit, a refused token, a stop): nothing is counted.
    NotTried,
}

/// One event for one handler, leased.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The right to work on it.
    pub lease: Lease,
    /// The handler.
    pub handler: HandlerName,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's CloudEvents type.
    pub event_type: String,
    /// The organization of the run.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// The number of the event within its run, from 1.
    pub number: u64,
    /// Which try this is, from 1. A try that ended with its lease counts.
    pub attempt: u32,
    /// When the event was made.
    pub created_at: Timestamp,
    /// The whole event.
    pub body: Bytes,
}

/// How an attempt of a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The handler has it.
    Delivered,
    /// It failed and is tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// What happened, for a person; holds no secret.
        reason: String,
    },
    /// It is given up and kept among the dead letters; the next event of the run goes on.
    DeadLetter {
        /// What happened, for a person; holds no secret.
        reason: String,
        /// What the other side said last, in more words; holds no secret.
        answer: Option<String>,
    },
}

/// What is waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subjects that wait for a refresh or are being refreshed.
    pub due: u64,
    /// Since when the longest waiting one could have been claimed.
    pub oldest_due: Option<Timestamp>,
    /// Bodies that nobody could read.
    pub unrecognized: u64,
    /// The handlers that are active or have something left, by name.
    pub handlers: Vec<HandlerStats>,
}

/// What waits for one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStats {
    /// The handler.
    pub handler: HandlerName,
    /// Whether it is in the configuration.
    pub active: bool,
    /// Events that it has not been given yet.
    pub waiting: u64,
    /// Since when the longest waiting head of a run could have been claimed.
    pub oldest_due: Option<Timestamp>,
    /// Deliveries that were given up.
    pub dead_letters: u64,
}

/// What is to be removed: what is older than these times and needed by nobody, from these places on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Events made before this time; `None` keeps them all.
    pub events_before: Option<Timestamp>,
    /// Notifications received before this time; `None` keeps them all. They are also the memory for duplicates.
    pub notifications_before: Option<Timestamp>,
    /// Snapshots fetched before this time; `None` keeps them all.
    pub snapshots_before: Option<Timestamp>,
    /// The most rows of each kind that are looked at.
    pub limit: usize,
    /// Where to go on; what [`Pruned::next`] said, or the default for a new pass.
    pub after_event: i64,
    /// Likewise.
    pub after_notification: i64,
    /// Likewise.
    pub after_snapshot: i64,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// What goes on from here.
    pub next: Prune,
    /// How many events.
    pub events: u64,
    /// How many notifications.
    pub notifications: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// Whether the pass is over.
    pub is_done: bool,
    /// How much room the store takes up, before this, without what was freed in it.
    pub used_bytes: u64,
}
