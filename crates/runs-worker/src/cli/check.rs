//! `runs-worker check`

use std::path::Path;
use std::process::ExitCode;

use nix::unistd::{AccessFlags, access};
use runs_store::Inspection;
use secrecy::ExposeSecret as _;

use super::{FAILED, MISUSED, Settings, account, get};
use crate::config::{Loaded, Organization, readable_by_others};
use crate::{data_folder, telemetry};

/// How one thing stands.
pub(super) enum Verdict {
    Well(String),
    Doubtful(String),
    Wrong(String),
}

pub(super) async fn run(settings: &Settings) -> ExitCode {
    let loaded = match settings.load(true) {
        Ok(loaded) => loaded,
        Err(error) => {
            show(
                "configuration",
                &Verdict::Wrong(
                    error
                        .problems()
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("; "),
                ),
            );
            return ExitCode::from(MISUSED);
        }
    };
    let mut verdicts = vec![
        ("configuration".to_owned(), configuration(&loaded)),
        ("store".to_owned(), store(&loaded).await),
    ];
    let open_files = loaded.secret_files.iter().filter_map(|file| readable_by_others(file));
    verdicts.extend(open_files.map(|trouble| ("secrets".to_owned(), Verdict::Doubtful(trouble))));
    for organization in &loaded.organizations {
        verdicts.push((format!("secrets of {}", organization.id), secrets(organization)));
        verdicts.push((
            format!("API for {}", organization.id),
            reachability(&loaded, organization).await,
        ));
    }
    for (what, verdict) in &verdicts {
        show(what, verdict);
    }
    if verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Wrong(_))) {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn show(what: &str, verdict: &Verdict) {
    let (word, text) = match verdict {
        Verdict::Well(text) => ("ok", text),
        Verdict::Doubtful(text) => ("warn", text),
        Verdict::Wrong(text) => ("FAIL", text),
    };
    println!("{word:<5} {what}: {text}");
}

fn configuration(loaded: &Loaded) -> Verdict {
    let from = loaded
        .file
        .as_ref()
        .map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let listen: Vec<_> = loaded.config.receive.listen.iter().map(ToString::to_string).collect();
    Verdict::Well(format!(
        "{from}; listening on {} (webhooks) and {} (admin); API at {}",
        listen.join(", "),
        loaded.config.admin.listen,
        loaded.config.api.base_url
    ))
}

async fn store(loaded: &Loaded) -> Verdict {
    let folder = loaded.config.store.folder();
    let file = data_folder::store_file(&folder);
    let shown = file.display();
    if let Some(trouble) = not_writable(&folder, &file) {
        return Verdict::Wrong(trouble);
    }
    if !folder.exists() {
        return Verdict::Well(format!("{} is not there yet and will be made", folder.display()));
    }
    match data_folder::location(&folder).inspect().await {
        Ok(Inspection::Absent) => Verdict::Well(format!("{shown} is not there yet and will be made")),
        Ok(Inspection::Present { damage, .. }) if !damage.is_empty() => {
            Verdict::Wrong(format!("{shown} is damaged: {}", damage.join("; ")))
        }
        Ok(Inspection::Present {
            held_by: Some(holder), ..
        }) => Verdict::Well(format!("{shown} is in use by {holder}")),
        Ok(Inspection::Present { schema, supported, .. }) if schema < supported => Verdict::Well(format!(
            "{shown} is whole; its schema will be brought from version {schema} to {supported}"
        )),
        Ok(_) => Verdict::Well(format!("{shown} is whole")),
        Err(error) => Verdict::Wrong(telemetry::chain(&error)),
    }
}

/// What keeps this user from making or changing the store.
fn not_writable(folder: &Path, file: &Path) -> Option<String> {
    let Some(there) = folder.ancestors().find(|place| place.exists()) else {
        return Some(format!("{} cannot be made", folder.display()));
    };
    let shown = there.display();
    if !there.is_dir() {
        return Some(format!("{shown} is not a folder"));
    }
    if access(there, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Some(format!(
            "{shown} cannot be written by this user; set another folder with --data-dir"
        ));
    }
    (file.exists() && access(file, AccessFlags::W_OK).is_err())
        .then(|| format!("{} cannot be written by this user", file.display()))
}

/// A secret that can be guessed is none: there is nothing else that tells a sender from a stranger.
fn secrets(organization: &Organization) -> Verdict {
    const SHORTEST: usize = 22;

    let short = organization
        .webhook_secrets
        .iter()
        .filter(|secret| secret.expose_secret().len() < SHORTEST)
        .count();
    if short > 0 {
        return Verdict::Doubtful(format!(
            "{short} of {} webhook secrets can be guessed; make one of 128 bits or more with `openssl rand -hex 32`",
            organization.webhook_secrets.len()
        ));
    }
    Verdict::Well(match organization.webhook_secrets.len() {
        1 => "1 webhook secret".to_owned(),
        count => format!("{count} webhook secrets"),
    })
}

async fn reachability(loaded: &Loaded, organization: &Organization) -> Verdict {
    let client = match account::client(loaded, organization) {
        Ok(client) => client,
        Err(error) => return Verdict::Wrong(telemetry::chain(&error)),
    };
    match client.probe().await {
        Ok(()) => Verdict::Well(format!("{} answers, the token is accepted", loaded.config.api.base_url)),
        Err(error) => {
            let advice = get::advice(&error)
                .map(|advice| format!(" ({advice})"))
                .unwrap_or_default();
            Verdict::Wrong(format!("{}{advice}", telemetry::chain(&error)))
        }
    }
}
