//! JSON text, looked at without being turned into a tree: numbers keep every digit, and what is the same text on both
//! sides is not looked into.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use tallyfy_model::ApiTime;

use super::scan::{raw_members, unescaped};

/// The deepest nesting that is compared by what it means; below it, by its text.
const MAX_DEPTH: usize = 64;

/// How many envelopes around each other are taken off. One is known to occur.
const MAX_ENVELOPES: usize = 4;

/// Members that list people or groups. Their elements are ids in some answers and objects with ids in others.
const PEOPLE: [&str; 4] = ["users", "groups", "collaborators", "guests"];

/// Members that people write, where one spelling of a date is not as good as another.
const WRITTEN_BY_PEOPLE: [&str; 6] = ["name", "title", "original_title", "checklist_title", "summary", "label"];

/// Some JSON, with the envelope of an include taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(&'a str);

/// The members of an object. Of several with one key, the last counts.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// What some JSON is.
pub(super) enum Shape<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

impl<'a> Json<'a> {
    /// Takes JSON text that was parsed before.
    pub(super) fn new(text: &'a str) -> Self {
        let mut json = Self(text.trim());
        for _ in 0..MAX_ENVELOPES {
            match json.in_envelope() {
                Some(data) => json = Self(data),
                None => break,
            }
        }
        json
    }

    /// What is in `{"data": …}`, possibly with `meta`, which is how some endpoints wrap what others send bare.
    fn in_envelope(self) -> Option<&'a str> {
        let first_key = self.0.strip_prefix('{')?.trim_start();
        // Looked at before anything is parsed: nearly every object is told by its first key not to be an envelope.
        if !["\"data\"", "\"meta\"", "\"\\"]
            .iter()
            .any(|start| first_key.starts_with(start))
        {
            return None;
        }
        let mut data = None;
        for (key, value) in raw_members(self.0) {
            match key.as_ref() {
                "data" => data = Some(value.get()),
                "meta" => {}
                _ => return None,
            }
        }
        data
    }

    pub(super) fn text(self) -> &'a str {
        self.0
    }

    pub(super) fn shape(self) -> Shape<'a> {
        match self.0.as_bytes().first() {
            Some(b'{') => Shape::Object(
                raw_members(self.0)
                    .into_iter()
                    .map(|(key, value)| (key, Self::new(value.get())))
                    .collect(),
            ),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(self.0).unwrap_or_default();
                Shape::List(elements.into_iter().map(|element| Self::new(element.get())).collect())
            }
            Some(b'"') => Shape::Text(unescaped(self.0)),
            Some(b't') => Shape::Bool(true),
            Some(b'f') => Shape::Bool(false),
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number(self.0),
        }
    }

    /// The members of an object; none if it is none.
    pub(super) fn members(self) -> Members<'a> {
        match self.shape() {
            Shape::Object(members) => members,
            _ => Members::new(),
        }
    }

    /// The one thing that may stand alone or as the only element of a list; `None` for an empty list.
    pub(super) fn only(self) -> Option<Self> {
        match self.shape() {
            Shape::List(elements) if elements.len() < 2 => elements.into_iter().next(),
            _ => Some(self),
        }
    }

    /// The elements of a list, or of an object whose keys are positions, which is how PHP writes a list with gaps.
    pub(super) fn elements(self) -> Option<Vec<Json<'a>>> {
        match self.shape() {
            Shape::List(elements) => Some(elements),
            Shape::Object(members) => {
                // Under a name of its own, as one endpoint sends it.
                if let [list] = members.values().collect::<Vec<_>>().as_slice()
                    && let Shape::List(elements) = list.shape()
                {
                    return Some(elements);
                }
                let mut positions: Vec<(u64, Json<'a>)> = members
                    .into_iter()
                    .map(|(key, value)| Some((key.parse().ok()?, value)))
                    .collect::<Option<_>>()?;
                positions.sort_by_key(|(position, _)| *position);
                Some(positions.into_iter().map(|(_, value)| value).collect())
            }
            _ => None,
        }
    }

    /// A string, or a number as its digits.
    pub(super) fn as_id(self) -> Option<String> {
        match self.shape() {
            Shape::Text(text) if !text.is_empty() => Some(text.into_owned()),
            Shape::Number(number) => Some(number.to_owned()),
            _ => None,
        }
    }

    /// The string, or the number as its digits, under the first of these keys that has one.
    pub(super) fn id_under(members: &Members<'_>, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| members.get(*key)?.as_id())
    }

    /// Whether it is one of the forms in which "no value" is written where a scalar or an answer belongs (API
    /// reference, section c.7).
    pub(super) fn is_no_value(self) -> bool {
        match self.shape() {
            Shape::Null => true,
            Shape::Bool(value) => !value,
            Shape::Number(number) => canonical(number).is_some_and(|(_, digits, _)| digits.is_empty()),
            Shape::Text(text) => text.is_empty(),
            Shape::List(_) | Shape::Object(_) => self.is_nothing(MAX_DEPTH),
        }
    }

    /// Whether an include says nothing: `null`, `false` or another cleared scalar, where a list or an object belongs. That
    /// is not the same as an empty one.
    pub(super) fn is_untold(self) -> bool {
        !self.0.starts_with(['[', '{']) && self.is_no_value()
    }

    /// Whether it stands for a time, readable or not.
    pub(super) fn is_a_time(self) -> bool {
        match self.shape() {
            Shape::Text(text) => ApiTime::new(text).is_a_time(),
            _ => !self.is_no_value(),
        }
    }

    /// Whether it says no more than if it were not there: `null`, or a list or a map with nothing in it.
    pub(super) fn is_empty(self) -> bool {
        self.is_nothing(MAX_DEPTH)
    }

    fn is_nothing(self, depth: usize) -> bool {
        match self.shape() {
            Shape::Null => true,
            Shape::List(elements) => elements.is_empty(),
            Shape::Object(members) => {
                depth > 0
                    && members
                        .into_values()
                        .all(|member| member.is_nothing(depth.saturating_sub(1)))
            }
            Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => false,
        }
    }

    /// The JSON as a value of its own.
    pub(super) fn to_raw(self) -> Box<RawValue> {
        RawValue::from_string(tallyfy_model::minified(self.0)).unwrap_or_default()
    }
}

/// Whether two values of a member mean the same: the order of keys, envelopes, `[]` for an empty map, a number written
/// as a string, other spellings of a number, of an instant or of "complete", and members without a value make no
/// difference.
pub(super) fn same(key: &str, a: Option<Json<'_>>, b: Option<Json<'_>>) -> bool {
    same_within(key, a, b, MAX_DEPTH)
}

fn same_within(key: &str, a: Option<Json<'_>>, b: Option<Json<'_>>, depth: usize) -> bool {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(only), None) | (None, Some(only)) => return only.is_nothing(depth),
        (None, None) => return true,
    };
    if a.text() == b.text() {
        return true;
    }
    if depth == 0 {
        return false;
    }
    if PEOPLE.contains(&key)
        && let (Some(a), Some(b)) = (people(key, a), people(key, b))
    {
        return a.keys().eq(b.keys());
    }
    match (a.shape(), b.shape()) {
        (Shape::Number(a), Shape::Number(b)) => same_number(a, b),
        (Shape::Number(number), Shape::Text(text)) | (Shape::Text(text), Shape::Number(number)) => {
            text == number || (is_number(&text) && same_number(&text, number))
        }
        (Shape::Text(a), Shape::Text(b)) => {
            let is_status = key == "status" || key.ends_with("_status");
            a == b
                || (is_status && (a.eq_ignore_ascii_case(&b) || (is_complete(&a) && is_complete(&b))))
                || (!WRITTEN_BY_PEOPLE.contains(&key) && same_instant(&a, &b))
        }
        (Shape::List(a), Shape::List(b)) if a.len() == b.len() => a
            .into_iter()
            .zip(b)
            .all(|(a, b)| same_within("", Some(a), Some(b), depth - 1)),
        (Shape::Object(a), Shape::Object(b)) => {
            let keys: BTreeSet<&str> = a.keys().chain(b.keys()).map(AsRef::as_ref).collect();
            keys.into_iter()
                .all(|key| same_within(key, a.get(key).copied(), b.get(key).copied(), depth - 1))
        }
        (Shape::Bool(_), _) | (_, Shape::Bool(_)) => false,
        _ => a.is_nothing(depth) && b.is_nothing(depth),
    }
}

/// People or groups by their ids, with their names where they have one, if every element has an id. A guest is known by
/// the e-mail address, alone or among other members.
pub(super) fn people(key: &str, list: Json<'_>) -> Option<BTreeMap<String, Option<String>>> {
    let ids: &[&str] = match key {
        "guests" => &["email", "guest_id", "id"],
        _ => &["id", "user_id", "group_id", "email"],
    };
    if list.is_nothing(1) {
        return Some(BTreeMap::new());
    }
    list.elements()?
        .into_iter()
        .map(|element| match element.shape() {
            Shape::Object(members) => {
                Json::id_under(&members, ids).map(|id| (id, Json::id_under(&members, &["full_name", "name"])))
            }
            _ => element.as_id().map(|id| (id, None)),
        })
        .collect()
}

/// Whether a status says that something is done, in either spelling (API reference, section d).
pub(super) fn is_complete(status: &str) -> bool {
    status.eq_ignore_ascii_case("complete") || status.eq_ignore_ascii_case("completed")
}

fn same_instant(a: &str, b: &str) -> bool {
    let dated = |text: &str| (10..=40).contains(&text.len()) && text.as_bytes()[0].is_ascii_digit();
    if !dated(a) || !dated(b) {
        return false;
    }
    let (a, b) = (ApiTime::new(a), ApiTime::new(b));
    a.may_equal(&b) || a.timestamp().is_some_and(|a| b.timestamp() == Some(a))
}

fn is_number(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit() || byte == b'-')
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn same_number(a: &str, b: &str) -> bool {
    a == b || canonical(a).is_some_and(|a| canonical(b) == Some(a))
}

/// A number as sign, digits without zeros at either end, and the power of ten that they are multiplied by; none if that
/// power is beyond counting.
fn canonical(number: &str) -> Option<(bool, String, i64)> {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let significant = trimmed.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((false, significant, 0));
    }
    let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    Some((
        negative,
        significant,
        exponent.checked_add(dropped)?.checked_sub(fraction)?,
    ))
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
            ("null", "{\"a\":[],\"b\":{\"data\":null}}"),
            (
                r#"{"users":[7,8]}"#,
                r#"{"users":[{"id":"8"},{"user_id":7,"full_name":"x"}]}"#,
            ),
            ("1002", "\"1002\""),
            ("1.50", "1.5"),
            ("150", "1.5e2"),
            ("0", "-0.00"),
            ("12345678901234567890123", "12345678901234567890123.0"),
            ("\"complete\"", "\"completed\""),
            ("\"2026-01-31T09:00:00Z\"", "\"2026-01-31T09:00:00.000Z\""),
            ("\"2026-01-31 09:00:00\"", "\"2026-01-31T09:00:00Z\""),
            ("\"\\u00e4\"", "\"ä\""),
            ("\"Active\"", "\"active\""),
            ("\"2026-01-31T09:00:00.123456Z\"", "\"2026-01-31T09:00:00.000000Z\""),
            (
                r#"{"guests":["a@b.example"]}"#,
                r#"{"guests":[{"id":7,"email":"a@b.example"}]}"#,
            ),
        ] {
            assert!(same("status", Some(Json::new(a)), Some(Json::new(b))), "{a} and {b}");
            assert!(same("status", Some(Json::new(b)), Some(Json::new(a))), "{b} and {a}");
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
            ("1e99999999999999999999", "1e-99999999999999999999"),
            ("[null]", "[]"),
            (r#"{"users":[7]}"#, r#"{"users":[7,8]}"#),
            (r#"{"name":"complete"}"#, r#"{"name":"completed"}"#),
            (r#"{"title":"2026-01-31"}"#, r#"{"title":"2026-01-31 00:00:00"}"#),
            (r#"{"\ud800":1}"#, r#"{"\ud800":2}"#),
            ("-1", "1"),
        ] {
            assert!(!same("status", Some(Json::new(a)), Some(Json::new(b))), "{a} and {b}");
        }
    }

    #[test]
    fn envelopes_in_envelopes_do_not_use_up_the_stack() {
        let deep = |inside: &str| format!("{}{inside}{}", "{\"data\":".repeat(10_000), "}".repeat(10_000));
        let (one, two) = (deep("1"), deep("2"));
        assert!(!same("", Some(Json::new(&one)), Some(Json::new(&two))));
    }
}
