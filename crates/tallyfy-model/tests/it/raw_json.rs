//! Work on JSON text, held against fixtures.

use serde_json::Value;
use tallyfy_model::{REDACTED, indented, minified, without_guest_links};

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn only_the_texts_of_guest_links_are_replaced() {
    let body = include_str!("../fixtures/webhooks/task.json");
    let shown = value(&without_guest_links(body).unwrap());
    let mut expected = value(body);
    expected["guest-links"]["guest@example.com"]["link_for_guest"] = REDACTED.into();
    expected["this_task"]["assets"][0]["public_link"] = REDACTED.into();
    assert_eq!(shown, expected);
}

#[test]
fn layout_changes_no_value() {
    for (name, json) in crate::runs::ALL {
        let (Ok(plain), short, long) = (serde_json::from_str::<Value>(json), minified(json), indented(json)) else {
            continue;
        };
        assert_eq!(value(&short), plain, "{name}");
        assert_eq!(value(&long), plain, "{name}");
        assert_eq!(minified(&long), short, "{name}");
    }
}
