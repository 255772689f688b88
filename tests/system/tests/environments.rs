//! The same worker in the environments that people start it in: each takes a webhook, hands out its event, and stops when
//! it is told to.
//!
//! An environment is a name, the variables that it sets, and a script that ends by becoming the worker.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use nix::sys::signal::Signal;
use system_tests::{HonestSender, Told, WorkerProcess, WorkerSettings, binary};
use tallyfy_sim::{SimConfig, Simulator};

struct Environment {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    script: &'static str,
}

const PLAIN: &str = r#"exec "$BINARY" "$@""#;

const ENVIRONMENTS: &[Environment] = &[
    Environment {
        name: "Kubernetes, beside a Service that is called runs-worker",
        variables: &[
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
            ("RUNS_WORKER_PORT", "tcp://10.96.0.7:8080"),
            ("RUNS_WORKER_SERVICE_HOST", "10.96.0.7"),
            ("RUNS_WORKER_SERVICE_PORT_WEBHOOKS", "8080"),
            ("RUNS_WORKER_PORT_8080_TCP_ADDR", "10.96.0.7"),
        ],
        script: PLAIN,
    },
    Environment {
        name: "Compose, with every address of the container",
        variables: &[
            ("HOSTNAME", "0f3c5a7d4962"),
            ("RUNS_WORKER_LISTEN", "0.0.0.0:0"),
            ("RUNS_WORKER_ADMIN_LISTEN", "0.0.0.0:0"),
            ("RUNS_WORKER__ADMIN__ALLOW_REMOTE", "true"),
        ],
        script: PLAIN,
    },
    Environment {
        name: "systemd",
        variables: &[
            ("INVOCATION_ID", "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f"),
            ("JOURNAL_STREAM", "8:123456"),
            ("SYSTEMD_EXEC_PID", "1"),
            ("STATE_DIRECTORY", "/var/lib/runs-worker"),
        ],
        script: PLAIN,
    },
    Environment {
        name: "cron",
        variables: &[
            ("SHELL", "/bin/sh"),
            ("HOME", "/"),
            ("LOGNAME", "worker"),
            ("PATH", "/usr/bin:/bin"),
        ],
        script: r#"cd /; exec "$BINARY" "$@""#,
    },
    Environment {
        name: "an ssh session that ends",
        variables: &[
            ("SSH_CONNECTION", "192.0.2.1 5000 192.0.2.2 22"),
            ("TERM", "xterm-256color"),
        ],
        script: r#"exec /usr/bin/setsid "$BINARY" "$@""#,
    },
    Environment {
        name: "nohup",
        variables: &[],
        script: r#"trap "" HUP; exec "$BINARY" "$@""#,
    },
    Environment {
        name: "a supervisor without a standard input",
        variables: &[],
        script: r#"exec <&-; exec "$BINARY" "$@""#,
    },
    Environment {
        name: "a folder that cannot be written, and no folder for temporary files",
        variables: &[("TMPDIR", "/dev/full"), ("XDG_RUNTIME_DIR", "/nowhere")],
        script: r#"cd /proc; exec "$BINARY" "$@""#,
    },
    Environment {
        name: "a root that cannot be written, but for the folder of the state",
        variables: &[],
        script: r#"read_only='/bin/mount --bind "$FOLDER" "$FOLDER" && /bin/mount -o remount,bind,ro /'
            [ -z "$INSIDE" ] || { eval "$read_only" && exec "$BINARY" "$@"; exit 3; }
            /usr/bin/unshare --mount --map-root-user /bin/sh -c "$read_only" || exec "$BINARY" "$@"
            INSIDE=1 exec /usr/bin/unshare --mount --map-root-user "$0" "$@""#,
    },
    Environment {
        name: "Kubernetes, beside Services of other names and in other languages of ports",
        variables: &[
            ("RUNS_WORKER_RECEIVE_SERVICE_HOST", "fd00::7"),
            ("RUNS_WORKER_RECEIVE_SERVICE_PORT", "8080"),
            ("RUNS_WORKER_RECEIVE_PORT", "udp://[fd00::7]:8080"),
            ("RUNS_WORKER_RECEIVE_PORT_8080_UDP_PROTO", "udp"),
            ("RUNS_WORKER_SERVICE_PORT_HTTP_METRICS", "8081"),
            ("RUNS_WORKER_PORT_8081_SCTP_PORT", "8081"),
        ],
        script: PLAIN,
    },
    Environment {
        name: "a folder that was deleted",
        variables: &[],
        script: r#"/bin/mkdir "$FOLDER/deleted"; cd "$FOLDER/deleted"; /bin/rmdir "$FOLDER/deleted"; exec "$BINARY" "$@""#,
    },
    Environment {
        name: "a user without a name",
        variables: &[],
        script: r#"[ "$(/usr/bin/id -u)" = 0 ] || exec "$BINARY" "$@"
            exec /usr/bin/setpriv --reuid=54321 --regid=54321 --clear-groups "$BINARY" "$@""#,
    },
    Environment {
        name: "IPv6 only",
        variables: &[
            ("RUNS_WORKER_LISTEN", "[::1]:0"),
            ("RUNS_WORKER_ADMIN_LISTEN", "[::1]:0"),
        ],
        script: PLAIN,
    },
    Environment {
        name: "LANG=C",
        variables: &[("LANG", "C"), ("LC_ALL", "POSIX")],
        script: PLAIN,
    },
    Environment {
        name: "a language that is not installed, and a terminal without colours",
        variables: &[("LANG", "xx_XX.UTF-8"), ("TERM", "dumb"), ("NO_COLOR", "1")],
        script: PLAIN,
    },
    Environment {
        name: "a shell that lets no file be larger than it must, and leaves no core",
        variables: &[],
        script: r#"umask 0777; ulimit -c 0; ulimit -n 256; exec "$BINARY" "$@""#,
    },
];

#[tokio::test]
async fn the_worker_does_its_work_in_every_environment() -> anyhow::Result<()> {
    let named = |environment: &'static Environment| async move {
        let worked = works(environment).await;
        worked.with_context(|| environment.name.to_owned())
    };
    let all = futures_util::stream::iter(ENVIRONMENTS).map(named).buffer_unordered(4);
    all.try_collect().await
}

async fn works(environment: &Environment) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    let copy = folder.path().join("runs-worker");
    std::fs::copy(binary()?, &copy)?;
    let sim = Simulator::start(SimConfig::default()).await?;
    let data = folder.path().join("data");
    let mut settings = WorkerSettings::new(sim.org(), &sim.token(), "a-secret-0123456789", sim.base_url(), &data)
        .with("BINARY", &copy.display().to_string())
        .with("FOLDER", &folder.path().display().to_string())
        .of_program(script(folder.path(), environment.script)?);
    for (name, value) in environment.variables {
        settings = settings.with(name, value);
    }
    let mut worker = WorkerProcess::start(&settings).await?;
    worker.signal(Signal::SIGHUP)?;
    let mut door = worker.receive_address();
    if door.ip().is_unspecified() {
        door.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let sender = HonestSender::new(&format!("http://{door}/webhooks/a-secret-0123456789"), sim.org())?;
    let (told, _) = sender.send(1, std::time::Duration::from_secs(30)).await;
    ensure!(told == Told::Answered(202), "{told:?}");
    worker.wait_for_events(|events| !events.is_empty()).await?;
    let exit = worker.terminate().await?;
    ensure!(exit.status.success(), "{exit:?}");
    Ok(())
}

fn script(folder: &Path, script: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = folder.join("start");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// What a service user prepares in its folder does not make root's commands write elsewhere, and they leave nothing there.
#[tokio::test]
async fn root_does_not_work_in_the_folder_of_another_user() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "precious")?;
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644))?;
    for name in ["runs.db.lock", "runs.db", "runs.db-wal"] {
        std::os::unix::fs::symlink(&victim, data.join(name))?;
    }
    let settings = WorkerSettings::new("acme", "token", "a-secret-0123456789", "http://127.0.0.1:9", &data);
    for owner in [0, 54321] {
        std::os::unix::fs::chown(&data, Some(owner), None)?;
        for command in [
            &["audit"][..],
            &["sync"],
            &["events", "list"],
            &["verify-store"],
            &["serve"],
            &["backup", "/nowhere"],
        ] {
            let exit = system_tests::run(&settings, command).await?;
            ensure!(!exit.status.success(), "{command:?}: {exit:?}");
            let said = exit.stderr.concat() + &exit.stdout.concat();
            ensure!(
                said.contains("symbolic link") || said.contains("belongs to user 54321"),
                "{command:?}: {said}"
            );
        }
    }
    // Nor does root make a folder there.
    for missing in ["data/new", "data/a/b"] {
        let missing = folder.path().join(missing);
        let settings = settings
            .clone()
            .with("RUNS_WORKER_DATA_DIR", &missing.display().to_string());
        for command in ["serve", "sync"] {
            let exit = system_tests::run(&settings, &[command]).await?;
            let said = exit.stderr.concat() + &exit.stdout.concat();
            ensure!(
                !exit.status.success() && said.contains("belongs to user 54321"),
                "{command}: {said}"
            );
            ensure!(!missing.exists(), "{}", missing.display());
        }
    }
    ensure!(std::fs::read_to_string(&victim)? == "precious");
    ensure!(std::fs::metadata(&victim)?.permissions().mode() & 0o777 == 0o644);
    let names: Vec<_> = std::fs::read_dir(&data)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    ensure!(names.len() <= 4, "{names:?}");
    Ok(())
}
