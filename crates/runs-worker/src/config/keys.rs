//! Where in the tables a value is: `organizations[0].id`, for example.

use config::{Value, ValueKind};

/// Removes the value at a key, or what is around it where there is no such value. Whether anything was removed.
pub(super) fn leave_out(values: &mut Value, key: &str) -> bool {
    let mut key = key;
    while !key.is_empty() {
        if remove(values, key) {
            return true;
        }
        key = outer(key);
    }
    false
}

/// The key of what is around a value.
pub(super) fn outer(key: &str) -> &str {
    key.rfind(['.', '[']).map_or("", |end| &key[..end])
}

fn remove(values: &mut Value, key: &str) -> bool {
    let (outer_key, last) = match key.rfind(['.', '[']) {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => ("", key),
    };
    let Some(around) = find(values, outer_key) else {
        return false;
    };
    match &mut around.kind {
        ValueKind::Table(table) => table.shift_remove(last).is_some(),
        ValueKind::Array(list) => match last.trim_end_matches(']').parse::<usize>() {
            Ok(position) if position < list.len() => {
                list.remove(position);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// The value at a key.
pub(super) fn find<'a>(values: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let parts = key.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    parts
        .filter(|part| !part.is_empty())
        .try_fold(values, |value, part| match &mut value.kind {
            ValueKind::Table(table) => table.get_mut(part),
            ValueKind::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        })
}
