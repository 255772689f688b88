//! What commands print. A reader that goes away, as `head` does, is no failure: see [`Trouble`](super::with_store::Trouble).
//!
//! Whatever comes from outside is printed so that no character of it moves a cursor, colours a terminal or turns text
//! around. Only into a pipe or a file, or when a person asks for it, is a body printed as it is.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use super::table::Table;
use super::with_store::{End, Outcome};
use crate::shared::visible::{visible_json, visible_text};

/// A line for a person.
pub(super) fn say(line: &str) -> Outcome {
    lines([visible_text(line)])
}

/// Bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(End::Well)
}

/// A body, and the end of its line: as it is, unless it goes to a terminal and is not asked for as it is.
pub(super) fn body(body: &[u8], raw: bool) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    if raw || !io::stdout().is_terminal() {
        out.write_all(body)?;
    } else {
        out.write_all(visible_json(&String::from_utf8_lossy(body)).as_bytes())?;
    }
    if !body.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(End::Well)
}

/// A line for a person who reads along: what the command prints for programs is on the standard output.
#[expect(clippy::print_stderr, reason = "this is the command line")]
pub(super) fn remark(line: &str) {
    eprintln!("{}", visible_text(line));
}

/// A list; an empty one is nothing found.
pub(super) fn table(table: Table, as_json: bool) -> Outcome {
    if table.is_empty() {
        return Ok(End::Nothing);
    }
    if as_json {
        lines(table.objects().map(|row| visible_json(&row.to_string())))
    } else {
        lines(table.lines())
    }
}

/// How many of something were done something to.
pub(super) fn counted(count: u64, what: &str, done: &str) -> Outcome {
    match count {
        0 => Ok(End::Nothing),
        count => say(&format!("{} {done}", plural(count, what))),
    }
}

/// A number of things, such as `1 event` or `2 deliveries`.
pub(super) fn plural(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (count, Some(stem)) => format!("{count} {stem}ies"),
        (count, None) => format!("{count} {what}s"),
    }
}

/// Lines that are fit for a person already.
pub(super) fn lines(lines: impl IntoIterator<Item = String>) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(End::Well)
}
