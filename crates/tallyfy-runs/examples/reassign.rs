//! Assigns one more member to a task; everybody else stays.
//!
//! `cargo run -p tallyfy-runs --example reassign -- TASK_ID USER_ID`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::{Assignees, Client, GetTaskOptions};

pub(crate) async fn run(client: &Client, task: &str, user: &str) -> Result<(), Box<dyn Error>> {
    let task = client.get_task(task, &GetTaskOptions::default()).await?;
    let assignees = Assignees::of(&task).ok_or("the task does not say who is assigned")?;
    let task = client.reassign(&task, &assignees.with_user(user)).await?;
    println!("{}", client.members().await?.emails(&task).join(", "));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().ok_or("which task? give its id")?;
    let user = arguments.next().ok_or("who? give a member's id")?;
    run(&account::client()?, &task, &user).await
}
