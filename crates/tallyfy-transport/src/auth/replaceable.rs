//! A source in the place of which another one can be put.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{CredentialsError, Generation, Secret, TokenSource};

/// A token source that can be replaced while it is in use, when a configuration is read again for example.
#[derive(Clone)]
pub struct ReplaceableTokens(Arc<RwLock<Current>>);

#[derive(Clone)]
struct Current {
    source: Arc<dyn TokenSource>,
    /// As of the source itself, when it was last asked.
    seen: Generation,
    told: Generation,
}

impl ReplaceableTokens {
    /// Takes its tokens from this source for now.
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>) -> Self {
        Self(Arc::new(RwLock::new(Current {
            source,
            seen: Generation::default(),
            told: Generation::default(),
        })))
    }

    /// Takes its tokens from another source from now on. Its token counts as another one.
    pub fn replace(&self, source: Arc<dyn TokenSource>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let told = current.told.next();
        *current = Current {
            source,
            seen: Generation::default(),
            told,
        };
    }

    fn current(&self) -> Current {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl TokenSource for ReplaceableTokens {
    async fn token(&self) -> Result<Secret, CredentialsError> {
        self.current().source.token().await
    }

    async fn generation(&self) -> Generation {
        let asked = self.current().source;
        let generation = asked.generation().await;
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&asked, &current.source) && generation != current.seen {
            current.seen = generation;
            current.told = current.told.next();
        }
        current.told
    }

    async fn refused(&self, token: &Secret) {
        self.current().source.refused(token).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StaticToken;

    #[tokio::test]
    async fn another_source_is_another_token() {
        let tokens = ReplaceableTokens::new(Arc::new(StaticToken::new("old")));
        let before = tokens.generation().await;
        assert_eq!(tokens.generation().await, before);
        tokens.replace(Arc::new(StaticToken::new("new")));
        assert_eq!(tokens.token().await.unwrap().expose(), "new");
        let after = tokens.generation().await;
        assert_ne!(after, before);
        assert_eq!(tokens.generation().await, after);
    }
}
