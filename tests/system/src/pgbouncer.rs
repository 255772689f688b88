//! A PgBouncer of one's own in transaction mode, before a PostgreSQL server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::unistd::geteuid;
use tempfile::TempDir;

/// Where Debian puts it, which is not on everybody's path.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
/// It does not run as root.
const USER: &str = "postgres";
/// How long its start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A PgBouncer of one's own. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer {
    address: SocketAddr,
    url: String,
    running: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// The program, if it is installed.
    pub fn program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).map(|folder| folder.join("pgbouncer"));
        on_path.chain([DEBIAN.into()]).find(|program| program.exists())
    }

    /// Starts one before the server at this URL, which trusts whoever connects from this machine. Each of its users has few
    /// connections to the server, so that transactions change connections all the time.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub fn start(server: &str) -> anyhow::Result<Self> {
        let program = Self::program().context("PgBouncer is not installed: on Debian, install `pgbouncer`")?;
        let (_, address) = server.rsplit_once('@').context("the URL names a user")?;
        let (address, database) = address.split_once('/').context("the URL names a database")?;
        let (host, port) = address.split_once(':').unwrap_or((address, "5432"));
        let folder = tempfile::Builder::new().prefix("runs-worker-pgbouncer").tempdir()?;
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(
            &settings,
            format!(
                "[databases]\n* = host={host} port={port} user={USER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
                 default_pool_size = 12\nmax_client_conn = 1000\nserver_login_retry = 1\n",
                own.port()
            ),
        )?;
        let mut command = Command::new(program);
        if geteuid().is_root() {
            // It becomes that user by itself, and reads its settings afterwards.
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(folder.path(), open)?;
            command.args(["--user", USER]);
        }
        let running = command
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start PgBouncer")?;
        let mut started = Self {
            address: own,
            url: format!("postgres://{USER}@{own}/{database}"),
            running,
            _folder: folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(own).is_err() {
            if let Some(status) = started.running.try_wait()? {
                bail!("PgBouncer ended with {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("PgBouncer did not answer within {PATIENCE:?}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the server is reached through it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.running.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.running.wait();
    }
}
