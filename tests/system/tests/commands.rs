//! Every command of the README and of the pages is run, by a shell, in a scene of its own for each page: the real binary, a
//! simulator, a worker that is started and stopped as a service manager would.
//!
//! What cannot be run here says why, in a comment before its block: `<!-- not run: REASON -->`. What does not end by itself says
//! `<!-- until it is stopped -->`. A test fails for a block that says nothing and does not go well.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use system_tests::PostgresServer;
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::process::Command;

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
/// Folders of a machine that the pages name; here they are below the scene's own.
const FOLDERS: [&str; 5] = ["/var/lib", "/etc", "/backups", "/usr/local", "/srv"];
/// What a command exits with that went well, found nothing to show, or found something doubtful.
const WELL: [i32; 3] = [0, 3, 4];

/// A fenced block of a shell.
#[derive(Debug)]
struct Block {
    line: usize,
    /// The whole block; or, where it shows answers too, one command after another.
    scripts: Vec<String>,
    note: Note,
}

/// What the comment before a block says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    /// It ends, well.
    None,
    /// It cannot be run here.
    NotRun,
    /// It goes on until it is stopped, which is what is done after a while.
    UntilStopped,
}

impl Note {
    fn of(line: &str) -> Self {
        match line {
            "<!-- until it is stopped -->" => Self::UntilStopped,
            reason if reason.starts_with("<!-- not run: ") => Self::NotRun,
            _ => Self::None,
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shell blocks of a page. Of a block that shows answers too, the lines that begin with `$`.
fn blocks(page: &str) -> anyhow::Result<Vec<Block>> {
    let text = fs::read_to_string(root().join(page)).with_context(|| page.to_owned())?;
    let mut found = Vec::new();
    let (mut open, mut before): (Option<(Block, bool)>, String) = (None, String::new());
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim()) {
            (Some((block, shows_answers)), within) if within != "```" => {
                if *shows_answers {
                    block.scripts.extend(within.strip_prefix("$ ").map(str::to_owned));
                } else if let Some(script) = block.scripts.first_mut() {
                    script.push_str(line);
                    script.push('\n');
                } else {
                    block.scripts.push(format!("{line}\n"));
                }
            }
            (Some(_), _) => found.extend(open.take().map(|(block, _)| block)),
            (None, fence @ ("```sh" | "```console")) => {
                let block = Block {
                    line: number + 1,
                    scripts: Vec::new(),
                    note: Note::of(&before),
                };
                open = Some((block, fence == "```console"));
            }
            (None, _) => {}
        }
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut before);
        }
    }
    ensure!(open.is_none(), "{page} has a block that does not end");
    Ok(found)
}

/// A machine in a folder: what the pages take for granted.
struct Scene {
    folder: TempDir,
    sim: Simulator,
    run: String,
    path: String,
}

/// As much of it as the pages use, for one worker.
const SYSTEMCTL: &str = r#"#!/bin/bash
cd "$SCENE"
pid() { cat worker.pid 2>/dev/null; }
stop() {
  kill "$(pid)" 2>/dev/null || return 0
  while kill -0 "$(pid)" 2>/dev/null; do sleep 0.05; done
}
start() {
  kill -0 "$(pid)" 2>/dev/null && return 0
  : > worker.log
  setsid runs-worker serve </dev/null >> worker.out 2>> worker.log &
  echo $! > worker.pid
  for _ in $(seq 1200); do
    grep -q '"message":"started"' worker.log && return 0
    kill -0 "$(pid)" 2>/dev/null || break
    sleep 0.05
  done
  cat worker.log >&2
  return 1
}
case $1 in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  reload) kill -HUP "$(pid)" ;;
  *) echo "systemctl $1 is not known here" >&2; exit 64 ;;
esac
"#;

impl Scene {
    /// `handlers` are those that the page is about.
    async fn set(handlers: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sim = Simulator::start(SimConfig::default()).await?;
        let run = sim.launch("Onboarding of Globex")?;
        let at = |path: &str| folder.path().join(path);
        for made in [
            "bin",
            "work",
            "var/lib",
            "etc/runs-worker",
            "etc/bash_completion.d",
            "backups",
            "usr/local/share/man",
            "srv",
        ] {
            fs::create_dir_all(at(made))?;
        }
        symlink(system_tests::binary()?, at("bin/runs-worker"))?;
        for shared in ["examples", "dist", "docs"] {
            symlink(root().canonicalize()?.join(shared), at("work").join(shared))?;
        }
        if let Ok(python) = std::env::var("RUNS_WORKER_PYTHON") {
            program(&at("bin/python3"), &format!("#!/bin/sh\nexec {python} \"$@\"\n"))?;
        }
        program(&at("bin/systemctl"), SYSTEMCTL)?;
        program(&at("bin/sudo"), "#!/bin/sh\nexec \"$@\"\n")?;
        fs::write(at("etc/runs-worker/token"), sim.token())?;
        fs::write(at("etc/runs-worker/webhook-secrets"), format!("{SECRET}\n"))?;
        fs::write(
            at("etc/runs-worker/crm-keys"),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        )?;
        fs::write(
            at("etc/runs-worker/worker.toml"),
            configuration(&sim, &at("var/lib/runs-worker"), handlers)?,
        )?;
        fs::copy(at("etc/runs-worker/worker.toml"), at("work/worker.toml"))?;
        for secret in ["token", "webhook-secrets", "crm-keys"] {
            fs::copy(at("etc/runs-worker").join(secret), at("work").join(secret))?;
            fs::copy(at("etc/runs-worker").join(secret), at(secret))?;
        }
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap_or_default());
        let scene = Self { folder, sim, run, path };
        scene
            .shell("systemctl start runs-worker")
            .await
            .context("start the worker")?;
        Ok(scene)
    }

    /// The commands with what a reader puts in.
    fn filled_in(&self, script: &str) -> String {
        let root = self.folder.path().display().to_string();
        let script = script.replace("RUN_ID", &self.run).replace("ORG_ID", self.sim.org());
        FOLDERS.iter().fold(script, |script, folder| {
            [" ", "=", "\"", "'", ">", ":", "@"]
                .iter()
                .fold(script, |script, before| {
                    script.replace(&format!("{before}{folder}"), &format!("{before}{root}{folder}"))
                })
        })
    }

    /// Runs it, and gives how it ended and what it said.
    async fn run(&self, script: &str, further: &[(&str, &str)]) -> anyhow::Result<(Option<i32>, String)> {
        let output = Command::new("bash")
            .args(["-eu", "-o", "pipefail", "-c", script])
            .current_dir(self.folder.path().join("work"))
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("SCENE", self.folder.path())
            .env(
                "RUNS_WORKER_CONFIG",
                self.folder.path().join("etc/runs-worker/worker.toml"),
            )
            .env("TALLYFY_BASE_URL", self.sim.api_url())
            .env("NEW_TOKEN", "another-token")
            .env("WEBHOOK_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .envs(further.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code(), said))
    }

    async fn shell(&self, script: &str) -> anyhow::Result<()> {
        let (code, said) = self.run(script, &[]).await?;
        ensure!(
            code.is_some_and(|code| WELL.contains(&code)),
            "status {code:?} of\n{script}\n{said}"
        );
        Ok(())
    }

    /// Runs it for a while, beside the worker of the scene. Whatever it is, it ends well when it is told to.
    async fn until_stopped(&self, script: &str) -> anyhow::Result<()> {
        let file = self.folder.path().join("until-stopped");
        fs::write(&file, script)?;
        let script = format!("timeout --preserve-status --signal TERM 5 bash {}", file.display());
        let elsewhere = self.folder.path().join("elsewhere").display().to_string();
        let further = [
            ("RUNS_WORKER_LISTEN", "127.0.0.1:0"),
            ("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0"),
            ("RUNS_WORKER_DATA_DIR", elsewhere.as_str()),
        ];
        let (code, said) = self.run(&script, &further).await?;
        // A shell that was told to end says so by 143.
        ensure!(
            code == Some(0) || code == Some(143),
            "status {code:?} of\n{script}\n{said}"
        );
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join("worker.pid")).unwrap_or_default();
        let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).output();
    }
}

fn program(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// A free port, which the worker takes at each of its starts.
fn port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn configuration(sim: &Simulator, data: &Path, handlers: &str) -> anyhow::Result<String> {
    let (receive, admin) = (port()?, port()?);
    Ok(format!(
        "[store]\ndata_dir = \"{}\"\n[receive]\nlisten = \"127.0.0.1:{receive}\"\npublic_url = \"http://127.0.0.1:{receive}\"\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n[api]\nbase_url = \"{}\"\n[log]\nformat = \"json\"\n\
         [[organizations]]\nid = \"{}\"\ntoken_file = \"token\"\nwebhook_secrets_file = \"webhook-secrets\"\n\
         [[handlers]]\nname = \"crm\"\ntype = \"file\"\npath = \"crm.jsonl\"\n\
         [[handlers]]\nname = \"journal\"\ntype = \"stdout\"\n{handlers}",
        data.display(),
        sim.api_url(),
        sim.org()
    ))
}

async fn run_page(page: &str) -> anyhow::Result<()> {
    let blocks = blocks(page)?;
    if blocks.iter().all(|block| block.note == Note::NotRun) {
        return Ok(());
    }
    run_in(&Scene::set(handlers_of(page)).await?, page, &blocks).await
}

async fn run_in(scene: &Scene, page: &str, blocks: &[Block]) -> anyhow::Result<()> {
    scene
        .sim
        .add_token("another-token", scene.sim.org(), scene.sim.founding().admin);
    for block in blocks {
        for script in &block.scripts {
            let script = scene.filled_in(script);
            let ended = match block.note {
                Note::NotRun => Ok(()),
                Note::UntilStopped => scene.until_stopped(&script).await,
                Note::None => scene.shell(&script).await,
            };
            ended.with_context(|| format!("{page}:{}", block.line))?;
        }
    }
    Ok(())
}

/// The handlers that a page has in its configuration.
fn handlers_of(page: &str) -> &'static str {
    match page {
        "docs/receive.md" => {
            "[[handlers]]\nname = \"receiver\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9000/events\"\n\
             signing_keys = [\"${WEBHOOK_KEY}\"]\n"
        }
        _ => "",
    }
}

/// Says aloud that the commands of a page are not run here, which must not be in CI.
#[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
fn skip(page: &str, lacking: &str) {
    assert!(std::env::var_os("CI").is_none(), "{lacking} is required in CI");
    eprintln!("SKIPPED the commands of {page}: there is no {lacking}");
}

/// Whether Python has the library that a page needs.
fn may_receive() -> bool {
    let python = std::env::var("RUNS_WORKER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = std::process::Command::new(python)
        .args(["-c", "import standardwebhooks"])
        .output();
    found.is_ok_and(|output| output.status.success())
}

/// A test for each page, so that they run side by side.
macro_rules! pages {
    ($($name:ident: $page:literal,)+) => {
        const PAGES: &[&str] = &[$($page,)+ "docs/receive.md", "docs/postgresql.md"];
        $(
            #[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                run_page($page).await
            }
        )+
    };
}

pages! {
    the_commands_of_the_readme_are_run: "README.md",
    the_commands_of_moving_are_run: "docs/moving.md",
    the_commands_of_operating_are_run: "docs/operating.md",
    the_commands_of_deploying_are_run: "docs/deploy.md",
    the_commands_of_configuring_are_run: "docs/configuration.md",
}

#[tokio::test]
async fn the_commands_of_receiving_are_run() -> anyhow::Result<()> {
    let page = "docs/receive.md";
    if !may_receive() {
        skip(page, "standardwebhooks in Python");
        return Ok(());
    }
    run_page(page).await
}

#[tokio::test]
async fn the_commands_of_the_page_on_postgresql_are_run() -> anyhow::Result<()> {
    let page = "docs/postgresql.md";
    if PostgresServer::programs().is_none() {
        skip(page, "PostgreSQL");
        return Ok(());
    }
    let (server, scene) = (PostgresServer::start()?, Scene::set("").await?);
    fs::write(scene.folder.path().join("etc/runs-worker/database-url"), server.url())?;
    run_in(&scene, page, &blocks(page)?).await
}

#[test]
fn every_page_with_commands_is_among_those() -> anyhow::Result<()> {
    // Their blocks are programs that a test of its own makes files of.
    const PROGRAMS: [&str; 3] = [
        "docs/filters.md",
        "docs/webhook-to-database.md",
        "docs/handlers/command.md",
    ];
    let mut left = Vec::new();
    for folder in ["", "docs", "docs/handlers", "examples/receivers"] {
        for file in fs::read_dir(root().join(folder))? {
            let name = file?.file_name().into_string().unwrap_or_default();
            let page = Path::new(folder).join(&name).display().to_string();
            let known = PAGES.contains(&page.as_str()) || PROGRAMS.contains(&page.as_str());
            if name.ends_with(".md") && !known && blocks(&page)?.iter().any(|block| block.note != Note::NotRun) {
                left.push(page);
            }
        }
    }
    ensure!(left.is_empty(), "commands that no test runs are in {left:?}");
    Ok(())
}
