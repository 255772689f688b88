//! What the worker tells systemd, and the unit files that it is told by.

use std::path::Path;
use std::process::Command;

use system_tests::{Stage, WorkerProcess};
use tallyfy_sim::SimConfig;
use tokio::net::UnixDatagram;

#[tokio::test]
async fn the_service_manager_is_told_of_start_life_and_stop() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let path = stage.folder().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    let settings = stage
        .settings()
        .clone()
        .with(
            "RUNS_WORKER_DATA_DIR",
            &stage.folder().join("another").display().to_string(),
        )
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
        .with("NOTIFY_SOCKET", &path.display().to_string())
        .with("WATCHDOG_USEC", "300000");
    let mut worker = WorkerProcess::start(&settings).await?;
    assert_eq!(next(&socket).await?, "READY=1");
    assert_eq!(next(&socket).await?, "WATCHDOG=1");
    assert_eq!(next(&socket).await?, "WATCHDOG=1");
    worker.terminate().await?;
    let mut last = next(&socket).await?;
    while last == "WATCHDOG=1" {
        last = next(&socket).await?;
    }
    assert_eq!(last, "STOPPING=1");
    Ok(())
}

async fn next(socket: &UnixDatagram) -> anyhow::Result<String> {
    let mut message = [0; 100];
    let read = tokio::time::timeout(std::time::Duration::from_secs(60), socket.recv(&mut message)).await??;
    Ok(String::from_utf8_lossy(&message[..read]).trim().to_owned())
}

/// What an operator and an attacker find in the unit files.
#[test]
fn a_worker_that_cannot_start_is_tried_with_growing_pauses_and_leaves_no_core() -> anyhow::Result<()> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd");
    let service = std::fs::read_to_string(shipped.join("runs-worker.service"))?;
    for line in [
        "StartLimitIntervalSec=0",
        "RestartSteps=8",
        "RestartMaxDelaySec=30s",
        "RuntimeDirectory=runs-worker",
        "LimitCORE=0",
        "IPAddressDeny=169.254.169.254/32 fd00:ec2::254/128",
    ] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
    let socket = std::fs::read_to_string(shipped.join("runs-worker.socket"))?;
    assert!(socket.contains("TriggerLimitIntervalSec=0"), "{socket}");
    Ok(())
}

/// Where systemd is installed, it reads the unit files and judges the sandbox.
#[test]
fn systemd_understands_the_unit_files() -> anyhow::Result<()> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd");
    let mut units = Vec::new();
    for name in ["runs-worker.service", "runs-worker.socket"] {
        // The binary is installed by whoever uses the files.
        let unit = std::fs::read_to_string(shipped.join(name))?.replace("/usr/local/bin/runs-worker", "/bin/true");
        let path = folder.path().join(name);
        std::fs::write(&path, unit)?;
        units.push(path);
    }
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output()?;
    let said = String::from_utf8_lossy(&verified.stderr);
    // Of systemd 254 and newer; an older one goes on without them.
    let is_newer = |line: &&str| {
        ["RestartSteps", "RestartMaxDelaySec"]
            .iter()
            .any(|key| line.contains(key))
    };
    let said: Vec<_> = said.lines().filter(|line| !is_newer(line)).collect();
    assert!(verified.status.success() && said.is_empty(), "{said:?}");
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&units[0])
        .output()?;
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    Ok(())
}
