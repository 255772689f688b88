//! `runs-worker move`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use runs_store::moving::{Place, Progress, move_store};
use runs_store::{PostgresSettings, SchedulingTime, StoreError};

use super::{FAILED, MISUSED, fail, print};
use crate::{data_folder, telemetry};

#[derive(Debug, Args)]
pub(super) struct Move {
    /// Where the store is: `sqlite:FOLDER` for a data folder, `postgres://…`, or `@FILE` for a file that holds such a URL
    #[arg(long, value_name = "STORE")]
    from: String,
    /// Where it is to be, in the same words; nothing may be there yet
    #[arg(long, value_name = "STORE")]
    to: String,
    /// Certificates of the authorities that the database's certificate is to be of, in the place of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Move {
    pub(super) async fn run(self) -> ExitCode {
        let places = self
            .place("--from", &self.from)
            .and_then(|from| Ok((from, self.place("--to", &self.to)?)));
        let (from, to) = match places {
            Ok(places) => places,
            Err(message) => return fail(MISUSED, &message),
        };
        if matches!((&from, &to), (Place::File(_), Place::File(_))) {
            return fail(
                MISUSED,
                "both are files: `runs-worker backup` and `restore` bring a store to another folder",
            );
        }
        match moved(&from, &to).await {
            Ok(()) => ExitCode::SUCCESS,
            // Nothing was changed by these, and the same would be said again.
            Err(error @ (StoreError::Refused(_) | StoreError::Misconfigured { .. } | StoreError::Missing { .. })) => {
                fail(MISUSED, &telemetry::chain(&error))
            }
            Err(error) => {
                let message = format!(
                    "{}\n  run the same again: it goes on where it stopped",
                    telemetry::chain(&error)
                );
                fail(FAILED, &message)
            }
        }
    }

    fn place(&self, flag: &str, written: &str) -> Result<Place, String> {
        let read;
        let written = match written.strip_prefix('@') {
            Some(file) => {
                read = fs::read_to_string(file).map_err(|error| format!("{flag}: {file}: {error}"))?;
                read.trim()
            }
            None => written,
        };
        if written.starts_with("postgres://") || written.starts_with("postgresql://") {
            let mut settings = PostgresSettings::new(written);
            settings.ca_file.clone_from(&self.ca_file);
            return Ok(Place::Server(settings));
        }
        let folder = written
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path));
        match folder {
            Some(path) if !path.is_empty() => Ok(Place::File(file_of(Path::new(path)))),
            // What was written may hold a password.
            _ => Err(format!(
                "{flag} has to begin with sqlite: or postgres://, or name a file as @FILE"
            )),
        }
    }
}

/// The store that is meant: one in a data folder, or a file that is named itself.
fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        data_folder::store_file(path)
    } else {
        path.to_owned()
    }
}

async fn moved(from: &Place, to: &Place) -> Result<(), StoreError> {
    let style = ProgressStyle::with_template("{prefix:>13} {bar:40} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let tell = |progress: &Progress| {
        bar.set_prefix(progress.table);
        bar.set_length(progress.of);
        bar.set_position(progress.arrived);
    };
    let moved = move_store(from, to, SchedulingTime::by_wall_clock(), tell).await;
    bar.finish_and_clear();
    for (table, rows) in moved?.into_iter().filter(|(_, rows)| *rows > 0) {
        // A reader that goes away changes nothing of what was done.
        let _ = print::say(&format!("{rows:>9} {table}"));
    }
    print::remark(&format!(
        "moved from {from} to {to}; what the intake log still holds is imported by the worker that starts with the same data folder"
    ));
    Ok(())
}
