//! What commands print.

use serde_json::Value;

use super::table::Table;
use super::with_store::End;

/// A line for a person.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn say(line: &str) -> End {
    println!("{line}");
    End::Well
}

/// A body, as it is.
pub(super) fn body(body: &[u8]) -> End {
    say(&String::from_utf8_lossy(body))
}

/// A list; an empty one is nothing found.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn table(table: Table, as_json: bool) -> End {
    if table.is_empty() {
        return End::Nothing;
    }
    if as_json {
        table.objects().for_each(|row: Value| println!("{row}"));
    } else {
        table.lines().iter().for_each(|line| println!("{line}"));
    }
    End::Well
}

/// How many events something was done to.
pub(super) fn counted(count: u64, done: &str) -> End {
    match count {
        0 => End::Nothing,
        1 => say(&format!("1 event {done}")),
        count => say(&format!("{count} events {done}")),
    }
}
