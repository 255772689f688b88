//! A change in a line, for a person.

use std::fmt;

use serde_json::value::RawValue;

use super::change::{Change, FieldChange, OwnerRef, TagRef, TaskRef};

/// The longest value that is shown, in characters.
const LONGEST: usize = 80;

/// One line, long values cut short: `task completed: Call (t1)`, `answer to Colour: "Gold" -> "Blue"`.
impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { from, to } => write!(out, "status: {} -> {}", word(from), word(to)),
            Self::Progress { from, to } => write!(out, "progress: {} -> {}", percent(*from), percent(*to)),
            Self::Name { from, to } => write!(out, "name: {} -> {}", word(from), word(to)),
            Self::Owner { from, to } => write!(out, "owner: {} -> {}", word(from), word(to)),
            Self::OwnerAdded { owner } => write!(out, "owner added: {owner}"),
            Self::OwnerRemoved { owner } => write!(out, "owner removed: {owner}"),
            Self::Completed { at } => write!(out, "completed{}", when(at)),
            Self::Reopened => out.write_str("reopened"),
            Self::Archived { at } => write!(out, "archived{}", when(at)),
            Self::Reactivated => out.write_str("reactivated"),
            Self::Date { field, from, to } => write!(out, "{field}: {} -> {}", word(from), word(to)),
            Self::TaskAdded { task } => write!(out, "task added: {task}"),
            Self::TaskRemoved { task } => write!(out, "task removed: {task}"),
            Self::TaskCompleted { task, at, by } => {
                let by = by.as_deref().map(|by| format!(" by {}", line(by))).unwrap_or_default();
                write!(out, "task completed: {task}{}{by}", when(at))
            }
            Self::TaskReopened { task } => write!(out, "task reopened: {task}"),
            Self::TaskChanged { task, fields } => {
                write!(out, "task changed: {task}")?;
                fields.iter().try_for_each(|field| write!(out, "; {field}"))
            }
            Self::Answer {
                field, label, from, to, ..
            } => {
                let name = label.as_deref().unwrap_or(field);
                write!(out, "answer to {}: {} -> {}", line(name), json(from), json(to))
            }
            Self::TagAdded { tag } => write!(out, "tag added: {tag}"),
            Self::TagRemoved { tag } => write!(out, "tag removed: {tag}"),
            Self::Other(field) => field.fmt(out),
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {} -> {}",
            line(&self.pointer),
            json(&self.from),
            json(&self.to)
        )
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(out, self.title.as_deref(), &self.id)
    }
}

impl fmt::Display for TagRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(out, self.title.as_deref(), &self.id)
    }
}

impl fmt::Display for OwnerRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ", self.r#type)?;
        named(out, self.name.as_deref(), &self.id)
    }
}

fn named(out: &mut fmt::Formatter<'_>, name: Option<&str>, id: &str) -> fmt::Result {
    match name {
        Some(name) => write!(out, "{} ({})", line(name), line(id)),
        None => out.write_str(&line(id)),
    }
}

fn when(at: &Option<String>) -> String {
    at.as_deref().map(|at| format!(" at {}", line(at))).unwrap_or_default()
}

fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "none".to_owned(), |percent| format!("{percent} %"))
}

fn word(text: &Option<String>) -> String {
    text.as_deref().map_or_else(|| "none".to_owned(), line)
}

fn json(value: &Option<Box<RawValue>>) -> String {
    value
        .as_ref()
        .map_or_else(|| "none".to_owned(), |value| line(value.get()))
}

/// One line, not longer than a person reads.
fn line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
