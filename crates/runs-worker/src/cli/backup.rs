//! `runs-worker backup` and `runs-worker restore`

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use runs_store::intake_log::{self, IntakeLogError, LogInspection};
use runs_store::{NewNotification, Position, SchedulingTime, Store, StoreError, StoreLocation};
use thiserror::Error;

use super::{FAILED, MISUSED, Settings, fail, print};
use crate::config::StoreConfig;
use crate::identity::identity;
use crate::{data_folder, telemetry};

/// How much of the intake log is brought into a copy in one transaction.
const BATCH: (usize, usize) = (256, 8 * 1024 * 1024);

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write; it must not be there yet
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A file that `backup` wrote
    file: PathBuf,
    /// Take a copy that lacks what was written last
    #[arg(long)]
    incomplete: bool,
}

#[derive(Debug, Error)]
enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] IntakeLogError),
    #[error("{}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

impl Backup {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let kept = match settings.kept() {
            Ok(kept) => kept,
            Err(error) => return fail(MISUSED, &error.to_string()),
        };
        let folder = kept.store.folder();
        if let Err(error) = in_a_file(&kept.store) {
            return fail(FAILED, &telemetry::chain(&error));
        }
        match back_up(&folder, &kept.intake.folders(&folder), &self.file).await {
            Ok(waiting) => said(&format!(
                "{} holds the store as it is now, and {waiting} notifications that were in the intake log alone",
                self.file.display()
            )),
            Err(error) => fail(FAILED, &telemetry::chain(&error)),
        }
    }
}

impl Restore {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let folder = match settings.kept() {
            Ok(kept) => match in_a_file(&kept.store) {
                Ok(()) => kept.store.folder(),
                Err(error) => return fail(FAILED, &telemetry::chain(&error)),
            },
            Err(error) => return fail(MISUSED, &error.to_string()),
        };
        match restore(&folder, self.file.clone(), self.incomplete).await {
            Ok(()) => said(&format!(
                "{} is restored from {}; start the worker",
                data_folder::location(&folder),
                self.file.display()
            )),
            Err(error) => fail(FAILED, &telemetry::chain(&error)),
        }
    }
}

/// A database has tools of its own for copies.
fn in_a_file(store: &StoreConfig) -> Result<(), StoreError> {
    if store.location()?.has_one_worker() {
        return Ok(());
    }
    let message = "the database is copied and restored by its own tools; see docs/postgresql.md";
    Err(StoreError::Refused(message.to_owned()))
}

fn said(text: &str) -> ExitCode {
    match print::say(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Everything that was acknowledged before this began is in the copy: what the log lets go of after it was looked at is in
/// the store, which is copied after that.
async fn back_up(folder: &Path, log_folders: &[PathBuf], to: &Path) -> Result<usize, BackupError> {
    if to.exists() {
        let message = format!("{} is there already", to.display());
        return Err(StoreError::Refused(message).into());
    }
    let location = data_folder::location(folder);
    if !folder.exists() {
        return Err(StoreError::Missing {
            path: folder.to_owned(),
        }
        .into());
    }
    let log = intake_log::inspect(log_folders)?;
    let unfinished = beside(to, ".unfinished");
    for left_over in [&unfinished, &beside(&unfinished, "-wal"), &beside(&unfinished, "-shm")] {
        drop(fs::remove_file(left_over));
    }
    let copied = copy(&location, log, &unfinished).await;
    drop(fs::remove_file(beside(&unfinished, ".lock")));
    let named = copied.and_then(|waiting| {
        fs::rename(&unfinished, to).map_err(BackupError::at(to))?;
        sync_name(to).map_err(BackupError::at(to))?;
        Ok(waiting)
    });
    if named.is_err() {
        drop(fs::remove_file(&unfinished));
    }
    named
}

async fn copy(location: &StoreLocation, log: Option<LogInspection>, to: &Path) -> Result<usize, BackupError> {
    location.copy_to(to.to_owned()).await?;
    let Some(log) = log else { return Ok(0) };
    let copy = StoreLocation::File(to.to_owned())
        .open(&identity(), SchedulingTime::by_wall_clock())
        .await?;
    let waiting = import(copy.as_ref(), &log).await;
    copy.close().await;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(BackupError::at(to))?;
    Ok(waiting?)
}

/// Brings what only the log holds into the copy.
async fn import(copy: &dyn Store, log: &LogInspection) -> Result<usize, StoreError> {
    let mut after = copy.imported(log.id).await?;
    let mut records = log.records(after).peekable();
    let mut imported = 0;
    while records.peek().is_some() {
        let (mut batch, mut bytes, mut through): (Vec<NewNotification>, usize, Position) = (Vec::new(), 0, after);
        while batch.len() < BATCH.0
            && bytes < BATCH.1
            && let Some((position, notification)) = records.next()
        {
            through = position;
            bytes += notification.body.len();
            batch.push(notification);
        }
        imported += batch.len();
        copy.import(log.id, after, batch, through, SchedulingTime::by_wall_clock())
            .await?;
        after = through;
    }
    Ok(imported)
}

async fn restore(folder: &Path, from: PathBuf, accept_incomplete: bool) -> Result<(), BackupError> {
    let location = data_folder::location(folder);
    let copy = StoreLocation::File(from.clone());
    if !from.exists() {
        return Err(StoreError::Missing { path: from }.into());
    }
    if let Some(verification) = copy.verify().await?
        && !verification.findings.is_empty()
        && !accept_incomplete
    {
        let message = format!("{}: {}", from.display(), verification.findings.join("; "));
        return Err(StoreError::Refused(message).into());
    }
    data_folder::make_private(folder).map_err(BackupError::at(folder))?;
    Ok(location
        .restore(from, accept_incomplete, SchedulingTime::by_wall_clock())
        .await?)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the name of a file as durable as what is in it.
fn sync_name(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}
