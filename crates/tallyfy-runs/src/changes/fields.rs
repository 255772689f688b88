//! Differences member by member, named by where they are.

use std::collections::BTreeSet;

use super::change::FieldChange;
use super::json::{Json, Members, Shape, same};

/// The deepest place that is named; what is different below it is reported there, whole.
const MAX_DEPTH: usize = 16;

/// The keys of both, in order.
pub(super) fn union<'a>(old: &'a Members<'_>, new: &'a Members<'_>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(AsRef::as_ref).collect()
}

/// The pointer to a member.
pub(super) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Adds what is different in a member: an object's members one by one, anything else whole.
pub(super) fn compare(
    pointer: &str,
    key: &str,
    a: Option<Json<'_>>,
    b: Option<Json<'_>>,
    found: &mut Vec<FieldChange>,
) {
    compare_within(&below(pointer, key), key, a, b, MAX_DEPTH, found);
}

fn compare_within(
    pointer: &str,
    key: &str,
    a: Option<Json<'_>>,
    b: Option<Json<'_>>,
    depth: usize,
    found: &mut Vec<FieldChange>,
) {
    if same(key, a, b) {
        return;
    }
    if let (Some(a), Some(b)) = (a, b)
        && depth > 0
        && let (Shape::Object(old), Shape::Object(new)) = (a.shape(), b.shape())
    {
        for key in union(&old, &new) {
            let (a, b) = (old.get(key).copied(), new.get(key).copied());
            compare_within(&below(pointer, key), key, a, b, depth - 1, found);
        }
        return;
    }
    found.push(FieldChange {
        pointer: pointer.to_owned(),
        from: a.map(Json::to_raw),
        to: b.map(Json::to_raw),
    });
}

/// Whether a member that has a kind of change of its own came in a form that this kind cannot tell.
pub(super) fn is_odd(key: &str, json: Option<Json<'_>>) -> bool {
    let Some(json) = json.filter(|json| !json.is_no_value()) else {
        return false;
    };
    match (key, json.shape()) {
        ("owner_id", shape) => !matches!(shape, Shape::Text(_) | Shape::Number(_)),
        ("prerun" | "taskdata", shape) => !matches!(shape, Shape::Object(_)),
        ("progress" | "whole_progress", Shape::Text(text)) => !text.parse::<f64>().is_ok_and(f64::is_finite),
        ("progress" | "whole_progress", shape) => !matches!(shape, Shape::Object(_) | Shape::Number(_)),
        (_, shape) => !matches!(shape, Shape::Text(_)),
    }
}
