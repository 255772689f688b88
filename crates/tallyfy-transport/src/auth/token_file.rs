//! A token that lives in a file, where a person or a secret manager replaces it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;

use super::{CredentialsError, Generation, Secret, TokenSource, check_token};

/// Far more than any token; a guard against a path that names something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A token that is read from a file each time it is needed; white space around it is dropped.
///
/// The file is read for every request instead of when its modification time changes: it is one small read beside a
/// request over the network, and no clock resolution, copied time stamp or swapped symbolic link can hide a new token.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    generation: Generation,
    token: Option<Secret>,
}

impl TokenFile {
    /// Names the file. It need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seen: Mutex::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn read(&self) -> Result<Secret, CredentialsError> {
        let name = format!("token file {}", self.path.display());
        let text = match self.read_text().await {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                return Err(CredentialsError::new(format!(
                    "{name} is no text in UTF-8; save it as such"
                )));
            }
            Err(cause) => return Err(CredentialsError::new(format!("{name} cannot be read")).with_source(cause)),
        };
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(CredentialsError::new(format!(
                "{name} is larger than {MAX_FILE_BYTES} bytes"
            )));
        }
        // An editor may put a byte-order mark before it.
        let token = text.trim_start_matches('\u{feff}').trim();
        check_token(token, &name)?;
        Ok(Secret::new(token))
    }

    async fn read_text(&self) -> io::Result<String> {
        let mut text = String::new();
        let file = tokio::fs::File::open(&self.path).await?;
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).await?;
        Ok(text)
    }

    fn note(&self, token: &Secret) -> Generation {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.token.as_ref().map(Secret::expose) != Some(token.expose()) {
            seen.generation = seen.generation.next();
            seen.token = Some(token.clone());
        }
        seen.generation
    }

    fn last_generation(&self) -> Generation {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).generation
    }
}

#[async_trait]
impl TokenSource for TokenFile {
    async fn token(&self) -> Result<Secret, CredentialsError> {
        let token = self.read().await?;
        self.note(&token);
        Ok(token)
    }

    async fn generation(&self) -> Generation {
        match self.read().await {
            Ok(token) => self.note(&token),
            Err(_) => self.last_generation(),
        }
    }
}
