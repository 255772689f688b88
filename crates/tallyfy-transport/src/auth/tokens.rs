//! Whatever a token can be had from.

use std::fmt;
use std::sync::Arc;

use super::{ClientCredentials, Secret, StaticToken, TokenFile, TokenSource};

/// Where tokens come from: a text, a [`TokenFile`], [`ClientCredentials`], or any other [`TokenSource`].
///
/// ```
/// use tallyfy_transport::{TokenFile, Tokens};
///
/// let fixed: Tokens = "a personal access token".into();
/// let replaced_by_a_person: Tokens = TokenFile::new("/run/secrets/tallyfy-token").into();
/// # drop((fixed, replaced_by_a_person));
/// ```
#[derive(Clone)]
pub struct Tokens(Arc<dyn TokenSource>);

impl Tokens {
    /// Takes them from a source.
    pub fn from_source(source: impl TokenSource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The source.
    #[must_use]
    pub fn into_source(self) -> Arc<dyn TokenSource> {
        self.0
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens(…)")
    }
}

impl From<&str> for Tokens {
    fn from(token: &str) -> Self {
        Self::from_source(StaticToken::new(token))
    }
}

impl From<String> for Tokens {
    fn from(token: String) -> Self {
        Self::from_source(StaticToken::new(token))
    }
}

impl From<Secret> for Tokens {
    fn from(token: Secret) -> Self {
        Self::from_source(StaticToken::new(token))
    }
}

impl From<StaticToken> for Tokens {
    fn from(token: StaticToken) -> Self {
        Self::from_source(token)
    }
}

impl From<TokenFile> for Tokens {
    fn from(file: TokenFile) -> Self {
        Self::from_source(file)
    }
}

impl From<ClientCredentials> for Tokens {
    fn from(credentials: ClientCredentials) -> Self {
        Self::from_source(credentials)
    }
}

impl From<Arc<dyn TokenSource>> for Tokens {
    fn from(source: Arc<dyn TokenSource>) -> Self {
        Self(source)
    }
}
