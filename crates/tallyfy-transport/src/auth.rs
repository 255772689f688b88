//! A layer that signs every request with a bearer token.

mod acting_as;
mod client_credentials;
mod lifetime;
mod replaceable;
mod secret;
mod token_file;
mod token_source;
mod tokens;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};

use crate::{ErrorKind, HttpTransport, Request, Response, TransportError};

pub use client_credentials::ClientCredentials;
pub use replaceable::ReplaceableTokens;
pub use secret::Secret;
pub use token_file::TokenFile;
pub use token_source::{CredentialsError, Generation, StaticToken, TokenSource};
pub use tokens::Tokens;

/// Adds `Authorization: Bearer <token>` to every request, with the token that the source has at that moment.
///
/// When the source has no usable token, nothing is sent and the error is of the kind [`ErrorKind::Credentials`].
#[derive(Clone)]
pub struct Authenticated<T> {
    inner: T,
    tokens: Arc<dyn TokenSource>,
}

impl<T> Authenticated<T> {
    /// Wraps a transport.
    pub fn new(inner: T, tokens: Arc<dyn TokenSource>) -> Self {
        Self { inner, tokens }
    }
}

impl<T: fmt::Debug> fmt::Debug for Authenticated<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authenticated")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Authenticated<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let token = self.tokens.token().await;
        let signed = token.and_then(|token| Ok((bearer(&token)?, token)));
        let (header, token) = match signed {
            Ok(signed) => signed,
            Err(cause) => {
                let error = TransportError::new(ErrorKind::Credentials, request.method().clone(), request.path());
                return Err(error.with_source(cause));
            }
        };
        let response = self.inner.send(request.header(AUTHORIZATION, header)).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            self.tokens.refused(&token).await;
        }
        Ok(response)
    }
}

/// The server wants exactly one space in this header (API reference, a.2).
fn bearer(token: &Secret) -> Result<HeaderValue, CredentialsError> {
    check_token(token.expose(), "token")?;
    HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(CredentialsError::from_source)
}

/// Refuses a token that no header can carry, naming where it is from and not what it is.
fn check_token(token: &str, origin: &str) -> Result<(), CredentialsError> {
    if token.is_empty() {
        return Err(CredentialsError::new(format!("{origin} is empty")));
    }
    if ['"', '\'']
        .iter()
        .any(|quote| token.starts_with(*quote) || token.ends_with(*quote))
    {
        return Err(CredentialsError::new(format!(
            "{origin} is in quotes, which would be part of it; write it without them"
        )));
    }
    if token.starts_with("Bearer ") {
        return Err(CredentialsError::new(format!(
            "{origin} starts with \"Bearer\", expected the token alone"
        )));
    }
    match token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        None => Ok(()),
        Some(position) => Err(CredentialsError::new(format!(
            "{origin} has a space or another character that no token has, at position {}",
            position + 1
        ))),
    }
}
