//! `[receive]` and `[admin]`: the two listeners.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use tallyfy_transport::BaseUrl;

use super::text;
use crate::front_door::ListenAddress;

/// `[receive]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReceiveConfig {
    /// The addresses that webhooks are accepted on: an IP address with a port, or `unix:/path`.
    #[serde(deserialize_with = "text::list")]
    pub listen: Vec<ListenAddress>,
    /// Where Tallyfy reaches those addresses, without `/webhooks/SECRET`; what is registered there is held against it.
    #[serde(deserialize_with = "text::optional")]
    pub public_url: Option<BaseUrl>,
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
            public_url: None,
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
    /// The names by which it may be asked, besides IP addresses and names without a dot. A page in a browser could reach it
    /// by a name of its own.
    #[serde(deserialize_with = "text::list")]
    pub hosts: Vec<String>,
    /// Whether what stands in the way can be set right on the pages: events sent again, handlers paused, runs fetched. The
    /// commands can do that always.
    pub actions: bool,
    /// A file with the password of the pages, for any name. Health checks and metrics need none.
    #[serde(deserialize_with = "text::optional")]
    pub password_file: Option<PathBuf>,
    /// The header in which a proxy says who looks on, such as X-Forwarded-User; it is recorded with what that person does.
    #[serde(deserialize_with = "text::optional")]
    pub user_header: Option<String>,
    /// The path that a proxy shows the pages under, such as /runs-worker.
    #[serde(deserialize_with = "text::optional")]
    pub base_path: Option<String>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            allow_remote: false,
            hosts: Vec::new(),
            actions: false,
            password_file: None,
            user_header: None,
            base_path: None,
        }
    }
}
