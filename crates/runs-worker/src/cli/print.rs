//! What commands print. A reader that goes away, as `head` does, is no failure: see [`Trouble`](super::with_store::Trouble).

use std::io::{self, BufWriter, Write as _};

use super::table::Table;
use super::with_store::{End, Outcome};

/// A line for a person.
pub(super) fn say(line: &str) -> Outcome {
    lines([line])
}

/// A body, as it is.
pub(super) fn body(body: &[u8]) -> Outcome {
    say(&String::from_utf8_lossy(body))
}

/// A line for a person who reads along: what the command prints for programs is on the standard output.
#[expect(clippy::print_stderr, reason = "this is the command line")]
pub(super) fn remark(line: &str) {
    eprintln!("{line}");
}

/// A list; an empty one is nothing found.
pub(super) fn table(table: Table, as_json: bool) -> Outcome {
    if table.is_empty() {
        return Ok(End::Nothing);
    }
    if as_json {
        lines(table.objects().map(|row| row.to_string()))
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

fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        writeln!(out, "{}", line.as_ref())?;
    }
    out.flush()?;
    Ok(End::Well)
}
