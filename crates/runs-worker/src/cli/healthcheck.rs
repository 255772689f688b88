//! `runs-worker healthcheck`: whether the worker that runs here is well, for a container that has nothing else to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::with_store::{End, Outcome, Trouble, misused};
use super::{Settings, print};

/// How long the worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 it is well, 1 it is not, or there is none.\n\nExample: runs-worker healthcheck --ready"
)]
pub(super) struct Healthcheck {
    /// Whether everything is well, in the place of whether webhooks can be kept
    #[arg(long)]
    ready: bool,
}

impl Healthcheck {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        self.outcome(settings).await.map_or_else(Trouble::end, End::code)
    }

    async fn outcome(self, settings: &Settings) -> Outcome {
        let loaded = settings.load(false).map_err(|error| misused(error.to_string()))?;
        let address = reachable(loaded.config.admin.listen);
        let path = if self.ready { "/health/ready" } else { "/health/receive" };
        let answer = tokio::time::timeout(PATIENCE, get(address, path)).await;
        let failed = |reason: String| Trouble::Failed(format!("http://{address}{path}: {reason}"));
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no answer within {PATIENCE:?}"))),
        };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        match head.split(' ').nth(1) {
            Some("200") => print::say(body.trim()),
            _ => Err(failed(body.trim().to_owned())),
        }
    }
}

/// Where a listener is reached that listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
