//! Where a token comes from, and how to notice that it is another one.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Secret;

/// Something that has a token now, and perhaps another one later.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// The token to use now.
    async fn token(&self) -> Result<Secret, CredentialsError>;

    /// Differs from an earlier value when the token has changed in between, and only then.
    ///
    /// After a 401 it is pointless to ask again with the same token. Keep the generation from *before* the request, and
    /// send the next one when this returns another: a token that was replaced while the request was under way is then
    /// noticed at once.
    ///
    /// While there is no usable token, the generation stays what it was.
    async fn generation(&self) -> Generation;

    /// Hears that the API refused a token of this source, which may then get another one. By default, nothing is done.
    async fn refused(&self, token: &Secret) {
        let _ = token;
    }
}

#[async_trait]
impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    async fn token(&self) -> Result<Secret, CredentialsError> {
        (**self).token().await
    }

    async fn generation(&self) -> Generation {
        (**self).generation().await
    }

    async fn refused(&self, token: &Secret) {
        (**self).refused(token).await;
    }
}

/// Tells one token of a source from the next, without showing either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// There is no usable token. The message names the source of it and never its content.
#[derive(Clone, Debug)]
pub struct CredentialsError {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CredentialsError {
    /// An error that says what is wrong with which source.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    pub(super) fn from_source(source: http::header::InvalidHeaderValue) -> Self {
        Self::new("token cannot be put into a header").with_source(source)
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for CredentialsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// A token that stays what it is until the program ends.
#[derive(Clone, Debug)]
pub struct StaticToken(Secret);

impl StaticToken {
    /// Takes the token; white space around it is dropped.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self(Secret::new(token.into().expose().trim()))
    }
}

#[async_trait]
impl TokenSource for StaticToken {
    async fn token(&self) -> Result<Secret, CredentialsError> {
        Ok(self.0.clone())
    }

    async fn generation(&self) -> Generation {
        Generation::default()
    }
}
