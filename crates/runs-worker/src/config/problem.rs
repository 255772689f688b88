//! What is wrong with a configuration, said so that a person can mend it.

use crate::shared::visible::visible_line;
use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key that it is about, if it is about one.
    key: Option<String>,
    place: String,
    message: String,
}

/// Keys and names are repeated in what is said: whatever is in them must not command the terminal.
impl Problem {
    /// Something about a key of the configuration.
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let key = visible_line(&key.into());
        Self {
            place: key.clone(),
            key: Some(key),
            message: visible_line(&message.into()),
        }
    }

    /// Something about what is not a key.
    pub(crate) fn elsewhere(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: None,
            place: visible_line(&place.into()),
            message: visible_line(&message.into()),
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether it is about a key or about what is in it.
    pub(super) fn is_within(&self, outer: &str) -> bool {
        let rest = self.key().and_then(|key| key.strip_prefix(outer));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// The same with the place in words that a person finds it by.
    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: visible_line(&place.into()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// Why there is no usable configuration: everything that is wrong, as far as it can be told at once.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Everything that is wrong; at least one thing.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Vec<Problem>> for ConfigError {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::from(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [problem] => write!(formatter, "configuration: {problem}"),
            problems => {
                formatter.write_str("configuration:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(formatter, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
