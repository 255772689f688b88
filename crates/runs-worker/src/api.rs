//! The API client of an organization: network, token, budget.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tallyfy_runs::Client;
use tallyfy_transport::{
    Authenticated, BuildError, HttpTransport, RateLimited, RateLimiter, ReqwestTransport, StaticToken, TokenFile,
    TokenSource,
};

use crate::config::{ApiConfig, Organization, TokenSetting};

/// The transport on the network.
pub(crate) fn network(config: &ApiConfig) -> Result<ReqwestTransport, BuildError> {
    ReqwestTransport::builder(config.base_url.clone())
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .max_response_bytes(config.max_response_bytes.get())
        .user_agent(concat!("runs-worker/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Where an organization's token comes from.
pub(crate) fn token_source(organization: &Organization) -> Arc<dyn TokenSource> {
    match &organization.token {
        TokenSetting::Inline(token) => Arc::new(StaticToken::new(token.expose_secret())),
        TokenSetting::File(file) => Arc::new(TokenFile::new(file.clone())),
    }
}

/// A client for one organization, with its token and within its budget.
pub(crate) fn client(
    organization: &Organization,
    transport: Arc<dyn HttpTransport>,
    tokens: Arc<dyn TokenSource>,
    limiter: RateLimiter,
) -> Client {
    Client::new(
        RateLimited::new(Authenticated::new(transport, tokens), limiter),
        organization.id.clone(),
    )
}
