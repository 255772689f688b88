//! Installs, uses, upgrades and removes the package in a Debian of its own, which debootstrap makes. It needs root.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tallyfy_sim::{SimConfig, Simulator};
use xshell::{Shell, cmd};

/// What somebody has from nothing to the first event.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Nothing of this machine's environment is there.
const PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// A Debian in a folder.
struct Debian<'s> {
    shell: &'s Shell,
    root: PathBuf,
}

impl<'s> Debian<'s> {
    fn make(shell: &'s Shell, root: PathBuf) -> anyhow::Result<Self> {
        if !root.join("usr/bin/dpkg").exists() {
            cmd!(shell, "debootstrap --variant=minbase bookworm {root}")
                .ignore_stdout()
                .run()
                .context("make a Debian to try the package in: debootstrap, as root")?;
        }
        Ok(Self { shell, root })
    }

    /// Runs a script in it.
    fn run(&self, script: &str) -> anyhow::Result<String> {
        let (shell, root) = (self.shell, &self.root);
        let output = cmd!(shell, "env -i {PATH} chroot {root} /bin/sh -euc {script}")
            .quiet()
            .read();
        output.with_context(|| script.to_owned())
    }
}

/// Tries `deb`, and then `newer` over it.
pub(super) fn try_out(shell: &Shell, deb: &Path, newer: &Path, root: PathBuf) -> anyhow::Result<()> {
    let debian = Debian::make(shell, root)?;
    // What an earlier try left.
    debian.run("dpkg -P runs-worker >/dev/null 2>&1 || true; rm -f /tmp/*.deb /tmp/events")?;
    shell.copy_file(deb, debian.root.join("tmp/old.deb"))?;
    shell.copy_file(newer, debian.root.join("tmp/new.deb"))?;
    let told = debian.run("dpkg -i /tmp/old.deb")?;
    ensure!(
        told.contains("runs-worker init"),
        "the installation does not say what is next: {told}"
    );
    debian.run(
        "getent passwd runs-worker >/dev/null
         test \"$(stat -c '%U %a' /etc/runs-worker)\" = 'runs-worker 700'
         test -e /usr/share/man/man1/runs-worker.1.gz
         test -e /usr/lib/systemd/system/runs-worker.socket
         runs-worker --version --verbose | grep -q '^commit: [0-9a-f]'",
    )?;
    let took = first_event(&debian)?;
    ensure!(took < FIVE_MINUTES, "the first event took {took:?}");
    debian.run(
        "echo 'RUNS_WORKER__LOG__FILTER=warn' >> /etc/default/runs-worker
         dpkg -i /tmp/new.deb >/dev/null
         grep -q RUNS_WORKER__LOG__FILTER /etc/default/runs-worker
         runuser -u runs-worker -- runs-worker --config /etc/runs-worker/worker.toml verify-store >/dev/null",
    )?;
    debian.run(
        "dpkg -r runs-worker >/dev/null
         test ! -e /usr/bin/runs-worker
         test -e /etc/runs-worker/worker.toml
         grep -q RUNS_WORKER__LOG__FILTER /etc/default/runs-worker
         test -e /var/lib/runs-worker/runs.db
         dpkg -P runs-worker >/dev/null
         test ! -e /etc/runs-worker
         test ! -e /etc/default/runs-worker
         ! getent passwd runs-worker >/dev/null",
    )?;
    println!(
        "installed, upgraded and removed; the first event came after {:.1} s",
        took.as_secs_f64()
    );
    Ok(())
}

/// Does what the installation says is next, against a simulator, until there is an event.
fn first_event(debian: &Debian<'_>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    let sim = runtime.block_on(Simulator::start(SimConfig::default()))?;
    let port = || anyhow::Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let (receive, admin) = (port()?, port()?);
    let (org, token, api) = (sim.org(), sim.token(), sim.api_url());
    debian.run(&format!(
        "echo {token} | runuser -u runs-worker -- runs-worker init --folder /etc/runs-worker --data-dir /var/lib/runs-worker --org {org} \
         --token-file - --base-url {api} --public-url http://127.0.0.1:{receive}
         runuser -u runs-worker -- runs-worker --config /etc/runs-worker/worker.toml connect"
    ))?;
    let script = format!(
        "exec env RUNS_WORKER_LISTEN=127.0.0.1:{receive} RUNS_WORKER_ADMIN_LISTEN=127.0.0.1:{admin} \
         runuser -u runs-worker -- runs-worker \
         --config /etc/runs-worker/worker.toml > /tmp/events 2> /tmp/log"
    );
    let mut worker = std::process::Command::new("env")
        .args(["-i", PATH, "chroot"])
        .arg(&debian.root)
        .args(["/bin/sh", "-euc", &script])
        .spawn()?;
    let waited = wait_for_event(&debian.root, &sim, admin);
    // `runuser` passes it on.
    let id = worker.id().to_string();
    let shell = debian.shell;
    cmd!(shell, "kill -TERM {id}").quiet().run()?;
    worker.wait()?;
    waited.map(|()| begun.elapsed())
}

fn wait_for_event(root: &Path, sim: &Simulator, admin: u16) -> anyhow::Result<()> {
    let log = || std::fs::read_to_string(root.join("tmp/log")).unwrap_or_default();
    let until = Instant::now() + FIVE_MINUTES;
    let mut launched = false;
    while Instant::now() < until {
        if !launched && std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok() {
            sim.launch("Onboarding of Globex")?;
            launched = true;
        }
        let events = std::fs::read_to_string(root.join("tmp/events")).unwrap_or_default();
        if events.contains("com.tallyfy.run.seen.v1") && events.contains("\"notifications\":[{") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("no event came: {}", log())
}
