//! What the command line sets.

use std::path::PathBuf;

/// What the command line sets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// The file; before the one that the environment names.
    pub config: Option<PathBuf>,
    /// What would be in the file, in its place.
    pub text: Option<String>,
    /// Keys with their values, and the flags that they are from.
    pub values: Vec<(&'static str, String, &'static str)>,
}

impl Flags {
    /// What would be in a file, for a program that has its configuration in itself. Paths are as they are written.
    pub fn of_text(toml: impl Into<String>) -> Self {
        Self {
            text: Some(toml.into()),
            ..Self::default()
        }
    }
}
