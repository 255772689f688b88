//! JSON text whose secrets are replaced.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::minify::minified;
use super::token::{Kind, Token, depth, tokens};

/// What stands in the place of a guest link.
pub const REDACTED: &str = "[redacted]";

/// Whether a member of this name holds links that let whoever has them in without a login (API reference, sections b.3 and
/// g.3): `guest-links`, `link_for_guest`, `guest_url`, `public_link`, `taskUrls`, and other spellings of these.
///
/// ```
/// use tallyfy_model::json_text::names_guest_links;
///
/// assert!(names_guest_links("guest-links") && names_guest_links("taskUrls"));
/// assert!(!names_guest_links("guests") && !names_guest_links("links"));
/// ```
pub fn names_guest_links(name: &str) -> bool {
    let name = plain_name(name);
    let has = |words: [&str; 2]| words.iter().any(|word| name.contains(word));
    matches!(name.as_str(), "taskurl" | "taskurls") || (has(["guest", "public"]) && has(["link", "url"]))
}

/// Whether a text is a link for a guest, whatever it is called: a URL with `guest` or `guests` as a part of its path, or
/// with a parameter whose name begins so.
fn is_guest_link(text: &str) -> bool {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let is_url = scheme.to_ascii_lowercase().starts_with("http") && !rest.contains(char::is_whitespace);
    let is_guest = |part: &str| {
        let part = part.to_ascii_lowercase();
        matches!(part.as_str(), "guest" | "guests") || part.starts_with("guest_") || part.starts_with("guest-")
    };
    let begins_so = |pair: &str| pair.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("guest"));
    let mut parameters = rest.split(['?', '#']).skip(1).flat_map(|query| query.split('&'));
    is_url && (rest.split(['/', '?', '#', '&', '=']).skip(1).any(is_guest) || parameters.any(begins_so))
}

/// The deepest nesting that is looked into: the server's own writer of JSON goes 512 levels deep, and there may be something
/// around what it wrote.
const MAX_DEPTH: usize = 600;

/// Writes JSON text again, minified, with every link for guests replaced by [`REDACTED`]: all texts inside a member that
/// [is called so](names_guest_links), and every text that is a URL with `guest` as a part of its path or the name of a
/// parameter.
///
/// A text that is itself JSON is looked through too. Other text is not searched: a link that somebody wrote into a comment
/// stays.
///
/// # Errors
/// If the text is not JSON, or nested more than 600 levels deep, which few readers of JSON would take.
pub fn without_guest_links(json: &str) -> Result<String, serde_json::Error> {
    let json = minified(json);
    if depth(&json) > MAX_DEPTH {
        return Err(serde::de::Error::custom("nested too deeply"));
    }
    redacted(&json, names_guest_links, |value, is_secret| match value.kind {
        Kind::String if is_secret || value.to_text().is_some_and(|text| is_guest_link(&text)) => {
            Some(Cow::Owned(format!("\"{REDACTED}\"")))
        }
        Kind::String => without_links_within(value).map(Cow::Owned),
        _ => None,
    })
}

/// A string that is itself JSON with guest links, as relays pass a body on, written again without them.
fn without_links_within(string: Token<'_>) -> Option<String> {
    // Few strings are JSON, and most of those that hold a link name it so.
    let inside = string.text.get(1..)?.trim_start_matches(' ');
    if !inside.starts_with(['{', '[', '\\']) {
        return None;
    }
    let text = string.to_text()?;
    let redacted = without_guest_links(&text)
        .ok()
        .filter(|shown| shown.contains(REDACTED))?;
    Some(serde_json::Value::String(redacted).to_string())
}

/// Writes JSON text again, with some values replaced and everything else as it was, white space included.
///
/// `is_secret` is asked for each member, by its [plain name](plain_name). All that is in such a member is secret, however deep. `replacement` gets each string, number and word
/// that is a value, with whether it is secret, and returns the JSON to write in its place, if any.
///
/// ```
/// use tallyfy_model::json_text::{Kind, redacted};
///
/// let shown = redacted(
///     r#"{ "Access-Token": ["s3cret"], "n": 1.50 }"#,
///     |name| name == "accesstoken",
///     |value, is_secret| (is_secret && value.kind == Kind::String).then(|| "\"…\"".into()),
/// )?;
/// assert_eq!(shown, r#"{ "Access-Token": ["…"], "n": 1.50 }"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// If the text is not JSON.
pub fn redacted<'a>(
    json: &'a str,
    is_secret: impl Fn(&str) -> bool,
    replacement: impl Fn(Token<'a>, bool) -> Option<Cow<'a, str>>,
) -> Result<String, serde_json::Error> {
    // Checks the syntax, without recursion; the rest relies on it.
    serde_json::from_str::<&RawValue>(json)?;
    let mut out = String::with_capacity(json.len());
    let mut levels = Levels::default();
    for token in tokens(json) {
        let is_value = levels.read(token, &is_secret);
        let written = is_value.then(|| replacement(token, levels.are_secret())).flatten();
        out.push_str(written.as_deref().unwrap_or(token.text));
    }
    Ok(out)
}

/// The objects and arrays around what is being read.
#[derive(Default)]
struct Levels(Vec<Level>);

struct Level {
    is_object: bool,
    /// Whether the next string is the name of a member.
    name_is_next: bool,
    /// Whether all that is in it is secret.
    is_secret: bool,
    /// Whether the member that is being read is.
    member_is_secret: bool,
}

impl Levels {
    fn are_secret(&self) -> bool {
        self.0
            .last()
            .is_some_and(|level| level.is_secret || level.member_is_secret)
    }

    /// Takes the next token in, and says whether it is a value.
    fn read(&mut self, token: Token<'_>, is_secret: impl Fn(&str) -> bool) -> bool {
        match token.kind {
            Kind::ObjectStart | Kind::ArrayStart => {
                let is_object = token.kind == Kind::ObjectStart;
                self.0.push(Level {
                    is_object,
                    name_is_next: is_object,
                    is_secret: self.are_secret(),
                    member_is_secret: false,
                });
                false
            }
            Kind::ObjectEnd | Kind::ArrayEnd => {
                self.0.pop();
                false
            }
            Kind::Comma => {
                if let Some(level) = self.0.last_mut().filter(|level| level.is_object) {
                    level.name_is_next = true;
                    level.member_is_secret = false;
                }
                false
            }
            Kind::String => match self.0.last_mut().filter(|level| level.name_is_next) {
                Some(level) => {
                    level.name_is_next = false;
                    let name = token.to_text().unwrap_or(Cow::Borrowed(token.text));
                    level.member_is_secret = is_secret(&plain_name(&name));
                    false
                }
                None => true,
            },
            Kind::Number | Kind::Word => true,
            Kind::Colon | Kind::Space | Kind::Foreign => false,
        }
    }
}

/// A name without case, hyphens, underscores and what else is neither letter nor digit.
///
/// ```
/// assert_eq!(tallyfy_model::json_text::plain_name("guest-Links"), "guestlinks");
/// ```
pub fn plain_name(name: &str) -> String {
    name.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_link_goes_by_its_name_or_by_its_shape() {
        let secret = [
            r#"{"Guest_Link":["s3cret"]}"#,
            r#"{"owners":{"users":[1],"taskUrls":{"a@b.example":"https:\/\/x\/s3cret"}}}"#,
            r#"{"assets":[{"public_link":"https://x/s3cret"}]}"#,
            r#"{"guest_url":"/s3cret","guestUrls":[["s3cret"]]}"#,
            r#"{"guests":[{"email":"a@b.example","link":"https://go.tallyfy.com/acme/guests/s3cret"}]}"#,
            r#"["HTTPS:\/\/go.tallyfy.com\/guest\/s3cret"," https://x/?a=1&guest_code=s3cret"]"#,
        ];
        for json in secret {
            let shown = without_guest_links(json).unwrap();
            assert!(!shown.contains("s3cret") && shown.contains(REDACTED), "{shown}");
        }
        let plain = r#"{"guests":["a@b.example"],"links":{"next":"https://x/runs?page=2"},"allow_guest_owners":true,"comment":"see https://x/guest/1 for more","link":"https://guest.example/a","guest":"https"}"#;
        assert_eq!(without_guest_links(plain).unwrap(), plain);
    }

    #[test]
    fn an_escaped_key_hides_nothing() {
        let redacted = without_guest_links(r#"{"\u0067uest-links":"s3cret"}"#).unwrap();
        assert!(!redacted.contains("s3cret"), "{redacted}");
    }

    #[test]
    fn json_in_a_string_is_looked_through_too() {
        let body = r#"{"body":"{\"guest-links\": {\"a@b.example\":\"s3cret\"},\"n\":1.50}","other":"{\"n\": 1}"}"#;
        assert_eq!(
            without_guest_links(body).unwrap(),
            r#"{"body":"{\"guest-links\":{\"a@b.example\":\"[redacted]\"},\"n\":1.50}","other":"{\"n\": 1}"}"#
        );
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
    fn what_cannot_be_looked_through_is_not_let_through() {
        let deep = format!("{}\"s3cret\"{}", "[".repeat(601), "]".repeat(601));
        assert!(without_guest_links(&deep).is_err());
        assert!(without_guest_links("{\"guest-links\":").is_err());
    }
}
