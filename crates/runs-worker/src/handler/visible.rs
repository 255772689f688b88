//! What others say, made safe to be shown: no character of it moves a cursor, colours a terminal or turns text around.

/// The text on one line, with what is invisible written out.
pub(crate) fn visible_line(text: &str) -> String {
    written_out(text, |_| false)
}

/// The text with its lines and tabs, and with what else is invisible written out.
pub(crate) fn visible_text(text: &str) -> String {
    written_out(text, |character| matches!(character, '\n' | '\t'))
}

fn written_out(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) && !is_kept(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Control characters (C0, C1, delete), line and paragraph separators, and what changes the direction of text.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_around_is_left() {
        let said = "Größe 1\u{1b}[31m\u{9b}2J\u{202e}evil\u{2066}\r\n\tnext\u{7f}";
        let shown = r"Größe 1\u{1b}[31m\u{9b}2J\u{202e}evil\u{2066}\u{d}";
        assert_eq!(visible_text(said), format!("{shown}\n\tnext\\u{{7f}}"));
        assert_eq!(visible_line(said), format!("{shown}\\u{{a}}\\u{{9}}next\\u{{7f}}"));
    }
}
