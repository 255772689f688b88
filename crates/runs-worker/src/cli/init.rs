//! `runs-worker init`: from nothing to a configuration that works.
//!
//! What it was told is held against the API before anything is written, and nothing that is there is written over.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tallyfy_model::OrgId;
use tallyfy_runs::{Error, ListRunsOptions, ListTemplatesOptions, Pages};
use tallyfy_transport::{BaseUrl, BaseUrlError};

use super::ask::{ask, ask_secret};
use super::check::token;
use super::with_store::{End, Outcome, Trouble, misused};
use super::{Settings, account, environment, get, print};
use crate::config::{self, Config, EXAMPLE, Flags, Loaded, Organization};
use crate::{data_folder, telemetry};

/// The files that it writes.
const FILES: [&str; 3] = ["worker.toml", "token", "webhook-secrets"];

const AFTER_HELP: &str = "\
What is not given is asked for, where there is a terminal. In Tallyfy's pages, the organization's id is under
Settings > Organization, and in the address, https://go.tallyfy.com/ORG_ID/…; the token is under
Settings > Integrations > REST API; a run's id is at the end of its address; a template's is under its
Edit > Settings > Export.

Example: runs-worker init --folder /etc/runs-worker --org ORG_ID --token-file ./token \\
           --public-url https://hooks.example.com";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Init {
    /// The folder that the files are written to; made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// The organization's id [env: TALLYFY_ORG_ID]
    #[arg(long, value_name = "ORG_ID")]
    org: Option<String>,
    /// A file with the access token, which is copied; `-` is the standard input [env: TALLYFY_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where webhooks reach the worker, such as `https://hooks.example.com`
    #[arg(long, value_name = "URL")]
    public_url: Option<BaseUrl>,
    /// Ask the API nothing
    #[arg(long)]
    offline: bool,
}

/// What it was told, and the secret that it has made.
struct Answers {
    org: OrgId,
    token: SecretString,
    webhook_secret: SecretString,
    base_url: BaseUrl,
}

impl Init {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        self.outcome(settings).await.map_or_else(Trouble::end, End::code)
    }

    async fn outcome(self, settings: &Settings) -> Outcome {
        let files = FILES.map(|name| self.folder.join(name));
        if let Some(there) = files.iter().find(|file| file.symlink_metadata().is_ok()) {
            return Err(misused(format!(
                "{} is there already; nothing was changed",
                there.display()
            )));
        }
        let answers = self.answers(settings)?;
        if !self.offline {
            introduce(&answers).await?;
        }
        let failed = |error: io::Error| Trouble::Failed(format!("{}: {error}", self.folder.display()));
        data_folder::make_private(&self.folder).map_err(failed)?;
        let texts = [
            configuration(&answers, self.public_url.as_ref(), settings.data_dir.as_deref()),
            format!("{}\n", answers.token.expose_secret()),
            format!("{}\n", answers.webhook_secret.expose_secret()),
        ];
        for (position, (file, text)) in files.iter().zip(texts).enumerate() {
            if let Err(error) = write_new(file, &text) {
                // A half is not left behind, so that the next try is not refused for it.
                files
                    .iter()
                    .take(position)
                    .for_each(|written| drop(fs::remove_file(written)));
                return Err(failed(error));
            }
        }
        let [file, ..] = &files;
        self.tell_what_is_next(file, &answers)
    }

    fn answers(&self, settings: &Settings) -> Result<Answers, Trouble> {
        let environment = environment();
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let org = match self.org.clone().or_else(|| set("TALLYFY_ORG_ID")) {
            Some(org) => org,
            None => ask(
                "The organization's id (Settings > Organization, and in the address of Tallyfy's pages)",
                "--org",
            )?,
        };
        let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if org.is_empty() || !org.chars().all(is_safe) {
            return Err(misused("the organization's id is letters, digits, `-`, `_` and `.`"));
        }
        let token = match (&self.token_file, set("TALLYFY_TOKEN")) {
            (Some(file), _) => read_token(file)?,
            (None, Some(token)) => token,
            (None, None) => ask_secret("The access token (Settings > Integrations > REST API)", "--token-file")?,
        };
        let base_url = settings.base_url.clone().or_else(|| set("TALLYFY_BASE_URL"));
        let base_url = base_url.map_or_else(|| Ok(BaseUrl::default()), |text| text.parse());
        Ok(Answers {
            org: org.into(),
            token: token.trim().into(),
            webhook_secret: secret().into(),
            base_url: base_url.map_err(|error: BaseUrlError| misused(error.to_string()))?,
        })
    }

    fn tell_what_is_next(&self, file: &Path, answers: &Answers) -> Outcome {
        // What was written is read as the worker reads it.
        let flags = Flags {
            config: Some(file.to_owned()),
            ..Flags::default()
        };
        config::load(&flags, &environment(), true).map_err(|error| Trouble::Failed(error.to_string()))?;
        let public = self.public_url.as_ref().map(ToString::to_string);
        let public = public.unwrap_or_else(|| "https://YOUR.HOST".to_owned());
        let lines = [
            format!("written, private to their owner: {}", FILES.join(", ")),
            String::new(),
            "The webhook URL, which is a secret:".to_owned(),
            format!(
                "  {}/webhooks/{}",
                public.trim_end_matches('/'),
                answers.webhook_secret.expose_secret()
            ),
            "Enter it in Tallyfy in each template, under Settings > Webhooks: the toggle and the URL. An administrator can"
                .to_owned(),
            "register it for the whole organization instead, with `runs-worker connect`.".to_owned(),
            format!(
                "A proxy with TLS passes {}/webhooks/ on to 127.0.0.1:8080.",
                public.trim_end_matches('/')
            ),
            String::new(),
            "Next:".to_owned(),
            format!("  runs-worker --config {} connect --dry-run", file.display()),
            format!("  runs-worker --config {} check", file.display()),
            format!("  runs-worker --config {}", file.display()),
        ];
        print::lines(lines)
    }
}

/// Says whose token it is and what it may see.
async fn introduce(answers: &Answers) -> Result<(), Trouble> {
    let mut config = Config::default();
    config.api.base_url = answers.base_url.clone();
    let organization = Organization::new(
        answers.org.clone(),
        answers.token.expose_secret(),
        [answers.webhook_secret.clone()],
    );
    let loaded = Loaded::new(config, [organization.clone()]).map_err(|error| misused(error.to_string()))?;
    let client = account::client(&loaded, &organization).map_err(|error| Trouble::Failed(telemetry::chain(&error)))?;
    let refused = |error: Error| {
        let advice = get::advice(&error)
            .map(|advice| format!(" ({advice})"))
            .unwrap_or_default();
        Trouble::Failed(format!("{}{advice}; nothing was written", telemetry::chain(&error)))
    };
    let runs = total(client.list_runs(&ListRunsOptions::default()))
        .await
        .map_err(refused)?;
    let templates = total(client.list_templates(&ListTemplatesOptions::default()))
        .await
        .map_err(refused)?;
    let owner = match client.me().await {
        Ok(member) => {
            let name = member.full_name.as_str().unwrap_or("a member without a name");
            format!("{name} <{}>", member.email.as_str().unwrap_or_default())
        }
        // A token of an application is nobody's.
        Err(_) => "an application".to_owned(),
    };
    print::say(&format!(
        "the token is accepted: it belongs to {owner}, and sees {} and {}",
        print::plural(templates, "template"),
        print::plural(runs, "run"),
    ))?;
    print::say(&match token::end_of(answers.token.expose_secret()) {
        Some(end) => format!("it is good until {}", end.strftime("%F %R UTC")),
        None => {
            "it does not say how long it is good: six months, or until its owner logs out of Tallyfy's pages".to_owned()
        }
    })?;
    Ok(())
}

/// How many there are, as far as the list says it.
async fn total<T>(pages: Pages<T>) -> Result<u64, Error> {
    let page = pages.per_page(1).next().await?;
    let total = page.map(|page| page.pagination.total.get().copied().unwrap_or(page.items.len() as i64));
    Ok(total.and_then(|total| u64::try_from(total).ok()).unwrap_or_default())
}

/// The example, with what was told in the place of what is a comment in it.
fn configuration(answers: &Answers, public_url: Option<&BaseUrl>, data_dir: Option<&Path>) -> String {
    let (org, base_url) = (answers.org.as_str(), answers.base_url.to_string());
    let default_url = format!("# base_url = \"{}\"", BaseUrl::default());
    let mut told = vec![
        ("# [[organizations]]", "[[organizations]]".to_owned()),
        ("# id = \"ORG_ID\"", format!("id = \"{org}\"")),
        (
            "# token_file = \"/run/credentials/tallyfy-token\"",
            "token_file = \"token\"".to_owned(),
        ),
        (
            "# webhook_secrets_file = \"/run/credentials/tallyfy-webhook-secrets\"",
            "webhook_secrets_file = \"webhook-secrets\"".to_owned(),
        ),
    ];
    if answers.base_url != BaseUrl::default() {
        told.push((&default_url, format!("base_url = \"{base_url}\"")));
    }
    if let Some(data_dir) = data_dir {
        let line = format!("data_dir = {:?}", data_dir.display().to_string());
        told.push(("# data_dir = \"/var/lib/runs-worker\"", line));
    }
    if let Some(public_url) = public_url {
        told.push(("# public_url = \"\"", format!("public_url = \"{public_url}\"")));
    }
    told.into_iter().fold(EXAMPLE.to_owned(), |text, (comment, line)| {
        text.replacen(comment, &line, 1)
    })
}

/// A secret that nobody can guess.
fn secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(file: &Path) -> Result<String, Trouble> {
    let mut token = String::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut token).map(|_| token),
        false => fs::read_to_string(file),
    };
    read.map_err(|error| misused(format!("{}: {error}", file.display())))
}

/// Writes a file that is private to its owner, and was not there.
fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}
