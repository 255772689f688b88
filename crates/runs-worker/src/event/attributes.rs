//! The attributes of a CloudEvent that say which run it is of, and which one of its events.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tallyfy_model::{OrgId, RunId};

/// What stands in a segment of a URI as it is: the unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The `source`, a URI reference. With the run in it, `sequence` orders the events of one source, as its specification
/// has it.
pub(super) fn source(org: &OrgId, run: &RunId) -> String {
    let segment = |id| utf8_percent_encode(id, SEGMENT);
    format!(
        "/organizations/{}/runs/{}",
        segment(org.as_str()),
        segment(run.as_str())
    )
}

/// The `sequence`: its specification orders it as text, so all have as many digits as the largest number there is.
pub(super) fn sequence(number: u64) -> String {
    format!("{number:020}")
}

/// An id as the value of an attribute. Characters that the specification forbids there are percent-encoded, and the percent
/// signs of such an id with them.
pub(super) fn text(id: &str) -> String {
    if !id.chars().any(is_forbidden) {
        return id.to_owned();
    }
    let mut text = String::with_capacity(id.len() * 3);
    for character in id.chars() {
        if is_forbidden(character) || character == '%' {
            let mut buffer = [0; 4];
            text.extend(utf8_percent_encode(
                character.encode_utf8(&mut buffer),
                NON_ALPHANUMERIC,
            ));
        } else {
            text.push(character);
        }
    }
    text
}

/// Whether no string of an attribute may have it (CloudEvents 1.0, section 2.2): controls, and what is no character.
fn is_forbidden(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_makes_no_attribute_that_the_specification_forbids() {
        let (org, run) = (OrgId::new("acme"), RunId::new("a/b c?%\u{1b}é"));
        assert_eq!(source(&org, &run), "/organizations/acme/runs/a%2Fb%20c%3F%25%1B%C3%A9");
        assert_eq!(text("50% é/b"), "50% é/b");
        assert_eq!(
            text("50%\u{1b}\u{85}\u{fdd0}\u{1ffff}é"),
            "50%25%1B%C2%85%EF%B7%90%F0%9F%BF%BFé"
        );
    }

    #[test]
    fn sequences_are_in_order_as_text() {
        let numbers = [1, 9, 10, 99, 100, u64::MAX];
        assert!(numbers.map(sequence).is_sorted());
        assert_eq!(sequence(10), "00000000000000000010");
        assert!(numbers.iter().all(|&number| sequence(number).len() == 20));
    }
}
