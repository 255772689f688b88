//! The organization's webhook: registered and taken away by the real binary, at the simulator.

use std::fs;
use std::process::Output;

use anyhow::Context as _;
use tallyfy_sim::world::{StepDraft, TemplateDraft};
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::process::Command;

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
const OLD_SECRET: &str = "0ld0c8e5a7d49629f8e7a6b5c4d3e2f0";
const PUBLIC: &str = "https://hooks.example.com";

/// A simulator, and the configuration of a worker for it.
struct Scene {
    sim: Simulator,
    folder: TempDir,
}

impl Scene {
    async fn set(token: &str) -> anyhow::Result<Self> {
        let sim = Simulator::start(SimConfig::default()).await?;
        let admin = sim.token();
        sim.add_token("member", sim.org(), sim.founding().member);
        let folder = tempfile::tempdir()?;
        let token = if token == "admin" { admin } else { token.to_owned() };
        let config = format!(
            "[store]\ndata_dir = \"data\"\n[receive]\npublic_url = \"{PUBLIC}\"\n[api]\nbase_url = \"{}\"\n\
             [[organizations]]\nid = \"{}\"\ntoken = \"{token}\"\nwebhook_secrets = [\"{SECRET}\", \"{OLD_SECRET}\"]\n",
            sim.api_url(),
            sim.org()
        );
        fs::write(folder.path().join("worker.toml"), config)?;
        Ok(Self { sim, folder })
    }

    async fn worker(&self, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let config = self.folder.path().join("worker.toml");
        let mut command = Command::new(system_tests::binary()?);
        command.env_clear().arg("--config").arg(config).args(arguments);
        let Output { status, stdout, stderr } = command.stdin(std::process::Stdio::null()).output().await?;
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        anyhow::ensure!(!text.contains(SECRET) && !text.contains(OLD_SECRET), "a secret: {text}");
        Ok((status.code(), text))
    }

    fn watchers(&self) -> anyhow::Result<Vec<String>> {
        self.sim.read(|world| {
            let org = world.organization(self.sim.org()).context("the organization")?;
            Ok(org.watchers.iter().map(|watcher| watcher.url.clone()).collect())
        })
    }
}

#[tokio::test]
async fn an_administrator_registers_the_organization_and_takes_away_only_what_is_ours() -> anyhow::Result<()> {
    let scene = Scene::set("admin").await?;
    let other = "https://hooks.zapier.example/catch/1".to_owned();
    scene.sim.change(|world| world.add_watcher(scene.sim.org(), &other))?;

    let (code, said) = scene.worker(&["connect", "--dry-run"]).await?;
    assert!(code == Some(0) && said.contains("would register"), "{said}");
    assert!(said.contains("to hooks.zapier.example"), "{said}");
    assert_eq!(scene.watchers()?, [other.as_str()]);

    let (code, said) = scene.worker(&["connect"]).await?;
    assert!(
        code == Some(0) && said.contains("registered, and listed by the API"),
        "{said}"
    );
    let ours = format!("{PUBLIC}/webhooks/{SECRET}");
    assert_eq!(scene.watchers()?, [other.as_str(), &ours]);
    let (code, said) = scene.worker(&["connect"]).await?;
    assert!(code == Some(0) && said.contains("nothing to do"), "{said}");
    assert_eq!(scene.watchers()?.len(), 2);

    let (code, said) = scene.worker(&["disconnect", "--dry-run"]).await?;
    assert!(code == Some(0) && said.contains("would remove watcher"), "{said}");
    assert_eq!(scene.watchers()?.len(), 2);
    let (code, said) = scene.worker(&["disconnect"]).await?;
    assert!(code == Some(0) && said.contains("removed watcher"), "{said}");
    assert_eq!(scene.watchers()?, [other.as_str()]);
    assert_eq!(scene.worker(&["disconnect"]).await?.0, Some(3));
    Ok(())
}

#[tokio::test]
async fn who_may_not_register_is_told_so_and_which_templates_there_are() -> anyhow::Result<()> {
    let scene = Scene::set("member").await?;
    let step = StepDraft::new("Sign").webhook("https://crm.example/hook");
    let draft = TemplateDraft::new("Contracts").webhook(&format!("{PUBLIC}/webhooks/{OLD_SECRET}"));
    scene.sim.add_template(&draft.step(step))?;
    let (code, said) = scene.worker(&["connect"]).await?;
    assert_eq!(code, Some(1), "{said}");
    for expected in [
        "template \"Client onboarding\": none",
        "template \"Contracts\": to this worker, but not of the steps Sign",
        "no access",
        "an administrator's token can do it",
        &format!("https://go.tallyfy.com/{}", scene.sim.org()),
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(scene.watchers()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_url_is_shown_when_asked_for_and_needs_a_public_address() -> anyhow::Result<()> {
    let scene = Scene::set("admin").await?;
    let config = scene.folder.path().join("worker.toml");
    let output = Command::new(system_tests::binary()?)
        .env_clear()
        .arg("--config")
        .arg(&config)
        .args(["connect", "--show-url"])
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim(), format!("{PUBLIC}/webhooks/{SECRET}"));

    let text = fs::read_to_string(&config)?.replace(&format!("public_url = \"{PUBLIC}\"\n"), "");
    fs::write(&config, text)?;
    let (code, said) = scene.worker(&["connect"]).await?;
    assert!(
        code == Some(2) && said.contains("receive.public_url is missing"),
        "{said}"
    );
    Ok(())
}
