//! Work on JSON text that changes nothing but what it is for: numbers, escapes and the order of keys stay as they came.

use serde_json::value::RawValue;

use crate::salvage;

/// What stands in the place of a guest link.
pub const REDACTED: &str = "[redacted]";

/// Members whose text lets whoever has it in without a login (API reference, section g.3), without case, hyphens and
/// underscores.
const GUEST_LINK_MEMBERS: [&str; 3] = ["guestlinks", "guestlink", "linkforguest"];

/// The deepest nesting that is looked into, or set out over lines.
const MAX_DEPTH: usize = 128;

/// Takes the white space between the tokens out of JSON text, so that it fits on one line.
///
/// ```
/// assert_eq!(tallyfy_model::minified("{ \"a\" :\n 1.50, \"b\": \" \\\" x\" }"), r#"{"a":1.50,"b":" \" x"}"#);
/// ```
pub fn minified(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if !matches!(character, ' ' | '\t' | '\n' | '\r') {
            out.push(character);
            in_string = character == '"';
        }
    }
    out
}

/// Sets JSON text out over indented lines, for a person to read.
///
/// ```
/// assert_eq!(tallyfy_model::indented(r#"{"a":[1.50,{}],"b":"x, y"}"#), "{\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"b\": \"x, y\"\n}");
/// ```
pub fn indented(json: &str) -> String {
    let json = minified(json);
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let new_line = |out: &mut String, depth: usize| {
        // Deeper down, the indentation would outgrow the text without bound.
        if depth <= MAX_DEPTH {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                if !matches!(characters.peek(), Some('}' | ']')) {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    new_line(&mut out, depth);
                }
                out.push(character);
            }
            ',' => {
                out.push(character);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                out.push(character);
                in_string = character == '"';
            }
        }
    }
    out
}

/// Writes JSON text again, minified, with every text inside a guest link member replaced by [`REDACTED`].
///
/// Names are compared without case, hyphens and underscores. Text is not searched: a link that somebody wrote into a
/// comment stays.
///
/// # Errors
/// If the text is not JSON, or nested more than 128 levels deep, which few readers of JSON would take.
pub fn without_guest_links(json: &str) -> Result<String, serde_json::Error> {
    // Checks the syntax, without recursion; the rest relies on it.
    serde_json::from_str::<&RawValue>(json)?;
    let json = minified(json);
    let mut out = String::with_capacity(json.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = json.as_str();
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_len(rest, first));
        rest = after;
        let secret = levels.last().is_some_and(|level| level.secret || level.secret_member);
        match first {
            '{' | '[' if levels.len() > MAX_DEPTH => return Err(serde::de::Error::custom("nested too deeply")),
            '{' | '[' => levels.push(Level {
                is_object: first == '{',
                name_is_next: first == '{',
                secret,
                secret_member: false,
            }),
            '}' | ']' => {
                levels.pop();
            }
            ',' => {
                if let Some(level) = levels.last_mut().filter(|level| level.is_object) {
                    level.name_is_next = true;
                    level.secret_member = false;
                }
            }
            '"' => match levels.last_mut().filter(|level| level.name_is_next) {
                Some(level) => {
                    level.name_is_next = false;
                    level.secret_member = is_guest_link(token);
                }
                None if secret => {
                    out.extend(["\"", REDACTED, "\""]);
                    continue;
                }
                None => {}
            },
            _ => {}
        }
        out.push_str(token);
    }
    Ok(out)
}

/// An object or an array that is being read.
struct Level {
    is_object: bool,
    /// Whether the next string is the name of a member.
    name_is_next: bool,
    /// Whether all that is in it is secret.
    secret: bool,
    /// Whether the member that is being read is.
    secret_member: bool,
}

fn is_guest_link(name: &str) -> bool {
    let name = salvage::from_str::<String>(name).unwrap_or_else(|_| name.to_owned());
    let name: String = name
        .chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    GUEST_LINK_MEMBERS.contains(&name.as_str())
}

fn token_len(text: &str, first: char) -> usize {
    match first {
        '"' => salvage::string_len(text),
        '-' | '0'..='9' => text.find(|c| !salvage::is_in_number(c)).unwrap_or(text.len()),
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(
            minified(" [ 1 , \"a \\\\\" , \"b\\\"  c\" ,\t1.50e3 ]\r\n"),
            r#"[1,"a \\","b\"  c",1.50e3]"#
        );
    }

    #[test]
    fn guest_links_go_and_everything_else_stays_as_it_came() {
        let body = r#"{"n": 1.50, "big": 12345678901234567890123, "ä\u00e4": [],
            "guest-links": {"a@b.example": {"link_for_guest": "https://go.tallyfy.com/guest/s3cret", "n": 7}},
            "deep": [{"link_for_guest": "https://x/s3cret"}]}"#;
        assert_eq!(
            without_guest_links(body).unwrap(),
            concat!(
                r#"{"n":1.50,"big":12345678901234567890123,"ä\u00e4":[],"#,
                r#""guest-links":{"a@b.example":{"link_for_guest":"[redacted]","n":7}},"#,
                r#""deep":[{"link_for_guest":"[redacted]"}]}"#
            )
        );
    }

    #[test]
    fn an_escaped_key_hides_nothing() {
        let redacted = without_guest_links(r#"{"\u0067uest-links":"s3cret"}"#).unwrap();
        assert!(!redacted.contains("s3cret"), "{redacted}");
    }

    #[test]
    fn a_key_that_is_no_text_is_passed_on() {
        let body = r#"{"\ud800":{"guest-links":"s3cret"}}"#;
        assert_eq!(
            without_guest_links(body).unwrap(),
            r#"{"\ud800":{"guest-links":"[redacted]"}}"#
        );
    }

    #[test]
    fn indentation_does_not_outgrow_the_text() {
        let deep = format!("{}1{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
        let shown = indented(&deep);
        assert!(shown.len() < 200_000, "{}", shown.len());
        assert_eq!(minified(&shown), deep);
    }

    #[test]
    fn what_cannot_be_looked_through_is_not_let_through() {
        let deep = format!("{}\"s3cret\"{}", "[".repeat(500), "]".repeat(500));
        assert!(without_guest_links(&deep).is_err());
        assert!(without_guest_links("{\"guest-links\":").is_err());
    }
}
