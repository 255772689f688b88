//! The kick-off form of a run, as an include.

use serde::de::{MapAccess, SeqAccess};

use crate::FormField;
use crate::lenient::{Field, Json, List, Map, Shape, is_position, out_of_envelope};
use crate::record::{Inspect, Surprise};

/// The kick-off form (API reference, section c.8). Whether the include of a run has the form of the other includes or
/// that of webhooks is not documented, so both are read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KickoffFields {
    /// Its fields, perhaps with their answers.
    Fields(List<FormField>),
    /// Its answers, by the aliases of the fields.
    Answers(Map<String, Json>),
}

impl Field<KickoffFields> {
    /// The fields; none if only answers came.
    pub fn iter(&self) -> impl Iterator<Item = &FormField> {
        let fields = match self.get() {
            Some(KickoffFields::Fields(fields)) => Some(fields),
            Some(KickoffFields::Answers(_)) | None => None,
        };
        fields.into_iter().flat_map(List::iter)
    }
}

impl KickoffFields {
    fn of(answers: Map<String, Json>) -> Self {
        if answers.iter().next().is_some() && answers.iter().all(|(key, _)| is_position(key)) {
            let field = |json: &Field<Json>| json.get().map_or(Field::Empty, Json::read);
            return Self::Fields(answers.iter().map(|(_, json)| field(json)).collect());
        }
        let named = ["form_fields", "ko_form_fields", "ko-form-fields"];
        let list = named.iter().find_map(|name| answers.get(*name));
        if let Some(list) = list.filter(|list| list.raw().starts_with('['))
            && let Field::Value(fields) = list.read()
        {
            return Self::Fields(fields);
        }
        Self::Answers(answers)
    }
}

impl Shape for KickoffFields {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(List::from_seq(seq)?.map(Self::Fields))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        out_of_envelope(map, |Enclosed(form)| form, Self::of)
    }
}

/// What is in the envelope.
struct Enclosed(KickoffFields);

impl Shape for Enclosed {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(KickoffFields::from_seq(seq)?.map(Self))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Ok(Map::from_map(map)?.map(|answers| Self(KickoffFields::of(answers))))
    }
}

impl Inspect for KickoffFields {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        match self {
            Self::Fields(fields) => fields.inspect(pointer, found),
            Self::Answers(answers) => answers.inspect(pointer, found),
        }
    }
}
