//! What the worker can take, and what it costs: the real binary as a process, on loopback.
//!
//! The load comes from the same machine, so every figure is a ratio of two things that were done by turns.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod api;
mod backlog;
mod faults;
mod latency;
mod load;
mod no_store;
mod pages;
mod place;
mod postgres;
mod rate;
mod story;
mod whole;

use std::process::ExitCode;

use benches::Table;

fn main() -> ExitCode {
    // A part that could not be measured is told in one line, whatever RUST_BACKTRACE is.
    run().unwrap_or_else(|error| {
        println!("failed: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // The same program is the worker that stores nothing.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        runtime.block_on(no_store::serve())?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<ExitCode> {
    // Parts of it by their names: `cargo bench --package benches --bench worker -- rate`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let is_wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let mut table = Table::new("the worker, on two cores with whoever sends");
    // Only when it is asked for, since it takes half an hour and a server.
    if named.iter().any(|name| name == "postgres") {
        let is_wanted = |part: &str| named.len() == 1 || named.iter().any(|name| name == part);
        postgres::measure(&mut table, is_wanted).await?;
        return Ok(table.verdict());
    }
    if is_wanted("rate") {
        rate::measure(&mut table).await?;
    }
    if is_wanted("backlog") {
        backlog::measure(&mut table).await?;
    }
    if is_wanted("pages") {
        pages::measure(&mut table).await?;
    }
    if is_wanted("story") {
        story::measure(&mut table).await?;
    }
    if is_wanted("whole") {
        whole::measure(&mut table).await?;
    }
    if is_wanted("latency") {
        latency::measure(&mut table).await?;
    }
    if is_wanted("faults") {
        faults::measure(&mut table).await?;
    }
    Ok(table.verdict())
}
