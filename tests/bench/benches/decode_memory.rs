//! How much memory a decoded run takes. In a program of its own, because counting takes time.

use std::process::ExitCode;

use benches::{Limit, Table, sample};
use peak_alloc::PeakAlloc;
use tallyfy_model::{NotARun, Run};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> Result<ExitCode, NotARun> {
    let json = sample::before();
    let mut table = Table::new(&format!("memory, a run of {} KB", json.len() / 1000));
    let before = HEAP.current_usage();
    let run = Run::from_json(&json)?;
    let held = HEAP.current_usage() - before;
    table.row(
        "a decoded run with its raw JSON, to the JSON",
        held as f64 / run.raw().len() as f64,
        Limit::AtMost(3.0),
    );
    Ok(table.verdict())
}
