//! What was entered in a form field, by the field's type (API reference, section c.7).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, value};
use serde_json::{Number, Value};

use crate::lenient::{Field, Json, List, Map, Shape};
use crate::record::{Inspect, Surprise, record};
use crate::{ApiTime, Asset, FieldType, OptionId, Owners};

/// What was entered in a form field.
///
/// An answer that was cleared is [`Field::Empty`], whatever the type of its field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Of a `text`, `textarea` or `email` field. The server takes any scalar for it; a number is here as it is written.
    Text(String),
    /// Of a `date` field.
    Date(ApiTime),
    /// Of a `radio` field, which has only the text, or a `dropdown`.
    Choice(Choice),
    /// Of a `multiselect`: also those options that were not chosen may be here.
    Choices(List<Choice>),
    /// Of a `table`.
    Table(Table),
    /// Of an `assignees_form` field.
    Assignees(Owners),
    /// Of a `file` field.
    Files(List<Asset>),
    /// Of a field whose type is not known, or not among these.
    Other(Json),
}

record! {
    /// A chosen option.
    pub struct Choice or bare text {
        /// The option's id; a radio button has none.
        id: OptionId,
        /// The option's text; may have spaces around it.
        text: String,
        /// In a multiselect, whether it is chosen; an option that does not say so is not shown as chosen.
        selected: bool,
        /// Undocumented.
        value: Json,
        /// Undocumented.
        required: bool,
    }
}

/// A table, which comes by columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns, in their order.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// What names the column, in that form of the table in which something does.
    pub label: Option<String>,
    /// The cells from top to bottom; in the forms for one row, the one there is.
    pub cells: Vec<Field<String>>,
}

impl Answer {
    /// Reads an answer as what the type of its field says.
    pub fn read(field_type: Option<&FieldType>, json: &Json) -> Field<Self> {
        use FieldType as Type;
        if json.is_cleared() && field_type != Some(&Type::Table) {
            return Field::Empty;
        }
        match field_type {
            Some(Type::Text | Type::Textarea | Type::Email) => text(json).map(Self::Text),
            Some(Type::Date) => json.read().map(Self::Date),
            Some(Type::Radio | Type::Dropdown) => json.read::<OneOf<Choice>>().map(|choice| Self::Choice(choice.0)),
            Some(Type::Multiselect) => json.read::<SeveralOf<Choice>>().map(|choices| Self::Choices(choices.0)),
            Some(Type::Table) => json.read().map(Self::Table),
            Some(Type::Assignees) => json.read().map(Self::Assignees),
            Some(Type::File) => json.read::<SeveralOf<Asset>>().map(|files| Self::Files(files.0)),
            Some(Type::Other(_)) | None => Field::Value(Self::Other(json.clone())),
        }
    }

    /// The text of a text field, a date as it is written, or the text of a single choice.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Date(date) => Some(date.as_str()),
            Self::Choice(choice) => choice.text.as_str(),
            Self::Choices(_) | Self::Table(_) | Self::Assignees(_) | Self::Files(_) | Self::Other(_) => None,
        }
    }

    /// The text that a person reads: as [`as_str`](Self::as_str), and where the type of the field is not known, that of a
    /// string, of a number, or of what looks like a chosen option.
    ///
    /// ```
    /// use tallyfy_model::Run;
    ///
    /// let run = Run::from_json(r#"{"id":"r1","prerun":{"f1":{"id":2,"text":"Blue"}}}"#)?;
    /// assert_eq!(run.answers()[0].text().as_deref(), Some("Blue"));
    /// # Ok::<(), tallyfy_model::NotARun>(())
    /// ```
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let Self::Other(json) = self else {
            return self.as_str().map(Cow::Borrowed);
        };
        let choice = json.raw().starts_with('{').then(|| json.read::<Choice>().into_value());
        match choice {
            Some(choice) => choice?.text.into_value().map(Cow::Owned),
            None => text(json).into_value().map(Cow::Owned),
        }
    }

    /// The options that were chosen: of a multiselect those that say so, of a single choice that one.
    pub fn chosen(&self) -> impl Iterator<Item = &Choice> {
        let (one, several) = match self {
            Self::Choice(choice) => (Some(choice), None),
            Self::Choices(choices) => (None, Some(choices)),
            _ => (None, None),
        };
        let is_chosen = |choice: &&Choice| choice.selected == Field::Value(true);
        one.into_iter()
            .chain(several.into_iter().flat_map(List::iter).filter(is_chosen))
    }
}

impl Inspect for Answer {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        match self {
            Self::Choice(choice) => choice.inspect(pointer, found),
            Self::Choices(choices) => choices.inspect(pointer, found),
            Self::Assignees(owners) => owners.inspect(pointer, found),
            Self::Files(files) => files.inspect(pointer, found),
            Self::Table(table) => table.inspect(pointer, found),
            Self::Text(_) | Self::Date(_) | Self::Other(_) => {}
        }
    }
}

impl Inspect for Table {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        for (position, column) in self.columns.iter().enumerate() {
            for cell in &column.cells {
                cell.inspect(&format!("{pointer}/{position}"), found);
            }
        }
    }
}

/// Any scalar as the text that it is, or what an e-mail field holds verbatim: `{"value": …}`.
fn text(json: &Json) -> Field<String> {
    match json.raw().as_bytes() {
        [b'"', ..] => json.read(),
        [b'[', ..] => Field::unexpected(json.to_value()),
        [b'{', ..] => match json.to_value() {
            Value::Object(mut members) => match members.remove("value") {
                Some(Value::String(text)) => Field::Value(text),
                _ => Field::unexpected(json.to_value()),
            },
            odd => Field::unexpected(odd),
        },
        _ => Field::Value(json.raw().to_owned()),
    }
}

/// One thing, alone or in an array of its own.
struct OneOf<T>(T);

impl<T: Shape> Shape for OneOf<T> {
    fn from_number(number: Number) -> Field<Self> {
        T::from_text(&number.to_string()).map(Self)
    }

    fn from_text(text: &str) -> Field<Self> {
        T::from_text(text).map(Self)
    }

    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        let first: Option<Field<T>> = seq.next_element()?;
        let rest = Vec::<Value>::deserialize(value::SeqAccessDeserializer::new(seq))?;
        Ok(match first {
            Some(Field::Unexpected(json)) => Field::unexpected(std::iter::once(*json).chain(rest).collect::<Vec<_>>()),
            Some(first) => first.map(Self),
            None => Field::Empty,
        })
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Ok(T::from_map(map)?.map(Self))
    }
}

/// Several things, or one that is not in an array.
struct SeveralOf<T>(List<T>);

impl<T: Shape> Shape for SeveralOf<T> {
    fn from_text(text: &str) -> Field<Self> {
        T::from_text(text).map(|one| Self(List::of_one(one)))
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(List::from_seq(seq)?.map(Self))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Ok(T::from_map(map)?.map(|one| Self(List::of_one(one))))
    }
}

impl Shape for Table {
    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = seq.next_element::<Field<Json>>()? {
            columns.push(Column::of(column.get()));
        }
        Ok(Field::Value(Self { columns }))
    }
}

impl Column {
    /// One cell, a list of cells, or either under the column's name.
    fn of(json: Option<&Json>) -> Self {
        let named = json.filter(|json| json.raw().starts_with('{'));
        let named = named.and_then(|json| json.read::<Map<String, Json>>().into_value());
        if let Some(named) = named {
            let mut entries = named.iter();
            if let (Some((label, cells)), None) = (entries.next(), entries.next()) {
                let cells = cells_of(cells.get());
                return Self {
                    label: Some(label.clone()),
                    cells,
                };
            }
        }
        Self {
            label: None,
            cells: cells_of(json),
        }
    }
}

fn cells_of(json: Option<&Json>) -> Vec<Field<String>> {
    let cell = |json: Option<&Json>| json.map_or(Field::Empty, text);
    let list = json.filter(|json| json.raw().starts_with('['));
    match list.and_then(|json| json.read::<List<Json>>().into_value()) {
        Some(cells) => cells.elements().iter().map(|json| cell(json.get())).collect(),
        None => vec![cell(json)],
    }
}
