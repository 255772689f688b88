//! Opens a task again that is complete, and with it its run.
//!
//! `cargo run -p tallyfy-runs --example reopen -- TASK_ID`

mod account;

use std::error::Error;

use tallyfy_runs::{Client, GetTaskOptions};

pub(crate) async fn run(client: &Client, task: &str) -> Result<(), Box<dyn Error>> {
    let task = client.get_task(task, &GetTaskOptions::default()).await?;
    if !task.is_complete() {
        return Err("the task is open".into());
    }
    client.reopen_task(&task).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let task = std::env::args().nth(1).ok_or("which task? give its id")?;
    run(&account::client()?, &task).await
}
