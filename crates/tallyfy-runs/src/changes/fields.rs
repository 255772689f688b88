//! Differences member by member, named by where they are.

use std::collections::{BTreeMap, BTreeSet};

use super::change::FieldChange;
use super::json::{Json, Shape, same};

/// The deepest place that is named; what is different below it is reported there, whole.
const MAX_DEPTH: usize = 16;

/// The keys of both, in order.
pub(super) fn union<'a>(old: &'a BTreeMap<String, Json<'_>>, new: &'a BTreeMap<String, Json<'_>>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

/// The pointer to a member.
pub(super) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Adds what is different in a place: an object's members one by one, anything else whole.
pub(super) fn compare(pointer: &str, a: Option<Json<'_>>, b: Option<Json<'_>>, found: &mut Vec<FieldChange>) {
    compare_within(pointer, a, b, MAX_DEPTH, found);
}

fn compare_within(pointer: &str, a: Option<Json<'_>>, b: Option<Json<'_>>, depth: usize, found: &mut Vec<FieldChange>) {
    match (a, b) {
        (None, None) => return,
        (Some(a), Some(b)) if same(a, b) => return,
        // "No value" has many spellings, being left out among them.
        (Some(only), None) | (None, Some(only)) if matches!(only.shape(), Shape::Null) => return,
        (Some(a), Some(b)) if depth > 0 => {
            if let (Shape::Object(old), Shape::Object(new)) = (a.shape(), b.shape()) {
                for key in union(&old, &new) {
                    let (a, b) = (old.get(key).copied(), new.get(key).copied());
                    compare_within(&below(pointer, key), a, b, depth - 1, found);
                }
                return;
            }
        }
        _ => {}
    }
    found.push(FieldChange {
        pointer: pointer.to_owned(),
        from: a.map(Json::to_raw),
        to: b.map(Json::to_raw),
    });
}

/// Whether a member that has a kind of change of its own came in a form that this kind cannot tell.
pub(super) fn is_odd(key: &str, json: Option<Json<'_>>) -> bool {
    let Some(json) = json else {
        return false;
    };
    if json.is_empty() {
        return false;
    }
    match (key, json.shape()) {
        ("status" | "name", shape) => !matches!(shape, Shape::Text(_)),
        ("owner_id", shape) => !matches!(shape, Shape::Text(_) | Shape::Number(_)),
        ("prerun", shape) => !matches!(shape, Shape::Object(_)),
        ("progress", shape) => !matches!(shape, Shape::Object(_) | Shape::Number(_)),
        _ => false,
    }
}
