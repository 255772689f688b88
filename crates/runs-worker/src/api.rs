//! The API client of an organization: network, token, budget.

mod measured;

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tallyfy_runs::Client;
use tallyfy_transport::{
    Authenticated, BaseUrl, BreakerSettings, BuildError, ClientCredentials, HttpTransport, RateLimited, RateLimiter,
    ReqwestTransport, StaticToken, TokenFile, TokenSource,
};

use crate::config::{ApiConfig, Organization, TokenSetting};
use crate::redact::{PathSecrets, WithoutSecrets};

pub(crate) use measured::Measured;

/// The transport on the network.
pub(crate) fn network(config: &ApiConfig) -> Result<ReqwestTransport, BuildError> {
    network_to(config.base_url.clone(), config)
}

fn network_to(base_url: BaseUrl, config: &ApiConfig) -> Result<ReqwestTransport, BuildError> {
    ReqwestTransport::builder(base_url)
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .max_response_bytes(config.max_response_bytes.get())
        .user_agent(concat!("runs-worker/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// When the API as a whole counts as down.
///
/// A single run that the API cannot serve does not open it. Several that come one after the other look the same while nothing
/// else is fetched, so it takes a while to open, and is never open for long.
pub(crate) fn breaker_settings() -> BreakerSettings {
    BreakerSettings::default()
        .with_failures(10)
        .with_paths(2)
        .with_open_for(Duration::from_secs(2), Duration::from_secs(15))
}

/// Where an organization's token comes from.
pub(crate) fn token_source(
    organization: &Organization,
    config: &ApiConfig,
) -> Result<Arc<dyn TokenSource>, BuildError> {
    Ok(match &organization.token {
        TokenSetting::Inline(token) => Arc::new(StaticToken::new(token.expose_secret())),
        TokenSetting::File(file) => Arc::new(TokenFile::new(file.clone())),
        TokenSetting::Client {
            id,
            secret,
            auth_url,
            act_as,
        } => {
            let auth_server = network_to(auth_url.clone(), config)?;
            let client = ClientCredentials::new(auth_server, id, secret.expose_secret());
            match act_as {
                Some(email) => Arc::new(client.acting_as(network(config)?, organization.id.as_str(), email)),
                None => Arc::new(client),
            }
        }
    })
}

/// A client for one organization, with its token, within its budget, and without path secrets in what it gets.
pub(crate) fn client(
    organization: &Organization,
    transport: Arc<dyn HttpTransport>,
    tokens: Arc<dyn TokenSource>,
    limiter: RateLimiter,
    path_secrets: PathSecrets,
) -> Client {
    of(
        organization,
        WithoutSecrets::new(transport, path_secrets),
        tokens,
        limiter,
    )
}

/// The same with the path secrets in what it gets, for comparing them.
pub(crate) fn client_with_secrets(
    organization: &Organization,
    transport: Arc<dyn HttpTransport>,
    tokens: Arc<dyn TokenSource>,
    limiter: RateLimiter,
    path_secrets: PathSecrets,
) -> Client {
    let transport = WithoutSecrets::in_refusals_alone(transport, path_secrets);
    of(organization, transport, tokens, limiter)
}

fn of(
    organization: &Organization,
    transport: WithoutSecrets<Arc<dyn HttpTransport>>,
    tokens: Arc<dyn TokenSource>,
    limiter: RateLimiter,
) -> Client {
    let transport = RateLimited::new(Authenticated::new(transport, tokens), limiter);
    Client::new(transport, organization.id.clone())
}
