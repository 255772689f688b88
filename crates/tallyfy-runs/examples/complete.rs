//! Answers a task's form as `FIELD=ANSWER` says, and completes the task.
//!
//! `cargo run -p tallyfy-runs --example complete -- TASK_ID [FIELD=ANSWER]…`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::{Client, Completion, Form, GetTaskOptions, TaskInclude};

pub(crate) async fn run(client: &Client, task: &str, answers: &[String]) -> Result<(), Box<dyn Error>> {
    let options = GetTaskOptions::default().with_includes([TaskInclude::FormFields]);
    let task = client.get_task(task, &options).await?;
    let mut form = Form::of_task(&task);
    for answer in answers {
        let (field, answer) = answer.split_once('=').ok_or("expected FIELD=ANSWER")?;
        form = form.fill(field, answer)?;
    }
    if !answers.is_empty() {
        client.set_answers(&task, &form).await?;
    }
    let task = client.complete_task(Completion::of(&task)?).await?;
    println!("{}", task.raw());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().ok_or("which task? give its id")?;
    let answers: Vec<String> = arguments.collect();
    run(&account::client()?, &task, &answers).await
}
