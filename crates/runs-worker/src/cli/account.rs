//! Whose API is asked, and by which client.

use std::sync::Arc;

use tallyfy_runs::Client;
use tallyfy_transport::{BuildError, RateLimiter};

use crate::api;
use crate::config::{Loaded, Organization};
use crate::redact::PathSecrets;

/// The organization that is named, or the only one.
pub(super) fn organization<'a>(
    organizations: &'a [Organization],
    wanted: Option<&str>,
) -> Result<&'a Organization, String> {
    let names = || {
        let ids = organizations.iter().map(|organization| organization.id.as_str());
        ids.collect::<Vec<_>>().join(", ")
    };
    match (wanted, organizations) {
        (None, [organization]) => Ok(organization),
        (None, _) => Err(format!(
            "several organizations are configured; say which with --org: {}",
            names()
        )),
        (Some(wanted), _) => organizations
            .iter()
            .find(|organization| organization.id.as_str() == wanted)
            .ok_or_else(|| format!("organization {wanted} is not configured; there is: {}", names())),
    }
}

/// A client for one organization, with a budget of its own.
pub(super) fn client(loaded: &Loaded, organization: &Organization) -> Result<Client, BuildError> {
    make(loaded, organization, api::client)
}

/// One that shows the URLs of webhooks as they are registered, with the secrets in them.
pub(super) fn client_with_secrets(loaded: &Loaded, organization: &Organization) -> Result<Client, BuildError> {
    make(loaded, organization, api::client_with_secrets)
}

type Maker = fn(
    &Organization,
    Arc<dyn tallyfy_transport::HttpTransport>,
    Arc<dyn tallyfy_transport::TokenSource>,
    RateLimiter,
    PathSecrets,
) -> Client;

fn make(loaded: &Loaded, organization: &Organization, maker: Maker) -> Result<Client, BuildError> {
    let network = Arc::new(api::network(&loaded.config.api)?);
    let tokens = api::token_source(organization, &loaded.config.api)?;
    let limiter = RateLimiter::new(loaded.config.api.rate_limits());
    let secrets = PathSecrets::new(&loaded.organizations);
    Ok(maker(organization, network, tokens, limiter, secrets))
}
