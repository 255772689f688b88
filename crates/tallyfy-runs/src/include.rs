//! What can be fetched together with a run.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A value of the `with` parameter (API reference, section b.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Include {
    /// The template that the run was launched from.
    Checklist,
    /// The tasks.
    Tasks,
    /// The step of each task.
    TasksStep,
    /// The comments of each task.
    TasksThreads,
    /// The form fields of each task.
    TasksFormFields,
    /// The tags.
    Tags,
    /// The files.
    Assets,
    /// The task that comes next.
    NextTask,
    /// The form fields.
    FormFields,
    /// The fields of the kick-off form.
    KoFormFields,
    /// Named by the documentation, never shown.
    Permissions,
    /// Named by the documentation, never shown.
    TasksMeta,
    /// Named by the documentation, never shown.
    Stages,
    /// The folders that the run is in.
    Folders,
    /// Members who watch the run.
    MemberWatchers,
    /// Guests who watch the run.
    GuestWatchers,
    /// A value that is not among these. Made by [`str::parse`], which checks it.
    Other(OtherInclude),
}

/// A value of `with` that this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherInclude(String);

/// A text that cannot be a value of `with`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not something to include: expected letters, digits, `_`, `-` and `.`")]
pub struct InvalidInclude(String);

const KNOWN: [(&str, Include); 16] = [
    ("checklist", Include::Checklist),
    ("tasks", Include::Tasks),
    ("tasks.step", Include::TasksStep),
    ("tasks.threads", Include::TasksThreads),
    ("tasks.form_fields", Include::TasksFormFields),
    ("tags", Include::Tags),
    ("assets", Include::Assets),
    ("next_task", Include::NextTask),
    ("form_fields", Include::FormFields),
    ("ko_form_fields", Include::KoFormFields),
    ("permissions", Include::Permissions),
    ("tasks_meta", Include::TasksMeta),
    ("stages", Include::Stages),
    ("folders", Include::Folders),
    ("member_watchers", Include::MemberWatchers),
    ("guest_watchers", Include::GuestWatchers),
];

impl Include {
    /// The value as the API takes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(other) => &other.0,
            known => KNOWN
                .iter()
                .find(|(_, include)| include == known)
                .map_or("", |(text, _)| text),
        }
    }
}

impl FromStr for Include {
    type Err = InvalidInclude;

    fn from_str(text: &str) -> Result<Self, InvalidInclude> {
        if let Some((_, known)) = KNOWN.iter().find(|(known, _)| *known == text) {
            return Ok(known.clone());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(plain) {
            return Err(InvalidInclude(text.to_owned()));
        }
        Ok(Self::Other(OtherInclude(text.to_owned())))
    }
}

impl fmt::Display for Include {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_and_what_is_not_go_there_and_back() {
        for text in KNOWN
            .map(|(text, _)| text)
            .into_iter()
            .chain(["activities", "tasks.ko-form-fields"])
        {
            assert_eq!(text.parse::<Include>().unwrap().to_string(), text);
        }
        assert_eq!("tasks.step".parse(), Ok(Include::TasksStep));
    }

    #[test]
    fn what_would_change_the_query_is_refused() {
        for text in ["", "a,b", "a b", "a&b=c", "ä"] {
            assert!(text.parse::<Include>().is_err(), "{text}");
        }
    }
}
