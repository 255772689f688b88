//! Launches a run of a template, its kick-off form filled as `FIELD=ANSWER` says.
//!
//! `cargo run -p tallyfy-runs --example launch -- TEMPLATE_ID NAME [FIELD=ANSWER]…`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::model::Run;
use tallyfy_runs::{Client, GetTemplateOptions, Launch};

pub(crate) async fn run(
    client: &Client,
    template: &str,
    name: &str,
    answers: &[String],
) -> Result<Run, Box<dyn Error>> {
    let template = client.get_template(template, &GetTemplateOptions::none()).await?;
    let mut launch = Launch::of(&template, name);
    for answer in answers {
        let (field, answer) = answer.split_once('=').ok_or("expected FIELD=ANSWER")?;
        launch = launch.fill(field, answer)?;
    }
    let run = client.launch_run(&launch).await?;
    println!("{}  {}", run.id(), run.name.as_str().unwrap_or_default());
    Ok(run)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let template = arguments.next().ok_or("which template? give its id")?;
    let name = arguments.next().ok_or("what is the run to be called?")?;
    let answers: Vec<String> = arguments.collect();
    run(&account::client()?, &template, &name, &answers).await.map(|_| ())
}
