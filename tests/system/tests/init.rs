//! From nothing to a configuration that works, by the real binary against the simulator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use anyhow::Context as _;
use tallyfy_sim::{SimConfig, Simulator};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Runs the worker's binary with no other environment than this.
async fn worker(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let mut command = Command::new(system_tests::binary()?);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    Ok(command.stdin(std::process::Stdio::null()).output().await?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(path.metadata()?.permissions().mode() & 0o777)
}

#[tokio::test]
async fn what_init_writes_works_and_is_private_and_never_written_over() -> anyhow::Result<()> {
    let sim = Simulator::start(SimConfig::default()).await?;
    sim.launch("One")?;
    let place = tempfile::tempdir()?;
    let (folder, token) = (place.path().join("made"), place.path().join("token"));
    fs::write(&token, format!("{}\n", sim.token()))?;
    let (at, token) = (folder.to_str().context("a path")?, token.to_str().context("a path")?);
    let api = sim.api_url().to_string();
    let (org, url) = (sim.org(), "https://hooks.example.com");
    let init = [
        "init",
        "--folder",
        at,
        "--org",
        org,
        "--token-file",
        token,
        "--base-url",
        &api,
        "--public-url",
        url,
    ];
    let output = worker(&init, &[]).await?;
    let said = text(&output.stdout);
    anyhow::ensure!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("sees 2 templates and 1 run\n"), "{said}");

    let secret = fs::read_to_string(folder.join("webhook-secrets"))?;
    assert_eq!(secret.trim().len(), 64);
    assert!(
        said.contains(&format!("  {url}/webhooks/{}\n", secret.trim())),
        "{said}"
    );
    assert!(!said.contains(&sim.token()), "{said}");
    for file in ["worker.toml", "token", "webhook-secrets"] {
        assert_eq!(mode(&folder.join(file))?, 0o600, "{file}");
    }
    assert_eq!(mode(&folder)?, 0o700);
    let file = folder.join("worker.toml");
    let file = file.to_str().context("a path")?;
    let only = "configuration,secret-files,secrets,store,data-folder,budget,api,clock,token";
    let check = ["--config", file, "--data-dir", at, "check", "--only", only];
    let checked = worker(&check, &[]).await?;
    assert!(fs::read_to_string(file)?.contains(&format!("\npublic_url = \"{url}\"\n")));
    anyhow::ensure!(
        checked.status.success(),
        "{}{}",
        text(&checked.stdout),
        text(&checked.stderr)
    );

    let before = fs::read_to_string(file)?;
    assert_eq!(worker(&init, &[]).await?.status.code(), Some(2));
    assert_eq!(fs::read_to_string(file)?, before);
    assert_eq!(fs::read_to_string(folder.join("webhook-secrets"))?, secret);
    Ok(())
}

#[tokio::test]
async fn what_the_api_refuses_is_said_and_nothing_is_written() -> anyhow::Result<()> {
    let sim = Simulator::start(SimConfig::default()).await?;
    let place = tempfile::tempdir()?;
    let folder = place.path().join("made");
    let at = folder.to_str().context("a path")?;
    let api = sim.api_url().to_string();
    let init = ["init", "--folder", at, "--base-url", &api];
    for (environment, code, expected) in [
        (vec![], 2, "--org is missing"),
        (vec![("TALLYFY_ORG_ID", sim.org())], 2, "--token-file is missing"),
        (
            vec![("TALLYFY_ORG_ID", "a\"b"), ("TALLYFY_TOKEN", "t")],
            2,
            "letters, digits",
        ),
        (
            vec![("TALLYFY_ORG_ID", sim.org()), ("TALLYFY_TOKEN", "wr0ng")],
            1,
            "tokens die when their owner logs out",
        ),
    ] {
        let output = worker(&init, &environment).await?;
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{said}");
        assert!(!said.contains("wr0ng") && !folder.exists(), "{said}");
    }
    let offline = [("TALLYFY_ORG_ID", sim.org()), ("TALLYFY_TOKEN", "wr0ng")];
    let init = ["init", "--folder", at, "--offline", "--data-dir", "/srv/runs"];
    let output = worker(&init, &offline).await?;
    anyhow::ensure!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read_to_string(folder.join("worker.toml"))?.contains("\ndata_dir = \"/srv/runs\"\n"));
    assert!(text(&output.stdout).contains("https://YOUR.HOST/webhooks/"));
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_typed_is_not_shown() -> anyhow::Result<()> {
    let sim = Simulator::start(SimConfig::default()).await?;
    // The claims of a web token, which say when it ends: 2026-12-31T00:00:00Z.
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3OTg2NzUyMDB9.c2ln";
    sim.replace_token(token);
    let place = tempfile::tempdir()?;
    let folder = place.path().join("made");
    let pty = nix::pty::openpty(None, None)?;
    let mut command = Command::new(system_tests::binary()?);
    command
        .args(["init", "--base-url", &sim.api_url(), "--folder"])
        .arg(&folder)
        .env_clear();
    command
        .stdin(pty.slave)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    // The terminal is another one only once it is asked for the token.
    let mut stderr = tokio::io::BufReader::new(child.stderr.take().context("its standard error")?).lines();
    let mut typed = tokio::fs::File::from_std(fs::File::from(pty.master.try_clone()?));
    for (question, answer) in [("organization's id", sim.org()), ("access token", token)] {
        while !stderr.next_line().await?.context("it asks")?.contains(question) {}
        typed.write_all(format!("{answer}\n").as_bytes()).await?;
        typed.flush().await?;
    }
    let output = child.wait_with_output().await?;
    let said = text(&output.stdout);
    assert!(
        output.status.success() && said.contains("it is good until 2026-12-31 00:00 UTC"),
        "{said}"
    );
    let mut shown = vec![0; 4096];
    let length = nix::unistd::read(&pty.master, &mut shown)?;
    let shown = text(&shown[..length]);
    assert!(shown.contains(sim.org()) && !shown.contains(token), "{shown}");
    assert_eq!(fs::read_to_string(folder.join("token"))?.trim(), token);
    Ok(())
}
