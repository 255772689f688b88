//! The worker's configuration: what can be set, what it is when it is not set, and what is refused.
//!
//! It comes from a file, the environment and flags ([`load()`]), from a text in the program ([`Flags::of_text`]), or is put
//! together in code: [`Config`] and its sections have defaults, and [`Loaded::new`] holds them to the same as a file.
//!
//! It is read once, into what the stages use: filters, handlers with their keys, addresses, secrets. What is wrong is told
//! all at once, each mistake with its key, the name of its handler, and the place where it was written.

mod api;
mod deliver;
mod effective;
mod environment;
mod example;
mod filter;
mod flags;
mod handlers;
mod in_code;
mod intake;
mod keys;
mod kubernetes;
mod layers;
mod lines;
mod load;
mod log;
#[cfg(feature = "nats")]
mod nats;
#[cfg(not(feature = "nats"))]
#[path = "no_nats.rs"]
mod nats;
mod organization;
mod organizations;
mod places;
mod problem;
mod receive;
mod reconcile;
mod refresh;
mod relative;
mod renamed;
mod retention;
mod schema;
mod secrets;
mod sections;
mod store;
mod tables;
mod text;
mod told;
mod validate;

use std::path::PathBuf;

pub use api::ApiConfig;
pub use deliver::{DeliverConfig, EventsConfig};
pub(crate) use effective::{Setting, settings};
pub(crate) use example::EXAMPLE;
pub use flags::Flags;
pub use handlers::ConfiguredHandler;
pub(crate) use handlers::{HandlerKind, STDOUT};
pub use intake::IntakeConfig;
pub use load::{Kept, kept, load};
pub use log::{LogConfig, LogFormat};
pub use organization::{Organization, TokenSetting};
pub use problem::{ConfigError, Problem};
pub use receive::{AdminConfig, ReceiveConfig};
pub use reconcile::{ReconcileConfig, ReconcileScope};
pub use refresh::RefreshConfig;
pub use retention::RetentionConfig;
pub(crate) use schema::schema;
pub(crate) use secrets::readable_by_others;
pub(crate) use sections::Sections;
pub use store::StoreConfig;

/// The settings of every section. The names are those of the file.
#[derive(Clone, Debug, Default)]
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
}

/// A configuration that is ready to use, and the file that it is from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The organizations, complete.
    pub organizations: Vec<Organization>,
    /// Where events go; the standard output if there is none.
    pub handlers: Vec<ConfiguredHandler>,
    /// Every file that holds a secret, the configuration file included if it does.
    pub secret_files: Vec<PathBuf>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// What tells it from the next one that is read.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only the command line reads it again")
    )]
    pub(crate) sections: Sections,
}
