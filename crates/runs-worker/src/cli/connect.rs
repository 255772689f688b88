//! `runs-worker connect` and `runs-worker disconnect`: the webhook of the organization as a whole.
//!
//! What the API answers is not believed before its list shows it. Where it refuses, the templates are listed, in which a person
//! can enter the URL.

use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;
use tallyfy_model::{OrgId, UserId, WatcherId};
use tallyfy_runs::{Client, Error};
use tallyfy_transport::BaseUrl;

use super::with_store::{End, Outcome, Trouble, misused};
use super::{Settings, account, get, print};
use crate::config::{Loaded, Organization};
use crate::registrations::{Coverage, FoundTemplate, FoundWatcher, Here, Memory, Reach, Watchers, survey};
use crate::telemetry;

const AFTER_HELP: &str = "\
The URL is receive.public_url with /webhooks/ and the first webhook secret. Only an administrator of the
organization may register it; anybody else enters it in each template, under Settings > Webhooks.

Examples:
  runs-worker connect --dry-run
  runs-worker connect
  runs-worker connect --show-url";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Connect {
    #[command(flatten)]
    of: Of,
    /// Print the webhook URL, which is a secret, and do nothing else
    #[arg(long, conflicts_with_all = ["dry_run", "accept"])]
    show_url: bool,
    /// Take what is registered now for what is meant: what does not lead here any more is no longer told
    #[arg(long, conflicts_with = "dry_run")]
    accept: bool,
}

#[derive(Debug, Args)]
pub(super) struct Disconnect {
    #[command(flatten)]
    of: Of,
}

/// Of which organization, and whether it is meant.
#[derive(Debug, Args)]
struct Of {
    /// The organization, where several are configured
    #[arg(long, value_name = "ORG_ID")]
    org: Option<String>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Everything that both commands need.
struct Account {
    client: Client,
    here: Here,
    url: String,
    loaded: Loaded,
}

impl Of {
    fn account(&self, settings: &Settings) -> Result<Account, Trouble> {
        let loaded = settings.load(true).map_err(|error| misused(error.to_string()))?;
        let organization = account::organization(&loaded.organizations, self.org.as_deref()).map_err(misused)?;
        let public_url = loaded.config.receive.public_url.as_ref().ok_or_else(|| {
            misused(
                "receive.public_url is missing: where Tallyfy reaches this worker, such as https://hooks.example.com; \
                 set it in the configuration file, or as RUNS_WORKER__RECEIVE__PUBLIC_URL",
            )
        })?;
        let client = account::client_with_secrets(&loaded, organization);
        Ok(Account {
            client: client.map_err(|error| Trouble::Failed(telemetry::chain(&error)))?,
            here: Here::new(Some(public_url), &organization.webhook_secrets),
            url: webhook_url(public_url, organization),
            loaded: loaded.clone(),
        })
    }
}

/// The URL that webhooks go to, with the first secret.
fn webhook_url(public_url: &BaseUrl, organization: &Organization) -> String {
    let secret = organization.webhook_secrets.first();
    format!(
        "{public_url}/webhooks/{}",
        secret.map(ExposeSecret::expose_secret).unwrap_or_default()
    )
}

impl Connect {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        self.outcome(settings).await.map_or_else(Trouble::end, End::code)
    }

    async fn outcome(self, settings: &Settings) -> Outcome {
        let account = self.of.account(settings)?;
        if self.show_url {
            return print::say(&account.url);
        }
        if self.accept {
            account.forget()?;
        }
        let found = survey(&account.client, &account.here, None)
            .await
            .map_err(|error| failed(&error))?;
        let coverage = Coverage::of(found.clone());
        show(account.client.org(), &found.watchers, &coverage)?;
        if let Some(watcher) = found.watchers.known().iter().find(|watcher| watcher.target.is_here()) {
            print::say(&format!(
                "the organization's webhook leads to this worker already: watcher {}; nothing to do",
                watcher.id
            ))?;
            return tell_of_firing();
        }
        if let Watchers::Unknown(reason) = &found.watchers {
            return Err(refused(reason));
        }
        if self.of.dry_run {
            return print::say("would register the organization's webhook; nothing was changed");
        }
        match account.register().await {
            Ok(watcher) => {
                print::say(&format!("registered, and listed by the API: watcher {watcher}"))?;
                tell_of_firing()
            }
            Err(error) => Err(error),
        }
    }
}

impl Account {
    /// Registers the URL, and looks whether it is in the list then.
    async fn register(&self) -> Result<WatcherId, Trouble> {
        let me = self.client.me().await.map_err(|error| failed(&error))?;
        let nobody = || Trouble::Failed("the API does not say who the token belongs to".to_owned());
        let user: UserId = me.any_id().cloned().ok_or_else(nobody)?;
        match self.client.add_watcher(user, &self.url).await {
            Ok(_) => {}
            Err(error @ (Error::NoAccess(_) | Error::NoSuchEndpoint(_) | Error::NotFound(_))) => {
                return Err(refused(&telemetry::chain(&error)));
            }
            Err(error) => return Err(failed(&error)),
        }
        let listed = self.watchers_here().await?;
        listed.into_iter().next().map(|watcher| watcher.id).ok_or_else(|| {
            Trouble::Failed(
                "the API says that the webhook is registered, and does not list it; enter the URL in the templates"
                    .to_owned(),
            )
        })
    }

    async fn watchers_here(&self) -> Result<Vec<FoundWatcher>, Trouble> {
        let watchers = self
            .client
            .list_watchers()
            .all()
            .await
            .map_err(|error| failed(&error))?;
        let found = watchers.iter().filter_map(|watcher| {
            Some(FoundWatcher {
                id: watcher.id.get()?.clone(),
                target: self.here.target(watcher.any_url()),
            })
        });
        Ok(found.filter(|watcher| watcher.target.is_here()).collect())
    }

    /// Forgets what sent to this worker before.
    fn forget(&self) -> Result<(), Trouble> {
        let folder = self.loaded.config.store.folder();
        let mut memory = Memory::read(&folder);
        if memory.forget(self.client.org()) {
            memory
                .write(&folder)
                .map_err(|error| Trouble::Failed(format!("{}: {error}", folder.display())))?;
        }
        Ok(())
    }
}

impl Disconnect {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        self.outcome(settings).await.map_or_else(Trouble::end, End::code)
    }

    async fn outcome(self, settings: &Settings) -> Outcome {
        let account = self.of.account(settings)?;
        let ours = account.watchers_here().await?;
        if ours.is_empty() {
            print::remark("no webhook of the organization leads to this worker; those of templates are theirs");
            return Ok(End::Nothing);
        }
        for watcher in &ours {
            if self.of.dry_run {
                print::say(&format!("would remove watcher {}; nothing was changed", watcher.id))?;
                continue;
            }
            account
                .client
                .remove_watcher(&watcher.id)
                .await
                .map_err(|error| failed(&error))?;
        }
        if self.of.dry_run {
            return Ok(End::Well);
        }
        if let Some(left) = account.watchers_here().await?.first() {
            return Err(Trouble::Failed(format!(
                "the API says that watcher {} is removed, and lists it still",
                left.id
            )));
        }
        account.forget()?;
        let removed = ours.iter().map(|watcher| watcher.id.as_str()).collect::<Vec<_>>();
        print::say(&format!("removed watcher {}", removed.join(", ")))
    }
}

/// What is registered, for a person.
fn show(org: &OrgId, watchers: &Watchers, coverage: &Coverage) -> Outcome {
    print::say(&format!("registered for organization {org}:"))?;
    for watcher in watchers.known() {
        print::say(&format!("  watcher {}: {}", watcher.id, watcher.target))?;
    }
    if watchers.known().is_empty() {
        print::say("  no webhook of the organization as a whole")?;
    }
    for (template, reach) in &coverage.templates {
        print::say(&format!("  template {:?}: {}", template.title, how(template, reach)))?;
    }
    // No source documents the address of a template's own page.
    print::say(&format!(
        "the templates' settings: https://go.tallyfy.com/{org}, open a template, Edit > Settings > Webhooks"
    ))
}

fn how(template: &FoundTemplate, reach: &Reach) -> String {
    match reach {
        Reach::Partly(steps) => format!("{}, but not of the steps {}", template.webhook, steps.join(", ")),
        Reach::Twice => format!("{}, and so does the organization's webhook", template.webhook),
        _ => template.webhook.to_string(),
    }
}

fn tell_of_firing() -> Outcome {
    print::say(
        "Tallyfy's pages say that these webhooks are still being introduced and may not come yet. Launch a run, then ask\n  \
         runs-worker check --only webhooks\nwhether one came. What is certain is the URL in each template \
         (runs-worker connect --show-url).",
    )
}

fn refused(reason: &str) -> Trouble {
    Trouble::Failed(format!(
        "the organization's webhook cannot be registered: {reason}\n  \
         an administrator's token can do it; without one, enter the URL (runs-worker connect --show-url) in each template \
         above, under Settings > Webhooks"
    ))
}

fn failed(error: &Error) -> Trouble {
    let advice = get::advice(error)
        .map(|advice| format!("\n  {advice}"))
        .unwrap_or_default();
    Trouble::Failed(format!("{}{advice}", telemetry::chain(error)))
}
