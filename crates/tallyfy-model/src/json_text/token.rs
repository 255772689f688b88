//! The tokens of JSON text.

/// A piece of JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// How it is written; of a string, with its quotes.
    pub text: &'a str,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `:`
    Colon,
    /// `,`
    Comma,
    /// A string: a value, or the name of a member. One that is not closed goes to the end of the text.
    String,
    /// What begins like a number and has only characters that numbers have.
    Number,
    /// `true`, `false`, `null`, or what else is made of ASCII letters.
    Word,
    /// White space between other tokens, as much of it as stands together.
    Space,
    /// One character that JSON has no use for.
    Foreign,
}

/// Takes a text apart. Put together, the tokens are the text again, whether it is JSON or not.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { rest: text }
}

/// The tokens of a text, in their order.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.rest.as_bytes();
        let (kind, len) = match *bytes.first()? {
            b'"' => (Kind::String, string_len(bytes)),
            b'{' => (Kind::ObjectStart, 1),
            b'}' => (Kind::ObjectEnd, 1),
            b'[' => (Kind::ArrayStart, 1),
            b']' => (Kind::ArrayEnd, 1),
            b':' => (Kind::Colon, 1),
            b',' => (Kind::Comma, 1),
            b'-' | b'0'..=b'9' => (Kind::Number, len_while(bytes, is_in_number)),
            b' ' | b'\t' | b'\n' | b'\r' => (Kind::Space, len_while(bytes, is_space)),
            byte if byte.is_ascii_alphabetic() => (Kind::Word, len_while(bytes, |byte| byte.is_ascii_alphabetic())),
            _ => (Kind::Foreign, self.rest.chars().next()?.len_utf8()),
        };
        let (text, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(Token { kind, text })
    }
}

/// How many arrays and objects are around the innermost value: 0 for a text or a number alone.
///
/// ```
/// assert_eq!(tallyfy_model::json_text::depth(r#"{"a":[[],"[["]}"#), 3);
/// ```
pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokens(json) {
        match token.kind {
            Kind::ObjectStart | Kind::ArrayStart => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Kind::ObjectEnd | Kind::ArrayEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The length of the string that a text begins with, quotes included.
fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(rest) = bytes.get(at..) {
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
            break;
        };
        if rest.get(found) == Some(&b'"') {
            return at + found + 1;
        }
        // What follows a backslash ends nothing. Of a longer character, the other bytes are neither of the two.
        at += found + 2;
    }
    bytes.len()
}

fn len_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

fn is_in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds_and_texts(json: &str) -> Vec<(Kind, &str)> {
        tokens(json).map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn each_token_is_told_by_how_it_begins() {
        assert_eq!(
            kinds_and_texts("{\"a\\\"\\\\\" :\r\n [-1.50E+3,true]}\u{e4}"),
            [
                (Kind::ObjectStart, "{"),
                (Kind::String, "\"a\\\"\\\\\""),
                (Kind::Space, " "),
                (Kind::Colon, ":"),
                (Kind::Space, "\r\n "),
                (Kind::ArrayStart, "["),
                (Kind::Number, "-1.50E+3"),
                (Kind::Comma, ","),
                (Kind::Word, "true"),
                (Kind::ArrayEnd, "]"),
                (Kind::ObjectEnd, "}"),
                (Kind::Foreign, "\u{e4}"),
            ]
        );
    }

    #[test]
    fn a_string_ends_at_its_own_quote() {
        for (text, string) in [
            (r#""a"b"#, r#""a""#),
            (r#""\"" "#, r#""\"""#),
            (r#""\\""#, r#""\\""#),
            (r#""\\\"","#, r#""\\\"""#),
            (r#""ä\ä"x"#, r#""ä\ä""#),
            ("\"", "\""),
            ("\"\\", "\"\\"),
            ("\"\\\"", "\"\\\""),
        ] {
            assert_eq!(kinds_and_texts(text).first(), Some(&(Kind::String, string)), "{text}");
        }
    }

    #[test]
    fn a_string_says_what_its_escapes_stand_for() {
        let says = |text| tokens(text).next().and_then(Token::to_text);
        assert_eq!(says(r#""a""#).as_deref(), Some("a"));
        assert_eq!(says(r#""\u0061\/\ud800""#).as_deref(), Some("a/\u{fffd}"));
        for none in ["1", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\n\""] {
            assert_eq!(says(none), None, "{none:?}");
        }
    }

    #[test]
    fn depth_is_counted_without_recursion() {
        for (json, expected) in [("1", 0), ("[]", 1), (r#"[{"[":"{\"["}]"#, 2), ("]][", 1)] {
            assert_eq!(depth(json), expected, "{json}");
        }
        assert_eq!(depth(&"[".repeat(500_000)), 500_000);
    }

    proptest! {
        #[test]
        fn tokens_put_together_are_the_text(text in "([\\[\\]{}:,\"\\\\ \n0-9eE+.ä-]|true|\\PC){0,40}") {
            let again: String = tokens(&text).map(|token| token.text).collect();
            prop_assert_eq!(again, text);
        }
    }
}
