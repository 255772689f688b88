//! How long it takes to decode a run, and to tell what changed in one.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::process::ExitCode;

use benches::{Contestant, Limit, Table, Turns, plain, sample};
use tallyfy_model::{NotARun, Run};

const ROUNDS: usize = 800;

fn main() -> Result<ExitCode, NotARun> {
    let (old, new) = (sample::before(), sample::after());
    let (before, after) = (Run::from_json(&old)?, Run::from_json(&new)?);
    let turns = Turns::take(
        ROUNDS,
        [
            Contestant::new(|| Run::from_json(&old)),
            Contestant::new(|| serde_json::from_str::<plain::Run>(&old)),
            Contestant::new(|| serde_json::from_str::<serde_json::Value>(&old)),
            Contestant::new(|| tallyfy_runs::changes(&before, &after)),
        ],
    );
    let [run, plain, value, changes] = [0, 1, 2, 3];

    let mut table = Table::new(&format!(
        "time, a run of {} KB with {} tasks",
        old.len() / 1000,
        sample::TASKS
    ));
    table.row(
        "decode, raw JSON kept, to a plain derive",
        turns.ratio(run, plain),
        Limit::AtMost(1.25),
    );
    table.row(
        "serde_json::Value to decode",
        turns.ratio(value, run),
        Limit::AtLeast(1.6),
    );
    table.row(
        "what changed in five places, to decode",
        turns.ratio(changes, run),
        Limit::AtMost(2.0),
    );
    println!(
        "shortest: decode {:?}, plain derive {:?}, Value {:?}, what changed {:?}",
        turns.shortest(run),
        turns.shortest(plain),
        turns.shortest(value),
        turns.shortest(changes)
    );
    Ok(table.verdict())
}
