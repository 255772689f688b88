//! An event with fewer of the bodies of its webhooks, for a handler that takes less than others.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::TOO_LARGE;

/// How much a handler takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Most {
    /// So many bytes of bodies.
    OfBodies(usize),
    /// So many bytes of event, as far as leaving out bodies can make it fit.
    #[cfg_attr(
        not(any(feature = "nats", test)),
        expect(dead_code, reason = "only NATS has such a limit")
    )]
    OfEvent(usize),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    notifications: Vec<Notification<'a>>,
}

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The event without its oldest bodies, so that it keeps to `most`. Nothing else of it is another, to the byte. What is no
/// event of this form stays as it is.
pub(crate) fn with_fewer_bodies(event: &Bytes, most: Most) -> Bytes {
    match most {
        Most::OfEvent(most) if event.len() <= most => return event.clone(),
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(event) else {
        return event.clone();
    };
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        return event.clone();
    };
    let bodies: Vec<Range<usize>> = envelope
        .data
        .notifications
        .iter()
        .filter_map(|notification| place(text, notification.body?.get()))
        .collect();
    let omitted = omitted(event.len(), &bodies, most);
    if omitted == 0 {
        return event.clone();
    }
    let instead = format!(r#"null,"body_omitted":"{TOO_LARGE}""#);
    let mut written = String::with_capacity(event.len());
    let mut from = 0;
    for body in bodies.iter().take(omitted) {
        written.push_str(text.get(from..body.start).unwrap_or_default());
        written.push_str(&instead);
        from = body.end;
    }
    written.push_str(text.get(from..).unwrap_or_default());
    written.into()
}

/// Where a part of a text is in it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + part.len();
    (text.get(range.clone()) == Some(part)).then_some(range)
}

/// How many of the oldest are left out.
fn omitted(event: usize, bodies: &[Range<usize>], most: Most) -> usize {
    match most {
        Most::OfBodies(most) => {
            let mut room = most;
            let fit = bodies
                .iter()
                .rev()
                .take_while(|body| match room.checked_sub(body.len()) {
                    Some(rest) => {
                        room = rest;
                        true
                    }
                    None => false,
                });
            bodies.len() - fit.count()
        }
        Most::OfEvent(most) => {
            let instead = r#"null,"body_omitted":"""#.len() + TOO_LARGE.len();
            let mut size = event;
            let too_many = bodies.iter().take_while(|body| {
                let is_too_large = size > most;
                size = (size + instead).saturating_sub(body.len());
                is_too_large
            });
            too_many.count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"e1","data":{"run":{"name":"\u00fc","body":{"a":1},"n":1.50},"notifications":[{"id":"1","body":{"long":"0123456789012345678901234567890123456789"}},{"id":"2","body":null},{"id":"3","body":{"b":2}},{"id":"4","body":[3]}],"stale":true}}"#;

    fn with(most: Most) -> String {
        String::from_utf8(with_fewer_bodies(&Bytes::from_static(EVENT.as_bytes()), most).to_vec()).unwrap()
    }

    #[test]
    fn the_oldest_bodies_are_left_out_and_nothing_else_is_touched() {
        let first = r#"{"long":"0123456789012345678901234567890123456789"}"#;
        let omitted = r#"null,"body_omitted":"too large to be repeated""#;
        assert_eq!(with(Most::OfBodies(1000)), EVENT);
        assert_eq!(with(Most::OfBodies(20)), EVENT.replace(first, omitted));
        let two = EVENT
            .replace(first, omitted)
            .replace(r#""body":{"b":2}"#, &format!(r#""body":{omitted}"#));
        assert_eq!(with(Most::OfBodies(5)), two);
        let none = two.replace(r#""body":[3]"#, &format!(r#""body":{omitted}"#));
        assert_eq!(with(Most::OfBodies(0)), none);
    }

    #[test]
    fn an_event_fits_if_leaving_out_bodies_can_make_it() {
        assert_eq!(with(Most::OfEvent(EVENT.len())), EVENT);
        let smaller = with(Most::OfEvent(EVENT.len() - 1));
        assert!(
            smaller.len() < EVENT.len() && smaller.contains(r#""body":{"b":2}"#),
            "{smaller}"
        );
        assert_eq!(
            with(Most::OfEvent(10)).matches("body_omitted").count(),
            3,
            "as far as it goes"
        );
    }

    #[test]
    fn what_is_no_event_stays_as_it_is() {
        for text in ["", "null", "{}", r#"{"data":{"notifications":[1]}}"#, r#"{"data":{}}"#] {
            let event = Bytes::from_static(text.as_bytes());
            assert_eq!(with_fewer_bodies(&event, Most::OfBodies(0)), event, "{text}");
        }
    }
}
