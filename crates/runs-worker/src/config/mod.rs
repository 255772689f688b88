//! The worker's configuration: what can be set, what it is when it is not set, and what is refused.

mod filter;
mod handlers;
mod intake;
mod layers;
mod nats;
mod organization;
mod problem;
mod text;
mod validate;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use tallyfy_runs::{GetRunOptions, Include};
use tallyfy_transport::{BaseUrl, RateLimits};

use crate::front_door::ListenAddress;

pub use filter::FilterTable;
pub use handlers::HandlerConfig;
pub(crate) use handlers::HandlerKind;
pub use intake::IntakeConfig;
pub use layers::{Flags, Kept, Loaded, kept, load};
pub use nats::NatsTable;
pub use organization::{Organization, OrganizationTable, TokenSetting};
pub use problem::{ConfigError, Problem};

/// Everything that can be configured, by section. The names are those of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where the state is.
    pub store: StoreConfig,
    /// The log that webhooks are kept in before they are answered.
    pub intake: IntakeConfig,
    /// The public listener for webhooks.
    pub receive: ReceiveConfig,
    /// The listener for operators.
    pub admin: AdminConfig,
    /// How the API is called.
    pub api: ApiConfig,
    /// How runs are fetched.
    pub refresh: RefreshConfig,
    /// How the run list is held against what is known.
    pub reconcile: ReconcileConfig,
    /// How handlers are called.
    pub deliver: DeliverConfig,
    /// What events contain.
    pub events: EventsConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where events go; the standard output if there is none.
    pub handlers: Vec<HandlerConfig>,
    /// The organizations whose webhooks are accepted, as the file lists them.
    pub organizations: Vec<OrganizationTable>,
}

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The folder of the durable state; `None` for the default, see [`StoreConfig::folder`].
    pub data_dir: Option<PathBuf>,
}

impl StoreConfig {
    /// The folder of the durable state: as configured; else `$STATE_DIRECTORY`, which systemd sets; else
    /// `$XDG_STATE_HOME/runs-worker` or `~/.local/state/runs-worker`; else `/var/lib/runs-worker`.
    pub fn folder(&self) -> PathBuf {
        let from_environment = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(folder) = &self.data_dir {
            return folder.clone();
        }
        if let Some(folder) = from_environment("STATE_DIRECTORY") {
            return folder;
        }
        from_environment("XDG_STATE_HOME")
            .or_else(|| from_environment("HOME").map(|home| home.join(".local/state")))
            .map_or_else(
                || PathBuf::from("/var/lib/runs-worker"),
                |state| state.join("runs-worker"),
            )
    }
}

/// `[receive]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReceiveConfig {
    /// The addresses that webhooks are accepted on: an IP address with a port, or `unix:/path`.
    #[serde(deserialize_with = "text::list")]
    pub listen: Vec<ListenAddress>,
    /// The largest body that is accepted, in bytes.
    pub max_body_bytes: NonZeroUsize,
    /// How long the headers of a request may take to arrive, and how long a connection may be silent.
    #[serde(deserialize_with = "text::duration")]
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    #[serde(deserialize_with = "text::duration")]
    pub body_timeout: Duration,
    /// How long the store may take for a notification where no intake log takes it.
    #[serde(deserialize_with = "text::duration")]
    pub store_timeout: Duration,
    /// How long a connection may take until it reads something of an answer.
    #[serde(deserialize_with = "text::duration")]
    pub write_timeout: Duration,
    /// The most connections at a time. For one more, the one that has waited longest without a request is closed.
    pub max_connections: NonZeroUsize,
    /// The most webhooks that wait to be stored at a time; more are answered with 503.
    pub max_waiting: NonZeroUsize,
    /// The most bytes of bodies in memory. For more, the body that has been arriving for longest is answered with 503.
    pub max_bytes_in_hand: NonZeroUsize,
    /// After how long without any webhook of an organization there is a warning: it may have been switched off. 0 is never.
    #[serde(deserialize_with = "text::duration")]
    pub silence_warning: Duration,
}

impl Default for ReceiveConfig {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            max_body_bytes: const { NonZeroUsize::new(4 * 1024 * 1024).unwrap() },
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            store_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(10),
            max_connections: const { NonZeroUsize::new(4096).unwrap() },
            // The rest of the connections is there to be told so.
            max_waiting: const { NonZeroUsize::new(3072).unwrap() },
            max_bytes_in_hand: const { NonZeroUsize::new(64 * 1024 * 1024).unwrap() },
            silence_warning: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// The address of the health checks and metrics.
    #[serde(deserialize_with = "text::parsed")]
    pub listen: SocketAddr,
    /// Whether that address may be another than a loopback address. Whoever reaches it can read the metrics.
    pub allow_remote: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            allow_remote: false,
        }
    }
}

/// `[api]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiConfig {
    /// Where the API is.
    #[serde(deserialize_with = "text::url")]
    pub base_url: BaseUrl,
    /// The most requests for one organization in any stretch of a minute; 0 is no limit.
    pub requests_per_minute: u32,
    /// The most requests for one organization in any stretch of an hour; 0 is no limit.
    pub requests_per_hour: u32,
    /// How long connecting may take.
    #[serde(deserialize_with = "text::duration")]
    pub connect_timeout: Duration,
    /// How long a request may take in all.
    #[serde(deserialize_with = "text::duration")]
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: NonZeroUsize,
    /// After a refused token: how long until one request tries whether it works again. A changed token file is noticed
    /// within a second.
    #[serde(deserialize_with = "text::duration")]
    pub token_retry: Duration,
}

impl Default for ApiConfig {
    fn default() -> Self {
        let limits = RateLimits::default();
        Self {
            base_url: BaseUrl::default(),
            requests_per_minute: limits.per_minute.map_or(0, NonZeroU32::get),
            requests_per_hour: limits.per_hour.map_or(0, NonZeroU32::get),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_response_bytes: const { NonZeroUsize::new(64 * 1024 * 1024).unwrap() },
            token_retry: Duration::from_secs(60),
        }
    }
}

impl ApiConfig {
    /// The limits as the transport takes them.
    pub fn rate_limits(&self) -> RateLimits {
        RateLimits {
            per_minute: NonZeroU32::new(self.requests_per_minute),
            per_hour: NonZeroU32::new(self.requests_per_hour),
        }
    }
}

/// `[refresh]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RefreshConfig {
    /// What is fetched together with a run.
    #[serde(deserialize_with = "text::list")]
    pub includes: Vec<Include>,
    /// Whether the values of form fields are fetched.
    pub form_fields_values: bool,
    /// Two fetches of one run start at least this far apart: notifications that arrive in between share one.
    #[serde(deserialize_with = "text::duration")]
    pub window: Duration,
    /// The most fetches for one organization at a time.
    pub concurrency: NonZeroUsize,
    /// How long a claimed run is out of reach of other workers.
    #[serde(deserialize_with = "text::duration")]
    pub lease: Duration,
    /// The wait after a first failure; it doubles with each further one and is jittered.
    #[serde(deserialize_with = "text::duration")]
    pub retry_initial: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "text::duration")]
    pub retry_max: Duration,
    /// How often a run that is not found, or not to be seen, is asked for before that is believed.
    pub missing_tries: NonZeroU32,
    /// How often a run that is older than its notification is fetched again before it is delivered, marked as stale.
    pub stale_retries: u32,
    /// How long after a fetch of which nobody can say that it was new enough the run is looked at once more: reads lag
    /// behind for seconds.
    #[serde(deserialize_with = "text::duration")]
    pub second_look: Duration,
}

impl Default for RefreshConfig {
    fn default() -> Self {
        let GetRunOptions {
            includes,
            form_fields_values,
            ..
        } = GetRunOptions::default();
        Self {
            includes,
            form_fields_values,
            window: Duration::from_secs(1),
            concurrency: const { NonZeroUsize::new(4).unwrap() },
            lease: Duration::from_secs(120),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(15 * 60),
            // Some ten seconds with the waits above: a replica lags behind for less.
            missing_tries: const { NonZeroU32::new(5).unwrap() },
            stale_retries: 3,
            second_look: Duration::from_secs(5),
        }
    }
}

impl RefreshConfig {
    /// What is asked for with every run.
    pub fn get_run_options(&self) -> GetRunOptions {
        GetRunOptions::none()
            .with_includes(self.includes.iter().cloned())
            .with_form_fields_values(self.form_fields_values)
    }
}

/// `[reconcile]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReconcileConfig {
    /// Which runs are walked.
    #[serde(deserialize_with = "text::parsed")]
    pub scope: ReconcileScope,
    /// How long after the end of a sweep the next one begins.
    #[serde(deserialize_with = "text::duration")]
    pub interval: Duration,
    /// How much of the request budget sweeps may use, with the fetches that they lead to: from 1 to 100 percent.
    pub budget_percent: u32,
    /// Whether the sweep at the start makes events for runs that nobody has fetched yet, however old they are.
    pub backfill: bool,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            scope: ReconcileScope::default(),
            interval: Duration::from_secs(60 * 60),
            budget_percent: 20,
            backfill: false,
        }
    }
}

impl ReconcileConfig {
    /// The share of these limits that sweeps may use.
    pub(crate) fn share(&self, limits: RateLimits) -> RateLimits {
        let share = |limit: NonZeroU32| {
            let share = u64::from(limit.get()) * u64::from(self.budget_percent) / 100;
            NonZeroU32::new(u32::try_from(share).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
        };
        RateLimits {
            per_minute: limits.per_minute.map(share),
            per_hour: limits.per_hour.map(share),
        }
    }
}

/// Which runs sweeps walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconcileScope {
    /// Every run, archived ones too.
    #[default]
    All,
    /// Those that are active. A run that was launched and completed between two sweeps, without a webhook, is not found.
    Active,
    /// No sweep but those that a person asks for.
    Off,
}

impl FromStr for ReconcileScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "active" => Ok(Self::Active),
            "off" => Ok(Self::Off),
            _ => Err("expected `all`, `active` or `off`"),
        }
    }
}

/// `[deliver]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeliverConfig {
    /// The most deliveries to one handler at a time; for one run there is never more than one.
    pub concurrency: NonZeroUsize,
    /// How long a handler may take.
    #[serde(deserialize_with = "text::duration")]
    pub timeout: Duration,
    /// The wait after a first failure; it doubles with each further one and is jittered.
    #[serde(deserialize_with = "text::duration")]
    pub retry_initial: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "text::duration")]
    pub retry_max: Duration,
    /// After how many failed tries a delivery becomes a dead letter.
    pub max_attempts: NonZeroU32,
    /// After how long since the event was made a failed try is the last one; 0 is never.
    #[serde(deserialize_with = "text::duration")]
    pub max_age: Duration,
}

impl DeliverConfig {
    pub(crate) fn is_too_old(&self, age: SignedDuration) -> bool {
        !self.max_age.is_zero() && Duration::try_from(age).is_ok_and(|age| age >= self.max_age)
    }
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            concurrency: const { NonZeroUsize::new(8).unwrap() },
            timeout: Duration::from_secs(30),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(10 * 60),
            // Some seven hours with the waits above.
            max_attempts: const { NonZeroU32::new(50).unwrap() },
            max_age: Duration::ZERO,
        }
    }
}

/// `[events]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// Whether the notifications in events keep their guest links, which let whoever has them in without a login.
    pub guest_links: bool,
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// For how many days an event is kept once every handler has settled it; 0 is for ever. Dead letters are kept until
    /// they are dropped.
    pub events_days: u32,
    /// For how many days a notification is kept once its run was fetched, or if nobody could read it; 0 is for ever. A
    /// duplicate is known as one for as long.
    pub notifications_days: u32,
    /// For how many days the last snapshot of a run is kept; 0 is for ever. Without it, the next event of the run cannot
    /// say what has changed.
    pub snapshots_days: u32,
    /// Above this, events and notifications that are done are removed from a day on; 0 is no limit.
    pub max_megabytes: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            events_days: 30,
            notifications_days: 30,
            snapshots_days: 365,
            max_megabytes: 0,
        }
    }
}

impl RetentionConfig {
    pub(crate) fn events(&self) -> Option<SignedDuration> {
        days(self.events_days)
    }

    pub(crate) fn notifications(&self) -> Option<SignedDuration> {
        days(self.notifications_days)
    }

    pub(crate) fn snapshots(&self) -> Option<SignedDuration> {
        days(self.snapshots_days)
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        (self.max_megabytes > 0).then(|| u64::from(self.max_megabytes) * 1_000_000)
    }
}

fn days(days: u32) -> Option<SignedDuration> {
    (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days)))
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// For people or for programs.
    #[serde(deserialize_with = "text::parsed")]
    pub format: LogFormat,
    /// What is logged: a level, or directives as `tracing-subscriber` takes them.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            filter: "info".to_owned(),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people on a terminal, else for programs.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("expected `auto`, `human` or `json`"),
        }
    }
}
