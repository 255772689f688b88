//! What is entered in a field of a form.

use jiff::Timestamp;

use crate::write::Assignees;

/// What is entered in a field of a form; how it is written depends on the type of the field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Entry {
    /// A text, a date as the API takes it, or the text of an option.
    Text(String),
    /// The texts of several options, or the cells of a table's only row, column by column.
    Texts(Vec<String>),
    /// A date with its time.
    Time(Timestamp),
    /// People, for a field that asks for some.
    People(Assignees),
    /// Nothing: the answer is taken out.
    Cleared,
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Timestamp> for Entry {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl<const N: usize> From<[&str; N]> for Entry {
    fn from(texts: [&str; N]) -> Self {
        Self::Texts(texts.map(str::to_owned).to_vec())
    }
}

impl From<Vec<String>> for Entry {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl From<Assignees> for Entry {
    fn from(people: Assignees) -> Self {
        Self::People(people)
    }
}
