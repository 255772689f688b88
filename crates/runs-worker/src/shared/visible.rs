//! What others say, made safe to be shown: no character of it moves a cursor, colours a terminal or turns text around.

/// The text on one line, with what is invisible written out.
pub(crate) fn visible_line(text: &str) -> String {
    written_out(text, |_| false, |character, out| out.extend(character.escape_unicode()))
}

/// The text with its lines and tabs, and with what else is invisible written out.
pub(crate) fn visible_text(text: &str) -> String {
    written_out(text, is_layout, |character, out| out.extend(character.escape_unicode()))
}

/// JSON with its lines and tabs, and with what else is invisible as JSON escapes it: the same JSON, since such characters
/// stand in texts only.
pub(crate) fn visible_json(json: &str) -> String {
    written_out(json, is_layout, as_json)
}

/// The same for a line of the log, which may be coloured.
pub(crate) fn visible_log(line: &str, is_coloured: bool) -> String {
    let is_kept = |character| is_layout(character) || (is_coloured && character == '\u{1b}');
    written_out(line, is_kept, as_json)
}

fn as_json(character: char, out: &mut String) {
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

fn written_out(text: &str, is_kept: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) && !is_kept(character) {
            escape(character, &mut out);
        } else {
            out.push(character);
        }
    }
    out
}

fn is_layout(character: char) -> bool {
    matches!(character, '\n' | '\t')
}

/// Whether it is to be written out:
/// control characters (C0, C1, delete), line and paragraph separators, and what changes the direction of text.
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
        let json = visible_json(&format!("{{\n\"{said}\"}}"));
        assert_eq!(
            json,
            format!("{{\n\"Größe 1\\u001b[31m\\u009b2J\\u202eevil\\u2066\\u000d\n\tnext\\u007f\"}}")
        );
        assert_eq!(visible_line(said), format!("{shown}\\u{{a}}\\u{{9}}next\\u{{7f}}"));
    }
}
