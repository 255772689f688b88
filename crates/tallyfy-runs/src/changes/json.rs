//! JSON text, looked at without being turned into a tree: numbers keep every digit, and what is the same text on both
//! sides is not looked into.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tallyfy_model::ApiTime;

/// The deepest nesting that is compared by what it means; below it, by its text.
const MAX_DEPTH: usize = 64;

/// Some JSON, with the envelope of an include taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(&'a str);

/// What some JSON is.
pub(super) enum Shape<'a> {
    Null,
    Bool,
    Number(&'a str),
    Text(String),
    List(Vec<Json<'a>>),
    Object(BTreeMap<String, Json<'a>>),
}

impl<'a> Json<'a> {
    /// Takes JSON text that was parsed before.
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim();
        // `{"data": …}`, possibly with `meta`, is how some endpoints wrap what others send bare.
        if text.starts_with('{')
            && let Some(members) = members(text)
            && let Some(data) = members.get("data")
            && members.keys().all(|key| key == "data" || key == "meta")
        {
            return Self::new(data.get());
        }
        Self(text)
    }

    pub(super) fn text(self) -> &'a str {
        self.0
    }

    pub(super) fn shape(self) -> Shape<'a> {
        match self.0.as_bytes().first() {
            Some(b'{') => Shape::Object(
                members(self.0)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(key, value)| (key, Self::new(value.get())))
                    .collect(),
            ),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(self.0).unwrap_or_default();
                Shape::List(elements.into_iter().map(|element| Self::new(element.get())).collect())
            }
            Some(b'"') => match serde_json::from_str(self.0) {
                Ok(text) => Shape::Text(text),
                // An escape that stands for no character: the text as it is written is all there is.
                Err(_) => Shape::Text(self.0.to_owned()),
            },
            Some(b't' | b'f') => Shape::Bool,
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number(self.0),
        }
    }

    /// The members of an object; none if it is none.
    pub(super) fn members(self) -> BTreeMap<String, Json<'a>> {
        match self.shape() {
            Shape::Object(members) => members,
            _ => BTreeMap::new(),
        }
    }

    /// The elements of a list, or of an object whose keys are positions; none if it is neither.
    pub(super) fn elements(self) -> Vec<Json<'a>> {
        match self.shape() {
            Shape::List(elements) => elements,
            Shape::Object(members) if members.keys().all(|key| key.bytes().all(|byte| byte.is_ascii_digit())) => {
                members.into_values().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn member(self, key: &str) -> Option<Json<'a>> {
        self.members().remove(key)
    }

    /// A string, or a number as its digits.
    pub(super) fn as_id(self) -> Option<String> {
        match self.shape() {
            Shape::Text(text) if !text.is_empty() => Some(text),
            Shape::Number(number) => Some(number.to_owned()),
            _ => None,
        }
    }

    /// Whether it is `null`, or another of the forms in which "no value" is written.
    pub(super) fn is_empty(self) -> bool {
        match self.shape() {
            Shape::Null => true,
            Shape::Text(text) => text.is_empty(),
            Shape::List(elements) => elements.is_empty(),
            Shape::Object(members) => members.is_empty(),
            Shape::Bool | Shape::Number(_) => false,
        }
    }

    /// The JSON as a value of its own.
    pub(super) fn to_raw(self) -> Box<RawValue> {
        RawValue::from_string(tallyfy_model::minified(self.0)).unwrap_or_default()
    }
}

fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

/// Whether two values mean the same: the order of keys, envelopes, `[]` for an empty map, a number written as a string,
/// other spellings of a number, of an instant or of "complete" make no difference.
pub(super) fn same(a: Json<'_>, b: Json<'_>) -> bool {
    same_within(a, b, MAX_DEPTH)
}

fn same_within(a: Json<'_>, b: Json<'_>, depth: usize) -> bool {
    if a.text() == b.text() {
        return true;
    }
    if depth == 0 {
        return false;
    }
    match (a.shape(), b.shape()) {
        (Shape::Number(a), Shape::Number(b)) => canonical(a) == canonical(b),
        (Shape::Number(number), Shape::Text(text)) | (Shape::Text(text), Shape::Number(number)) => {
            text == number || (is_number(&text) && canonical(&text) == canonical(number))
        }
        (Shape::Text(a), Shape::Text(b)) => a == b || same_word(&a, &b) || same_instant(&a, &b),
        (Shape::List(a), Shape::List(b)) => {
            a.len() == b.len() && a.into_iter().zip(b).all(|(a, b)| same_within(a, b, depth - 1))
        }
        (Shape::Object(a), Shape::Object(b)) => {
            a.len() == b.len()
                && a.into_iter()
                    .zip(b)
                    .all(|((a_key, a), (b_key, b))| a_key == b_key && same_within(a, b, depth - 1))
        }
        (Shape::List(list), Shape::Object(members)) | (Shape::Object(members), Shape::List(list)) => {
            list.is_empty() && members.is_empty()
        }
        (Shape::Null, Shape::Null) => true,
        _ => false,
    }
}

fn same_word(a: &str, b: &str) -> bool {
    let complete = |word: &str| word == "complete" || word == "completed";
    complete(a) && complete(b)
}

fn same_instant(a: &str, b: &str) -> bool {
    let dated = |text: &str| (10..=40).contains(&text.len()) && text.as_bytes()[0].is_ascii_digit();
    if !dated(a) || !dated(b) {
        return false;
    }
    let instant = |text: &str| ApiTime::new(text).timestamp();
    instant(a).is_some_and(|a| instant(b) == Some(a))
}

fn is_number(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit() || byte == b'-')
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// A number as sign, digits without zeros at either end, and the power of ten that they are multiplied by.
fn canonical(number: &str) -> (bool, String, i64) {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let dropped = digits.len() - trimmed.len();
    let significant = trimmed.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return (false, significant, 0);
    }
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let exponent = exponent.parse::<i64>().unwrap_or(i64::MAX);
    (
        negative,
        significant,
        exponent
            .saturating_add(length(dropped))
            .saturating_sub(length(fraction.len())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_thing_are_the_same() {
        for (a, b) in [
            (r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#),
            (r#"{"data":[1]}"#, "[1]"),
            (r#"{"data":{"id":1},"meta":{}}"#, r#"{"id":"1"}"#),
            ("[]", "{}"),
            ("1002", "\"1002\""),
            ("1.50", "1.5"),
            ("150", "1.5e2"),
            ("0", "-0.00"),
            ("12345678901234567890123", "12345678901234567890123.0"),
            ("\"complete\"", "\"completed\""),
            ("\"2026-01-31T09:00:00Z\"", "\"2026-01-31T09:00:00.000Z\""),
            ("\"2026-01-31 09:00:00\"", "\"2026-01-31T09:00:00Z\""),
            ("\"\\u00e4\"", "\"ä\""),
        ] {
            assert!(same(Json::new(a), Json::new(b)), "{a} and {b}");
            assert!(same(Json::new(b), Json::new(a)), "{b} and {a}");
        }
    }

    #[test]
    fn different_things_are_not() {
        for (a, b) in [
            ("1", "2"),
            ("12345678901234567890123", "12345678901234567890124"),
            ("1", "true"),
            ("null", "0"),
            ("\"a\"", "\"b\""),
            ("[1]", "[1,2]"),
            ("[]", "[1]"),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("\"2026-01-31T09:00:00Z\"", "\"2026-01-31T09:00:01Z\""),
            ("1e5", "1e6"),
            ("-1", "1"),
        ] {
            assert!(!same(Json::new(a), Json::new(b)), "{a} and {b}");
        }
    }
}
