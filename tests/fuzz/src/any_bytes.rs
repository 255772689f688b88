//! What holds for any bytes. The fuzz targets call these functions, and so does a test that replays the seeds.

use std::collections::BTreeMap;

use runs_store::intake_log::inspect;
use runs_store::{IntakeLog, IntakeLogError, IntakeLogSettings, NewNotification, NotificationHead, Position};
use runs_worker::config::{Flags, load};
use tallyfy_model::json_text::depth;
use tallyfy_model::{OrgId, Run, RunId, TaskId, Webhook, indented, minified};
use tallyfy_runs::changes;

/// Deeper than this, JSON is compared by its text, white space included.
const COMPARED_DEPTH: usize = 60;

/// What no JSON text holds.
const RECORD_SEPARATOR: u8 = 0x1e;

/// Where a configuration has a secret, and the secret.
const SECRET_MARK: &str = "@SECRET@";
const SECRET_KEYS: [&str; 5] = ["token", "client_secret", "webhook_secrets", "url", "password"];
const SECRET: &str = "c0rrect-h0rse-battery-staple-0123456789";

/// A run, if it decodes, is the text that it came from, and does not differ from itself.
pub fn run(bytes: &[u8]) {
    let Some(run) = decoded(bytes) else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(run.raw(), text.trim_matches([' ', '\t', '\r', '\n']));
    assert_eq!(serde_json::to_string(&run).ok().as_deref(), Some(run.raw()));
    for surprise in run.surprises() {
        assert!(surprise.pointer.starts_with('/'), "{surprise:?}");
    }
    assert!(run.to_value().is_object());
    assert!(changes(&run, &run).is_empty());
    for spaced in [minified(run.raw()), indented(run.raw())] {
        let spaced = decoded(spaced.as_bytes()).expect("white space is all that is different");
        assert_eq!(spaced.surprises(), run.surprises());
        if depth(run.raw()) < COMPARED_DEPTH {
            assert_eq!(
                serde_json::to_string(&changes(&run, &spaced)).ok().as_deref(),
                Some("[]")
            );
        }
    }
}

/// Of two runs, with the separator of RFC 7464 between them, each is the other with some changes, or with none.
pub fn two_runs(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == RECORD_SEPARATOR);
    let (Some(before), Some(after)) = (parts.next().and_then(decoded), parts.next().and_then(decoded)) else {
        return;
    };
    let (there, back) = (changes(&before, &after), changes(&after, &before));
    assert_eq!(there.is_empty(), back.is_empty(), "{there:?} and {back:?}");
    for changes in [there, back] {
        serde_json::to_string(&changes).expect("changes can be written");
    }
}

/// A webhook is read, or is not, the same each time, and what is taken out of it is short and plain.
pub fn webhook(bytes: &[u8]) {
    let Ok(webhook) = Webhook::parse(bytes) else {
        return;
    };
    assert_eq!(Webhook::parse(bytes).ok().as_ref(), Some(&webhook));
    let ids = [
        webhook.run.as_ref().map(RunId::as_str),
        webhook.task.as_ref().map(TaskId::as_str),
        webhook.org.as_ref().map(OrgId::as_str),
    ];
    for id in ids.into_iter().flatten() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(!id.is_empty() && id.len() <= 128 && id.bytes().all(is_plain), "{id:?}");
    }
    assert!(webhook.run.is_some() || webhook.task.is_some() || webhook.event.is_some());
    let Some(key) = &webhook.dedupe_key else {
        return;
    };
    assert!(!key.chars().any(char::is_control), "{key:?}");
    // A key says what is announced, not how the body is written.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with(['{', '[']) {
            let again = Webhook::parse(indented(text).as_bytes()).ok();
            let again = again.map(|again| (again.dedupe_key, again.says));
            assert_eq!(again, Some((Some(key.clone()), webhook.says)));
        }
    }
}

/// A file of the intake log is read as far as it is whole, the same each time, and what is kept beside it is kept. A file
/// that is none of the log is left as it is.
pub fn intake_log(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("intake-1.log");
    std::fs::write(&path, bytes).expect("there is room");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let read = runtime.expect("there is a thread").block_on(async {
        let read_once = open_and_read(folder.path()).await?;
        let read_twice = open_and_read(folder.path()).await?;
        let (kept, before) = read_twice.split_last().expect("something was kept");
        assert_eq!(before, read_once, "{kept} came in between");
        // An inspection from outside counts the same.
        let inspection = inspect(&[folder.path().to_owned()]).expect("the folder can be read");
        assert_eq!(inspection.map(|found| found.records), Some(read_twice.len() as u64));
        Ok::<_, IntakeLogError>(())
    });
    if let Err(error) = read {
        assert!(matches!(error, IntakeLogError::NotALog { .. }), "{error}");
        assert_eq!(std::fs::read(&path).ok().as_deref(), Some(bytes));
    }
}

/// Opens the log, keeps one more notification, and gives the ids of all that are in it.
async fn open_and_read(folder: &std::path::Path) -> Result<Vec<uuid::Uuid>, IntakeLogError> {
    let mut settings = IntakeLogSettings::new(vec![folder.to_owned()]);
    (settings.segment_bytes, settings.reserve_bytes) = (16 * 1024, 0);
    let log = IntakeLog::open(settings)?;
    let notification = NewNotification {
        id: uuid::Uuid::now_v7(),
        org: "acme".into(),
        subject: None,
        head: NotificationHead::default(),
        dedupe_key: None,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        body: bytes::Bytes::from_static(b"{}"),
    };
    log.append(notification).await?;
    let (mut after, mut ids) = (Position::START, Vec::new());
    loop {
        let batch = log.read(after, 100, usize::MAX).await?;
        ids.extend(batch.records.iter().map(|(_, found)| found.id));
        if batch.through <= after {
            break;
        }
        after = batch.through;
    }
    log.close().await;
    Ok(ids)
}

/// A configuration is taken or refused, the same each time, and neither shows a secret.
///
/// The file comes first, then the separator of RFC 7464, then variables of the environment, one in a line. The mark stands
/// for a secret.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, variables) = text.split_once(char::from(RECORD_SEPARATOR)).unwrap_or((&text, ""));
    let file = SECRET_KEYS.iter().fold(file.to_owned(), |file, key| {
        file.replace(&format!("{key} = \"{SECRET_MARK}\""), &format!("{key} = \"{SECRET}\""))
    });
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, file).expect("there is room");
    let mut flags = Flags::default();
    flags.config = Some(path);
    let mut environment: BTreeMap<String, String> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // A file of this machine is none of this.
    environment.retain(|name, _| !name.ends_with("_FILE"));
    for name in ["TALLYFY_TOKEN", "TALLYFY_WEBHOOK_SECRET"] {
        if let Some(value) = environment.get_mut(name) {
            *value = value.replace(SECRET_MARK, SECRET);
        }
    }
    let told = || match load(&flags, &environment, true) {
        Ok(loaded) => {
            // What is not meant to be a secret may be shown.
            format!("{:?}", loaded.organizations)
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            error.to_string()
        }
    };
    let first = told();
    assert_eq!(first, told());
    assert!(!first.contains(SECRET), "{first}");
    assert!(
        !first.contains(|letter: char| letter.is_control() && letter != '\n'),
        "{first:?}"
    );
}

fn decoded(bytes: &[u8]) -> Option<Run> {
    Run::from_json(std::str::from_utf8(bytes).ok()?).ok()
}
