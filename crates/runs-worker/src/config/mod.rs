//! The worker's configuration: what can be set, what it is when it is not set, and what is refused.

mod filter;
mod handlers;
mod layers;
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

pub use filter::FilterTable;
pub use handlers::HandlerConfig;
pub(crate) use handlers::HandlerKind;
pub use layers::{Flags, Loaded, data_folder, load};
pub use organization::{Organization, OrganizationTable, TokenSetting};
pub use problem::{ConfigError, Problem};

/// Everything that can be configured, by section. The names are those of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where the state is.
    pub store: StoreConfig,
    /// The public listener for webhooks.
    pub receive: ReceiveConfig,
    /// The listener for operators.
    pub admin: AdminConfig,
    /// How the API is called.
    pub api: ApiConfig,
    /// How runs are fetched.
    pub refresh: RefreshConfig,
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
    /// The address that webhooks are accepted on.
    #[serde(deserialize_with = "text::parsed")]
    pub listen: SocketAddr,
    /// The largest body that is accepted, in bytes.
    pub max_body_bytes: NonZeroUsize,
    /// How long the headers of a request may take to arrive, and how long a connection may be silent.
    #[serde(deserialize_with = "text::duration")]
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    #[serde(deserialize_with = "text::duration")]
    pub body_timeout: Duration,
    /// The most connections at a time; more wait in the kernel's queue.
    pub max_connections: NonZeroUsize,
}

impl Default for ReceiveConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_body_bytes: const { NonZeroUsize::new(4 * 1024 * 1024).unwrap() },
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            max_connections: const { NonZeroUsize::new(1024).unwrap() },
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
            missing_tries: const { NonZeroU32::new(3).unwrap() },
            stale_retries: 3,
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
