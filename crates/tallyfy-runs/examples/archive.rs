//! Archives a run, or takes it back from the archive.
//!
//! `cargo run -p tallyfy-runs --example archive -- RUN_ID`

mod account;

use std::error::Error;

use tallyfy_runs::{Client, GetRunOptions};

pub(crate) async fn run(client: &Client, id: &str) -> Result<(), Box<dyn Error>> {
    let run = client.get_run(id, &GetRunOptions::none()).await?;
    match run.is_archived() {
        true => client.activate_run(&run).await?,
        false => client.archive_run(&run).await?,
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let id = std::env::args().nth(1).ok_or("which run? give its id")?;
    run(&account::client()?, &id).await
}
