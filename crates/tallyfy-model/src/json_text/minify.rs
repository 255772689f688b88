//! JSON text on one line.

use super::token::{Kind, tokens};

/// Takes the white space between the tokens out of JSON text, so that it fits on one line.
///
/// ```
/// assert_eq!(tallyfy_model::minified("{ \"a\" :\n 1.50, \"b\": \" \\\" x\" }"), r#"{"a":1.50,"b":" \" x"}"#);
/// ```
pub fn minified(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for token in tokens(json).filter(|token| token.kind != Kind::Space) {
        out.push_str(token.text);
    }
    out
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
}
