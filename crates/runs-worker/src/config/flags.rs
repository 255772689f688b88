//! What the command line sets.

use std::path::PathBuf;

/// What the command line sets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// The file; before the one that the environment names.
    pub config: Option<PathBuf>,
    /// Keys with their values, and the flags that they are from.
    pub values: Vec<(&'static str, String, &'static str)>,
}
