//! Enumerations that the vendor extends without notice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lenient::{Field, Shape};
use crate::record::Inspect;

/// Declares an enum that keeps a value that it does not know, and writes back every value as it came.
macro_rules! open_enum {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that is not documented, as it came.
            Other(String),
        }

        impl $name {
            /// The value as the API writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                text.as_str().into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Shape for $name {
            fn from_text(text: &str) -> Field<Self> {
                if text.is_empty() { Field::Empty } else { Field::Value(text.into()) }
            }
        }

        impl Inspect for $name {}
    )+};
}

open_enum! {
    /// The status of a run (API reference, section d.1). Several words mean the same; see [`RunStatus::is_complete`].
    RunStatus {
        /// Under way.
        Active = "active",
        /// Under way, in webhooks.
        InProgress = "in-progress",
        /// All tasks done and the kick-off form submitted.
        Complete = "complete",
        /// The same, spelled as some endpoints do.
        Completed = "completed",
        /// A task has an open problem.
        Problem = "problem",
        /// The run has an open issue; its tasks are frozen until it is resolved.
        Issue = "issue",
        /// Past a deadline.
        Delayed = "delayed",
        /// Archived; `archived_at` is the reliable sign.
        Archived = "archived",
        /// Not launched yet.
        Draft = "draft",
    }

    /// Whether the kick-off form was submitted (API reference, section b.2).
    PrerunStatus {
        /// It was.
        Complete = "complete",
        /// It was, in another spelling.
        Completed = "completed",
    }

    /// What a template makes of its runs (API reference, section d.3).
    RunType {
        /// Tasks in an order.
        Procedure = "procedure",
        /// A form alone.
        Form = "form",
        /// A document.
        Document = "document",
    }

    /// What is to be done in a task (API reference, section d.4).
    TaskType {
        /// To be completed.
        Task = "task",
        /// To be approved or rejected.
        Approval = "approval",
        /// Completes itself at its deadline.
        Expiring = "expiring",
        /// An e-mail to be sent.
        Email = "email",
        /// An e-mail that sends itself at the deadline.
        ExpiringEmail = "expiring_email",
    }

    /// What is entered in a form field (API reference, section d.5).
    FieldType {
        /// A line of text.
        Text = "text",
        /// Text of several lines, possibly HTML.
        Textarea = "textarea",
        /// An e-mail address.
        Email = "email",
        /// A date, with or without a time.
        Date = "date",
        /// One of a few options, as its text.
        Radio = "radio",
        /// One of a list of options.
        Dropdown = "dropdown",
        /// Several of a list of options.
        Multiselect = "multiselect",
        /// A table.
        Table = "table",
        /// Members, guests and groups.
        Assignees = "assignees_form",
        /// Files.
        File = "file",
    }

    /// What a comment is (API reference, section d.5).
    ThreadLabel {
        /// A comment.
        Comment = "comment",
        /// A problem with the task, open until somebody resolves it.
        Problem = "problem",
        /// The end of a problem.
        Resolve = "resolve",
        /// A suggestion for the template.
        Improvement = "improvement",
        /// A piece of advice.
        Advice = "advice",
    }

    /// How a comment is shown (API reference, section d.5).
    ThreadState {
        /// To everybody.
        Open = "open",
        /// Not to guests.
        HideForGuests = "hide-for-guests",
        /// Folded.
        Collapsed = "collapsed",
    }

    /// Where the bytes of a file are (API reference, section d.5).
    AssetSource {
        /// At Tallyfy.
        Local = "local",
        /// Somewhere else.
        Url = "url",
    }

    /// The status of a task (API reference, section d.2). See [`TaskStatus::is_complete`].
    TaskStatus {
        /// Can be worked on.
        Active = "active",
        /// Waits for something before it.
        NotStarted = "not-started",
        /// Under way.
        InProgress = "in-progress",
        /// Done.
        Completed = "completed",
        /// Done, in another spelling.
        Complete = "complete",
        /// Hidden by a rule; cannot be completed.
        AutoSkipped = "auto-skipped",
        /// Past its deadline.
        Overdue = "overdue",
        /// Has an open problem.
        HasProblem = "hasproblem",
    }
}

fn says_complete(status: &str) -> bool {
    status.eq_ignore_ascii_case("complete") || status.eq_ignore_ascii_case("completed")
}

impl RunStatus {
    /// Whether the run is done, in either spelling and any case.
    pub fn is_complete(&self) -> bool {
        says_complete(self.as_str())
    }

    /// Whether the run is archived, in any case.
    pub fn is_archived(&self) -> bool {
        self.as_str().eq_ignore_ascii_case("archived")
    }
}

impl PrerunStatus {
    /// Whether the kick-off form was submitted, in either spelling.
    pub fn is_complete(&self) -> bool {
        says_complete(self.as_str())
    }
}

impl TaskStatus {
    /// Whether the task is done, in either spelling and any case.
    pub fn is_complete(&self) -> bool {
        says_complete(self.as_str())
    }

    /// Whether a rule hides the task, in any case.
    pub fn is_hidden(&self) -> bool {
        self.as_str().eq_ignore_ascii_case("auto-skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_knows_is_written_back_as_it_came() {
        for text in ["\"active\"", "\"complete\"", "\"completed\"", "\"quantum\""] {
            let status: RunStatus = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&status).unwrap(), text);
        }
        assert_eq!(
            RunStatus::from("quantum".to_owned()),
            RunStatus::Other("quantum".to_owned())
        );
    }

    #[test]
    fn both_spellings_are_complete() {
        assert!(RunStatus::Complete.is_complete() && RunStatus::Completed.is_complete());
        assert!(TaskStatus::Complete.is_complete() && TaskStatus::Completed.is_complete());
        assert!(RunStatus::from("Completed").is_complete() && TaskStatus::from("COMPLETE").is_complete());
        assert!(!RunStatus::Archived.is_complete());
        assert!(RunStatus::from("Archived").is_archived() && TaskStatus::from("Auto-Skipped").is_hidden());
    }
}
