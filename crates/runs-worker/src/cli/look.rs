//! How the commands that look on print: colours on a terminal, marks that do not need them.

use std::io::{self, IsTerminal as _};

use crate::shared::visible::visible_line;
use crate::tell::{Sentence, Tone};

/// Whether what is printed may be coloured.
#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// On a terminal, unless `NO_COLOR` is set.
    pub(super) fn for_stdout() -> Self {
        Self(io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// A text in the colour of a tone.
    pub(super) fn tone(self, tone: Tone, text: &str) -> String {
        self.code(
            match tone {
                Tone::Good => "32",
                Tone::Quiet => "0",
                Tone::Warn => "33",
                Tone::Bad => "31",
            },
            text,
        )
    }

    /// A text that matters most.
    pub(super) fn strong(self, text: &str) -> String {
        self.code("1", text)
    }

    /// A text that matters least.
    pub(super) fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        let text = visible_line(text);
        match self.0 && code != "0" {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text,
        }
    }

    /// A line for a sentence.
    pub(super) fn sentence(self, sentence: &Sentence) -> String {
        format!(
            "{} {}",
            self.tone(sentence.tone, mark(sentence.tone)),
            visible_line(&sentence.text)
        )
    }
}

/// A mark for a tone.
pub(super) fn mark(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "●",
        Tone::Quiet => "○",
        Tone::Warn => "▲",
        Tone::Bad => "✖",
    }
}
