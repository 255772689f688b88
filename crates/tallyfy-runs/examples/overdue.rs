//! For each active run of a template that has an overdue task: comments on it, and tells its owners' e-mail addresses.
//!
//! `cargo run -p tallyfy-runs --example overdue -- TEMPLATE_ID`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::model::RunStatus;
use tallyfy_runs::{Client, Include, ListRunsOptions, Timestamp, TryStreamExt as _};

pub(crate) async fn run(client: &Client, template: &str) -> Result<usize, Box<dyn Error>> {
    let members = client.members().await?;
    let active = ListRunsOptions::default()
        .with_checklist(template)
        .with_status(RunStatus::Active);
    let mut runs = client.list_runs(&active.with_includes([Include::Tasks])).into_stream();
    let mut overdue = 0;
    while let Some(run) = runs.try_next().await? {
        for task in run.tasks.iter().filter(|task| task.is_overdue_at(Timestamp::now())) {
            client.comment(task, "This is overdue, what is missing?").await?;
            println!(
                "{}: {}",
                run.name.as_str().unwrap_or_default(),
                members.emails(task).join(", ")
            );
            overdue += 1;
        }
    }
    Ok(overdue)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let template = std::env::args().nth(1).ok_or("which template? give its id")?;
    run(&account::client()?, &template).await.map(|_| ())
}
