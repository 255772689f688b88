//! The address that webhooks come to, as people and proxies write it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What comes before the secret.
pub(super) const FOLDER: &str = "webhooks";

/// The secret of the path of a webhook: `/webhooks/SECRET`, whatever slashes somebody left or doubled around its parts.
pub(super) fn secret(path: &str) -> Option<String> {
    let mut parts = parts(path);
    match (parts.next()?, parts.next()?, parts.next()) {
        (folder, secret, None) if folder == FOLDER => decoded(secret).map(Cow::into_owned),
        _ => None,
    }
}

/// What may be wrong with a path that leads nowhere; `knows` says whether a secret is one of ours.
pub(super) fn hint(path: &str, knows: impl Fn(&str) -> bool) -> &'static str {
    let mut parts_with_secret = parts(path).filter_map(decoded);
    let first = parts(path).next();
    if parts_with_secret.any(|part| knows(&part)) {
        return "it has a valid secret: the path must be /webhooks/SECRET; does a proxy add or remove a part of it?";
    }
    match first {
        None => "it has no path; webhooks are sent to /webhooks/SECRET",
        Some(FOLDER) => {
            "its secret is not among the configured ones; is the address in Tallyfy the one with the current secret?"
        }
        Some("health" | "metrics" | "healthz" | "readyz" | "livez") => {
            "health checks and metrics are at the address admin.listen"
        }
        Some(word) if strsim::jaro_winkler(word, FOLDER) > 0.9 => "the path must be /webhooks/SECRET",
        Some(_) => "strangers try addresses; if it is Tallyfy, its URL must end in /webhooks/SECRET",
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn decoded(part: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_found_however_the_slashes_are_written() {
        for path in [
            "/webhooks/s3cret",
            "/webhooks/s3cret/",
            "//webhooks/s3cret",
            "/webhooks//s3cret",
            "/webhooks/s3cr%65t",
        ] {
            assert_eq!(secret(path).as_deref(), Some("s3cret"), "{path}");
        }
        for path in [
            "/",
            "",
            "*",
            "/webhooks",
            "/webhooks/",
            "/Webhooks/s3cret",
            "/webhooks/s3cret/more",
            "/prefix/webhooks/s3cret",
            "/webhooks/%ff",
        ] {
            assert_eq!(secret(path), None, "{path}");
        }
        assert_eq!(secret("/webhooks/a%2Fb").as_deref(), Some("a/b"));
    }

    #[test]
    fn hints_say_what_may_be_wrong() {
        let hints: Vec<String> = [
            "/",
            "/webhooks/guess",
            "/hooks/webhooks/s3cret",
            "/webhook/s3cr%65t",
            "/webhook/guess",
            "/health/ready",
            "/wp-login.php",
        ]
        .into_iter()
        .map(|path| format!("{path}: {}", hint(path, |secret| secret == "s3cret")))
        .collect();
        insta::assert_snapshot!("hints", hints.join("\n"));
    }
}
