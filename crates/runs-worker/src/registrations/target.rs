//! Where a registered URL leads.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use tallyfy_transport::BaseUrl;
use url::Url;

/// The folder of the path that webhooks come to.
const FOLDER: &str = "webhooks";

/// What makes a URL lead here: the public address, as far as it is known, and any of the secrets.
#[derive(Clone)]
pub(crate) struct Here {
    address: Option<Url>,
    /// Shared by clones, because secrets change while the worker runs.
    secrets: Arc<RwLock<Vec<SecretString>>>,
}

/// Where a registered URL leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// There is none.
    Nowhere,
    /// To this worker.
    Here,
    /// To this address, with a secret that is not among those of here: such a webhook is turned away.
    WrongSecret,
    /// To another address, with a secret of here.
    OldAddress(String),
    /// To another address.
    Elsewhere(String),
}

impl Here {
    pub(crate) fn new(address: Option<&BaseUrl>, secrets: &[SecretString]) -> Self {
        Self {
            address: address.and_then(|address| address.as_str().parse().ok()),
            secrets: Arc::new(RwLock::new(secrets.to_vec())),
        }
    }

    /// Takes these secrets for those that were.
    pub(crate) fn replace(&self, secrets: &[SecretString]) {
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets.to_vec();
    }

    /// Where a URL leads. Without an address of here, the secret alone tells.
    pub(crate) fn target(&self, url: Option<&str>) -> Target {
        let Some(url) = url.map(str::trim).filter(|url| !url.is_empty()) else {
            return Target::Nowhere;
        };
        let Ok(url) = Url::parse(url) else {
            return Target::Elsewhere("something that is no URL".to_owned());
        };
        let host = || host(&url);
        let has_secret = self.has_secret(&url);
        match &self.address {
            None if has_secret => Target::Here,
            Some(address) if is_below(&url, address) => match has_secret {
                true => Target::Here,
                false => Target::WrongSecret,
            },
            Some(_) if has_secret => Target::OldAddress(host()),
            _ => Target::Elsewhere(host()),
        }
    }

    /// Whether the path ends in a secret of here.
    fn has_secret(&self, url: &Url) -> bool {
        let mut parts = url.path().rsplit('/').filter(|part| !part.is_empty());
        let (Some(last), Some(FOLDER)) = (parts.next(), parts.next()) else {
            return false;
        };
        let last = percent_decode_str(last).decode_utf8_lossy();
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().any(|secret| secret.expose_secret() == last)
    }
}

/// Whether this URL leads to the folder for webhooks of this address.
fn is_below(url: &Url, address: &Url) -> bool {
    let same = url.scheme() == address.scheme()
        && url.host() == address.host()
        && url.port_or_known_default() == address.port_or_known_default();
    let parts = |url: &Url| -> Vec<String> {
        let parts = url.path().split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (parts, prefix) = (parts(url), parts(address));
    let rest = parts.strip_prefix(prefix.as_slice());
    same && rest.and_then(<[String]>::first).is_some_and(|folder| folder == FOLDER)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("no host");
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Target {
    /// Whether webhooks come here.
    pub(crate) fn is_here(&self) -> bool {
        *self == Self::Here
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => formatter.write_str("none"),
            Self::Here => formatter.write_str("to this worker"),
            Self::WrongSecret => formatter.write_str("to this worker, with a secret that it does not know"),
            Self::OldAddress(host) => write!(formatter, "to {host}, with a secret of this worker"),
            Self::Elsewhere(host) => write!(formatter, "to {host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(here: &Here, urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| here.target(Some(url)).to_string()).collect()
    }

    #[test]
    fn address_and_secret_together_lead_here() {
        let address: BaseUrl = "https://Hooks.example.com".parse().unwrap();
        let here = Here::new(Some(&address), &["s3cret".into(), "0lder".into()]);
        assert_eq!(here.target(None), Target::Nowhere);
        assert_eq!(here.target(Some(" ")), Target::Nowhere);
        let urls = [
            "https://hooks.example.com/webhooks/s3cret",
            "https://HOOKS.example.com:443//webhooks/0lder/",
            "https://hooks.example.com/webhooks/s3cr%65t?x=1",
            "https://hooks.example.com/webhooks/guess",
            "https://hooks.example.com/other",
            "http://hooks.example.com/webhooks/s3cret",
            "https://old.example.com:8443/webhooks/s3cret",
            "https://hooks.zapier.com/hooks/catch/1/webhooks",
            "zapier",
        ];
        insta::assert_snapshot!(targets(&here, &urls).join("\n"), @r"
        to this worker
        to this worker
        to this worker
        to this worker, with a secret that it does not know
        to hooks.example.com
        to hooks.example.com, with a secret of this worker
        to old.example.com:8443, with a secret of this worker
        to hooks.zapier.com
        to something that is no URL
        ");
    }

    #[test]
    fn an_address_may_have_a_path() {
        let address: BaseUrl = "https://example.com/tallyfy/".parse().unwrap();
        let here = Here::new(Some(&address), &["s3cret".into()]);
        let urls = [
            "https://example.com/tallyfy/webhooks/s3cret",
            "https://example.com/webhooks/s3cret",
        ];
        assert_eq!(
            targets(&here, &urls),
            ["to this worker", "to example.com, with a secret of this worker"]
        );
    }

    #[test]
    fn without_an_address_the_secret_tells() {
        let here = Here::new(None, &["s3cret".into()]);
        let urls = ["https://any.example/webhooks/s3cret", "https://any.example/webhooks/x"];
        assert_eq!(targets(&here, &urls), ["to this worker", "to any.example"]);
    }
}
