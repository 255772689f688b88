//! What can be fetched together with something else: the values of the `with` parameter.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that cannot be a value of `with`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not something to include: expected letters, digits, `_`, `-` and `.`")]
pub struct InvalidInclude(String);

/// A value of `with` that this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherInclude(String);

impl OtherInclude {
    /// Takes what cannot change the rest of the query.
    fn new(text: &str) -> Result<Self, InvalidInclude> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(plain) {
            return Err(InvalidInclude(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Declares the values of `with` that an endpoint takes.
macro_rules! includes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that is not among these. Made by [`str::parse`], which checks it.
            Other(OtherInclude),
        }

        impl $name {
            /// The value as the API takes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(other) => &other.0,
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidInclude;

            fn from_str(text: &str) -> Result<Self, InvalidInclude> {
                Ok(match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(OtherInclude::new(text)?),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    )+};
}

includes! {
    /// What can be fetched together with a run (API reference, section b.1). The list of runs takes no watchers and none
    /// of those with a dot.
    Include {
        /// The template that the run was launched from.
        Checklist = "checklist",
        /// The tasks.
        Tasks = "tasks",
        /// The step of each task.
        TasksStep = "tasks.step",
        /// The comments of each task.
        TasksThreads = "tasks.threads",
        /// The form fields of each task.
        TasksFormFields = "tasks.form_fields",
        /// The tags.
        Tags = "tags",
        /// The files.
        Assets = "assets",
        /// The task that comes next.
        NextTask = "next_task",
        /// The form fields.
        FormFields = "form_fields",
        /// The fields of the kick-off form.
        KoFormFields = "ko_form_fields",
        /// Named by the documentation, never shown.
        Permissions = "permissions",
        /// Named by the documentation, never shown.
        TasksMeta = "tasks_meta",
        /// Named by the documentation, never shown.
        Stages = "stages",
        /// The folders that the run is in.
        Folders = "folders",
        /// Members who watch the run.
        MemberWatchers = "member_watchers",
        /// Guests who watch the run.
        GuestWatchers = "guest_watchers",
    }

    /// What can be fetched together with a task, and with the tasks of a run (API reference, sections c.1 and e.3). Which of
    /// them a list takes is not certain for all.
    TaskInclude {
        /// The step of the template.
        Step = "step",
        /// The comments.
        Threads = "threads",
        /// The comments, under another name.
        Comments = "comments",
        /// The files.
        Assets = "assets",
        /// The form fields with their answers.
        FormFields = "form_fields",
        /// What happened to the task.
        Activities = "activities",
        /// The run.
        Run = "run",
        /// The run with its template.
        RunChecklist = "run.checklist",
        /// The description, which lists leave out.
        Summary = "summary",
        /// The tags.
        Tags = "tags",
        /// The problems that were reported with it.
        Issues = "issues",
        /// How many comments it has.
        ThreadsCount = "threads_count",
        /// The kick-off form of its run; with hyphens here.
        KoFormFields = "ko-form-fields",
        /// The folders that it is in.
        Folders = "folders",
        /// The roles it is for; never shown.
        Roles = "roles",
        /// Members who watch it; never shown.
        MemberWatchers = "member_watchers",
        /// Guests who watch it; never shown.
        GuestWatchers = "guest_watchers",
    }

    /// What can be fetched together with a template (API reference, section c.4).
    TemplateInclude {
        /// The steps, with their form fields.
        Steps = "steps",
        /// The tags.
        Tags = "tags",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_and_what_is_not_go_there_and_back() {
        for text in ["checklist", "tasks.step", "activities", "tasks.ko-form-fields"] {
            assert_eq!(text.parse::<Include>().unwrap().to_string(), text);
        }
        assert_eq!("tasks.step".parse(), Ok(Include::TasksStep));
        assert_eq!("run.checklist".parse(), Ok(TaskInclude::RunChecklist));
    }

    #[test]
    fn what_would_change_the_query_is_refused() {
        for text in ["", "a,b", "a b", "a&b=c", "ä"] {
            assert!(text.parse::<Include>().is_err(), "{text}");
        }
    }
}
