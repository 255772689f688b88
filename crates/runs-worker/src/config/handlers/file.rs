//! What a handler of the type `file` needs.

use std::path::{Path, PathBuf};

use super::HandlerTable;
use crate::config::told::Told;

impl HandlerTable {
    pub(super) fn file(&self, told: &mut Told<'_>) -> Option<PathBuf> {
        let Some(path) = &self.path else {
            told.problem("path", "is missing: where the lines go".to_owned());
            return None;
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.is_dir() {
            told.problem("path", format!("{} is a folder, expected a file", path.display()));
        } else if !folder.is_dir() {
            told.problem("path", format!("there is no folder {}", folder.display()));
        }
        Some(path.clone())
    }
}
