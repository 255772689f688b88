//! Prints the open tasks of a run and the e-mail addresses of those who are to do them.
//!
//! `cargo run -p tallyfy-runs --example open_tasks [RUN_ID]`; without an id, of the newest run.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::{Client, GetRunOptions, ListRunsOptions};

pub(crate) async fn run(client: &Client, id: Option<String>) -> Result<(), Box<dyn Error>> {
    let id = match id {
        Some(id) => id.into(),
        None => {
            let newest = client.list_runs(&ListRunsOptions::default()).per_page(1).next().await?;
            let newest = newest.and_then(|page| page.items.into_iter().next());
            newest.ok_or("there is no run")?.id().clone()
        }
    };
    let run = client.get_run(id, &GetRunOptions::default()).await?;
    let members = client.members().await?;
    println!("{}", run.name.as_str().unwrap_or("(unnamed)"));
    for task in run.open_tasks() {
        println!(
            "- {}: {}",
            task.title.as_str().unwrap_or("(untitled)"),
            members.emails(task).join(", ")
        );
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&account::client()?, std::env::args().nth(1)).await
}
