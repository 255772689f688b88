//! `runs-worker verify-store`

use std::path::PathBuf;
use std::process::ExitCode;

use runs_store::{StoreError, Verification, intake_log};

use super::check::{Verdict, show};
use super::{FAILED, MISUSED, NOTHING, Settings, fail};
use crate::telemetry;

pub(super) async fn run(settings: &Settings) -> ExitCode {
    let kept = match settings.kept() {
        Ok(kept) => kept,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let folder = kept.store.folder();
    let location = match kept.store.location() {
        Ok(location) => location,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let verified = if folder.exists() || !location.has_one_worker() {
        location.verify().await
    } else {
        Ok(None)
    };
    let is_absent = matches!(verified, Ok(None));
    let mut verdicts = store(verified, &location.to_string());
    verdicts.extend(intake(&kept.intake.folders(&folder)));
    if is_absent && verdicts.is_empty() {
        return fail(NOTHING, &format!("there is no store at {location}"));
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

fn intake(folders: &[PathBuf]) -> Option<(&'static str, Verdict)> {
    let found = match intake_log::inspect(folders) {
        Ok(found) => found?,
        Err(error) => return Some(("intake log", Verdict::Wrong(telemetry::chain(&error)))),
    };
    let shown: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let (shown, records) = (shown.join(", "), found.records);
    let notifications = if records == 1 { "notification" } else { "notifications" };
    let verdict = match found.damage.places {
        0 => Verdict::Well(format!("{shown} is whole, {records} {notifications} in it")),
        places => Verdict::Wrong(format!(
            "{shown} is damaged in {places} places, {} bytes; {records} {notifications} in it can be read",
            found.damage.bytes
        )),
    };
    Some(("intake log", verdict))
}
