//! What is found, and how it is told.

use std::process::ExitCode;

use runs_store::StoreError;
use serde::Serialize;
use serde_json::json;

use crate::cli::print;
use crate::cli::with_store::Outcome;
use crate::cli::{FAILED, MISUSED, WARNED};
use crate::shared::visible::{visible_json, visible_line};
use crate::telemetry;

/// The ids of findings, which stay the same.
pub(super) const IDS: [&str; 19] = [
    "configuration",
    "secret-files",
    "store",
    "workers",
    "database",
    "ports",
    "data-folder",
    "file-system",
    "free-space",
    "fsync",
    "budget",
    "secrets",
    "api",
    "clock",
    "token",
    "registrations",
    "webhooks",
    "handlers",
    "public-url",
];

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Ok,
    Warning,
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    /// Which of several: an organization or a handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    pub(super) severity: Severity,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether it is the configuration that is wrong: no command would do.
    #[serde(skip)]
    is_misconfiguration: bool,
}

impl Finding {
    fn new(id: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            id,
            subject: None,
            severity,
            message: message.into(),
            hint: None,
            is_misconfiguration: false,
        }
    }

    pub(super) fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Ok, message)
    }

    pub(super) fn warning(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, message)
    }

    pub(super) fn failure(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Failure, message)
    }

    /// Nothing works before the configuration is mended.
    pub(super) fn misconfiguration(id: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_misconfiguration: true,
            ..Self::failure(id, message)
        }
    }

    /// That the store cannot be used.
    pub(super) fn of_store(error: &StoreError) -> Self {
        let text = telemetry::chain(error);
        if error.is_misconfiguration() {
            Self::misconfiguration("store", text)
        } else {
            Self::failure("store", text)
        }
    }

    /// Which of several it is about.
    pub(super) fn of(mut self, subject: &impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// What to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let word = match self.severity {
            Severity::Ok => "ok",
            Severity::Warning => "warn",
            Severity::Failure => "FAIL",
        };
        let subject = self
            .subject
            .as_ref()
            .map(|subject| format!(" ({subject})"))
            .unwrap_or_default();
        let line = visible_line(&format!("{word:<5} {}{subject}: {}", self.id, self.message));
        let hint = self
            .hint
            .as_ref()
            .map(|hint| visible_line(&format!("      to do: {hint}")));
        std::iter::once(line).chain(hint)
    }
}

/// Everything that was found.
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        Self(findings)
    }

    fn worst(&self) -> Severity {
        self.0
            .iter()
            .map(|finding| finding.severity)
            .max()
            .unwrap_or(Severity::Ok)
    }

    pub(super) fn code(&self) -> ExitCode {
        if self.0.iter().any(|finding| finding.is_misconfiguration) {
            return ExitCode::from(MISUSED);
        }
        match self.worst() {
            Severity::Ok => ExitCode::SUCCESS,
            Severity::Warning => ExitCode::from(WARNED),
            Severity::Failure => ExitCode::from(FAILED),
        }
    }

    pub(super) fn print(&self, as_json: bool) -> Outcome {
        if as_json {
            let report = json!({"status": self.worst(), "findings": self.0});
            return print::lines([visible_json(&report.to_string())]);
        }
        print::lines(self.0.iter().flat_map(Finding::lines))
    }
}

/// How one thing stands, for commands that look at one thing alone.
pub(in crate::cli) enum Verdict {
    Well(String),
    Wrong(String),
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(in crate::cli) fn show(what: &str, verdict: &Verdict) {
    let (word, text) = match verdict {
        Verdict::Well(text) => ("ok", text),
        Verdict::Wrong(text) => ("FAIL", text),
    };
    println!("{word:<5} {what}: {text}");
}
