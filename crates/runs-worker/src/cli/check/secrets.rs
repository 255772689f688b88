//! Files with secrets, and secrets that can be guessed.

use secrecy::ExposeSecret as _;

use super::finding::Finding;
use crate::cli::print::plural;
use crate::config::{Loaded, Organization, readable_by_others};

/// The fewest letters of a secret that cannot be guessed: 128 bits in base64.
const SHORTEST: usize = 22;

pub(super) fn files(loaded: &Loaded) -> Vec<Finding> {
    let open: Vec<String> = loaded
        .secret_files
        .iter()
        .filter_map(|file| readable_by_others(file))
        .collect();
    if open.is_empty() {
        let text = match loaded.secret_files.len() as u64 {
            0 => "no file holds a secret".to_owned(),
            count => format!("only the owner can read {} with secrets", plural(count, "file")),
        };
        return vec![Finding::ok("secret-files", text)];
    }
    let warn = |trouble: String| Finding::warning("secret-files", trouble).hint("chmod 600 it");
    open.into_iter().map(warn).collect()
}

/// A secret that can be guessed is none: there is nothing else that tells a sender from a stranger.
pub(super) fn strength(organization: &Organization) -> Finding {
    let secrets = &organization.webhook_secrets;
    let short = secrets
        .iter()
        .filter(|secret| secret.expose_secret().len() < SHORTEST)
        .count();
    let finding = if short > 0 {
        let text = format!("{short} of {} webhook secrets can be guessed", secrets.len());
        Finding::warning("secrets", text).hint("make one of 128 bits or more with `openssl rand -hex 32`")
    } else {
        Finding::ok("secrets", plural(secrets.len() as u64, "webhook secret"))
    };
    finding.of(&organization.id)
}
