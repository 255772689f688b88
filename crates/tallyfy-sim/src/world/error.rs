//! What the world refuses to do.

/// Why an operation on the world was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// There is no such thing. The API answers 404.
    #[error("no {what} with id {id}")]
    NotFound {
        /// The kind of thing: run, task, template, …
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// A value cannot be accepted. The API answers 422.
    #[error("{field}: {message}")]
    Invalid {
        /// The field at fault.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl WorldError {
    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound {
            what,
            id: id.to_owned(),
        }
    }

    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}
