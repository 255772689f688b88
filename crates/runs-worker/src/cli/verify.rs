//! `runs-worker verify-store`

use std::process::ExitCode;

use runs_store::sqlite::{self, Verification};
use runs_store::{StoreError, journal};

use super::check::{Verdict, show};
use super::{FAILED, MISUSED, NOTHING, Settings, fail};
use crate::{data_folder, telemetry};

pub(super) fn run(settings: &Settings) -> ExitCode {
    let kept = match settings.store() {
        Ok(kept) => kept,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let folder = kept.folder();
    let file = data_folder::store_file(&folder);
    let verified = if folder.exists() {
        sqlite::verify(&file)
    } else {
        Ok(None)
    };
    let is_absent = matches!(verified, Ok(None));
    let mut verdicts = store(verified, &file.display().to_string());
    verdicts.extend(kept.overflow_folder().as_deref().and_then(overflow));
    if is_absent && verdicts.is_empty() {
        return fail(NOTHING, &format!("there is no store at {}", file.display()));
    }
    for (what, verdict) in &verdicts {
        show(what, verdict);
    }
    if verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Wrong(_))) {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

fn store(verified: Result<Option<Verification>, StoreError>, shown: &str) -> Vec<(&'static str, Verdict)> {
    let verification = match verified {
        Ok(Some(verification)) => verification,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![("store", Verdict::Wrong(telemetry::chain(&error)))],
    };
    let Verification {
        held_by,
        findings,
        subjects,
        notifications,
        pending,
        events,
        deliveries,
        dead_letters,
        ..
    } = verification;
    if findings.is_empty() {
        let in_use = held_by
            .map(|holder| format!(" and in use by {holder}"))
            .unwrap_or_default();
        let text = format!(
            "{shown} is sound{in_use}: {subjects} runs and tasks, {notifications} notifications ({pending} pending), \
             {events} events, {deliveries} deliveries to do, {dead_letters} dead letters"
        );
        return vec![("store", Verdict::Well(text))];
    }
    let findings = findings.into_iter().map(Verdict::Wrong);
    findings.map(|finding| ("store", finding)).collect()
}

fn overflow(folder: &std::path::Path) -> Option<(&'static str, Verdict)> {
    let found = match journal::inspect(folder) {
        Ok(found) => found?,
        Err(error) => return Some(("overflow journal", Verdict::Wrong(telemetry::chain(&error)))),
    };
    let (path, waiting) = (found.path.display(), found.waiting);
    let verdict = match found.damage.places {
        0 => Verdict::Well(format!("{path} is whole, {waiting} notifications wait in it")),
        places => Verdict::Wrong(format!(
            "{path} is damaged in {places} places, {} bytes in all; {waiting} notifications in it are whole and are \
             stored when the worker starts",
            found.damage.bytes
        )),
    };
    Some(("overflow journal", verdict))
}
