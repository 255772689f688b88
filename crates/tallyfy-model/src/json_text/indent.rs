//! JSON text over several lines.

use super::token::{Kind, tokens};

/// The deepest nesting that is set out over lines. Deeper down, the indentation would outgrow the text without bound.
const MAX_DEPTH: usize = 128;

/// Sets JSON text out over indented lines, for a person to read.
///
/// ```
/// assert_eq!(tallyfy_model::indented(r#"{"a":[1.50,{}],"b":"x, y"}"#), "{\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"b\": \"x, y\"\n}");
/// ```
pub fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = tokens(json).filter(|token| token.kind != Kind::Space).peekable();
    while let Some(token) = tokens.next() {
        match token.kind {
            Kind::ObjectStart | Kind::ArrayStart => {
                out.push_str(token.text);
                let is_empty = |kind| matches!(kind, Kind::ObjectEnd | Kind::ArrayEnd);
                if !tokens.peek().is_some_and(|next| is_empty(next.kind)) {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            Kind::ObjectEnd | Kind::ArrayEnd => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    new_line(&mut out, depth);
                }
                out.push_str(token.text);
            }
            Kind::Comma => {
                out.push_str(token.text);
                new_line(&mut out, depth);
            }
            Kind::Colon => out.push_str(": "),
            _ => out.push_str(token.text),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    if depth <= MAX_DEPTH {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minified;

    #[test]
    fn indentation_does_not_outgrow_the_text() {
        let deep = format!("{}1{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
        let shown = indented(&deep);
        assert!(shown.len() < 200_000, "{}", shown.len());
        assert_eq!(minified(&shown), deep);
    }
}
