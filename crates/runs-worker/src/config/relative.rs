//! A path in the file is relative to the folder of the file, not to where the worker was started.

use std::path::{Path, absolute};

use config::{Map, Value, ValueKind};

use super::text::separated;

/// The keys that hold paths, wherever they are in the file.
const PATHS: [&str; 11] = [
    "data_dir",
    "path",
    "working_dir",
    "token_file",
    "client_secret_file",
    "webhook_secrets_file",
    "signing_keys_file",
    "credentials_file",
    "ca_file",
    "url_file",
    "password_file",
];

/// Tables whose keys are names that people choose.
const FREE: [&str; 2] = ["headers", "env"];

/// Makes the paths of a file's tables absolute.
pub(super) fn resolve(tables: &mut Map<String, Value>, file: &Path) {
    let Some(folder) = absolute(file).ok().and_then(|file| Some(file.parent()?.to_owned())) else {
        return;
    };
    in_table(tables, &folder);
}

fn in_table(table: &mut Map<String, Value>, folder: &Path) {
    for (key, value) in table.iter_mut() {
        match &mut value.kind {
            ValueKind::String(path) if PATHS.contains(&key.as_str()) => from(folder, path),
            ValueKind::String(paths) if key == "dirs" => {
                let mut dirs = separated(paths);
                dirs.iter_mut().for_each(|path| from(folder, path));
                *paths = dirs.join(",");
            }
            ValueKind::Array(list) if key == "dirs" => {
                for element in list {
                    if let ValueKind::String(path) = &mut element.kind {
                        from(folder, path);
                    }
                }
            }
            // A program without a slash is looked for in the folders of `PATH`.
            ValueKind::Array(list) if key == "command" => {
                if let Some(ValueKind::String(program)) = list.first_mut().map(|first| &mut first.kind)
                    && program.contains('/')
                {
                    from(folder, program);
                }
            }
            ValueKind::Array(list) => {
                for element in list {
                    if let ValueKind::Table(table) = &mut element.kind {
                        in_table(table, folder);
                    }
                }
            }
            ValueKind::Table(table) if key == "headers_file" => {
                for file in table.values_mut() {
                    if let ValueKind::String(path) = &mut file.kind {
                        from(folder, path);
                    }
                }
            }
            ValueKind::Table(table) if !FREE.contains(&key.as_str()) => in_table(table, folder),
            _ => {}
        }
    }
}

fn from(folder: &Path, path: &mut String) {
    if !path.is_empty() {
        *path = folder.join(&*path).display().to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    #[test]
    fn every_key_that_names_a_file_or_a_folder_is_known() {
        let names_one = |key: &str| key.ends_with("_file") || key.ends_with("_dir") || ["path", "dirs"].contains(&key);
        let known = |key: &str| PATHS.contains(&key) || ["dirs", "headers_file"].contains(&key);
        let keys = EXAMPLE.lines().filter_map(|line| {
            let (key, _) = line.trim_start_matches(['#', ' ']).split_once('=')?;
            key.trim().rsplit('.').next()
        });
        let found: Vec<&str> = keys.filter(|key| names_one(key)).collect();
        assert!(found.len() > PATHS.len(), "{found:?}");
        assert_eq!(found.iter().find(|key| !known(key)), None);
    }
}
