//! Lists the runs of an organization with how far each is, and what nobody has foreseen in them.
//!
//! `cargo run -p tallyfy-runs --example list_runs`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::model::Progress;
use tallyfy_runs::{Client, Include, ListRunsOptions, TryStreamExt as _};

pub(crate) async fn run(client: &Client) -> Result<(), Box<dyn Error>> {
    let options = ListRunsOptions::default().with_includes([Include::Tasks, Include::Tags]);
    let mut runs = client.list_runs(&options).into_stream();
    while let Some(run) = runs.try_next().await? {
        let percent = run.progress.get().and_then(Progress::percent).unwrap_or(0.0);
        println!(
            "{}  {percent:3.0} %  {}",
            run.id(),
            run.name.as_str().unwrap_or_default()
        );
        for surprise in run.surprises() {
            println!("    not understood: {} is {}", surprise.pointer, surprise.json);
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&account::client()?).await
}
