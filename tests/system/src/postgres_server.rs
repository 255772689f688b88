//! A PostgreSQL server of one's own: real, in a temporary folder, and gone afterwards.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

/// Where Debian puts the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The user that Debian's package makes; a server does not run as root.
const USER: &str = "postgres";
/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL server of one's own. Dropping it stops it and deletes what it held.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

impl PostgresServer {
    /// Where its programs are, if they are installed: on the path, or the newest of Debian's.
    pub fn programs() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // The path may lead to links to some of them.
        let mut on_path =
            std::env::split_paths(&path).filter_map(|folder| fs::canonicalize(folder.join("initdb")).ok());
        on_path
            .next()
            .and_then(|initdb| Some(initdb.parent()?.to_owned()))
            .or_else(|| {
                let versions = fs::read_dir(DEBIAN).ok()?.flatten();
                let programs = versions.map(|version| version.path().join("bin"));
                programs
                    .filter(|folder| folder.join("initdb").exists())
                    .max_by_key(|folder| folder.parent()?.file_name()?.to_str()?.parse::<u32>().ok())
            })
    }

    /// Makes one and starts it. It trusts whoever connects from this machine.
    pub fn start() -> anyhow::Result<Self> {
        let server = Self::new()?;
        let made = server
            .program("initdb")
            .arg("--pgdata")
            .arg(server.data())
            .args([
                "--username",
                USER,
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
            ])
            .stdout(Stdio::null())
            .output()?;
        server.started(&made)
    }

    /// Makes a replica of it, which can only be read, and starts that.
    pub fn start_replica(&self) -> anyhow::Result<Self> {
        let replica = Self::new()?;
        let made = replica
            .program("pg_basebackup")
            .arg("--pgdata")
            .arg(replica.data())
            .args(["--checkpoint=fast", "--write-recovery-conf", "--dbname", &self.url()])
            .output()?;
        replica.started(&made)
    }

    fn started(mut self, made: &Output) -> anyhow::Result<Self> {
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.start_again()?;
        Ok(self)
    }

    fn new() -> anyhow::Result<Self> {
        let programs = Self::programs().context("PostgreSQL is not installed: on Debian, install `postgresql`")?;
        let folder = tempfile::Builder::new().prefix("runs-worker-postgres").tempdir()?;
        if geteuid().is_root() {
            let user =
                User::from_name(USER)?.context("a server does not run as root, and there is no user postgres")?;
            chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        Ok(Self {
            programs,
            folder,
            // Free now, and hardly anybody else's in the moment until it is taken.
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
            running: None,
        })
    }

    /// Writes a file into its folder, for its next start.
    pub fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let file = self.data().join(name);
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        self.give(&file)
    }

    /// Puts this before what a file in its folder says, for its next start.
    pub fn put_before(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let before = fs::read_to_string(self.data().join(name))?;
        self.write(name, &format!("{content}\n{before}"))
    }

    /// Makes a file that of the user who runs it.
    fn give(&self, file: &Path) -> anyhow::Result<()> {
        let folder = fs::metadata(self.folder.path())?;
        Ok(chown(file, Some(folder.uid()), Some(folder.gid()))?)
    }

    /// How it is reached.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{USER}", self.port)
    }

    /// The port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as a power cut would, as far as its clients can tell: nothing is written any more.
    pub fn stop_at_once(&mut self) -> anyhow::Result<()> {
        self.stop(Signal::SIGQUIT)
    }

    /// Starts it when it was stopped, and waits until it answers.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().with_extension("log"))?;
        let (data, port) = (self.data(), self.port.to_string());
        let server = self
            .program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-p"])
            .arg(&port)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.running = Some(server);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.answers() {
                return Ok(());
            }
            if let Some(status) = self.running.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("the server ended with {status}: {}", self.log());
            }
            sleep(Duration::from_millis(50));
        }
        bail!("the server did not answer within {PATIENCE:?}: {}", self.log())
    }

    fn answers(&self) -> bool {
        let port = self.port.to_string();
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && self
                .program("pg_isready")
                .args(["--quiet", "--host", "127.0.0.1", "--port", &port])
                .status()
                .is_ok_and(|status| status.success())
    }

    fn stop(&mut self, how: Signal) -> anyhow::Result<()> {
        let Some(mut server) = self.running.take() else {
            return Ok(());
        };
        // The process that was started may be one that becomes another user and then the server: the server's own number
        // is in its folder.
        let number = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let number = number.lines().next().and_then(|number| number.parse().ok());
        let number = number.map_or_else(|| i32::try_from(server.id()), Ok)?;
        kill(Pid::from_raw(number), how)?;
        server.wait()?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().with_extension("log")).unwrap_or_default()
    }

    /// One of its programs, as the user who may run it.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(Path::new("/"));
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // What it holds is deleted: it need not write it down before.
        let _: anyhow::Result<()> = self.stop(Signal::SIGQUIT);
        let _: std::io::Result<()> = fs::remove_file(self.folder.path().with_extension("log"));
    }
}
