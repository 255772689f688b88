//! Looks at a run several times and prints what has changed in between.
//!
//! `cargo run -p tallyfy-runs --example what_changed -- RUN_ID [LOOKS]`; ten looks by default, two seconds apart.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;
use std::time::Duration;

use tallyfy_runs::{GetRunOptions, changes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = account::client()?;
    let mut arguments = std::env::args().skip(1);
    let id = arguments.next().ok_or("which run? give its id")?;
    let looks: u32 = arguments.next().map_or(Ok(10), |looks| looks.parse())?;
    let mut before = client.get_run(id.as_str(), &GetRunOptions::default()).await?;
    for _ in 1..looks {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = client.get_run(id.as_str(), &GetRunOptions::default()).await?;
        for change in changes(&before, &after) {
            println!("{}", serde_json::to_string(&change)?);
        }
        before = after;
    }
    Ok(())
}
