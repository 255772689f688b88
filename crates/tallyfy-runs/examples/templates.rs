//! Lists the templates with the fields of their kick-off forms.
//!
//! `cargo run -p tallyfy-runs --example templates`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod account;

use std::error::Error;

use tallyfy_runs::{Client, ListTemplatesOptions, TryStreamExt as _};

pub(crate) async fn run(client: &Client) -> Result<usize, Box<dyn Error>> {
    let mut templates = client.list_templates(&ListTemplatesOptions::default()).into_stream();
    let mut listed = 0;
    while let Some(template) = templates.try_next().await? {
        println!("{:?}  {}", template.id, template.title.as_str().unwrap_or("(untitled)"));
        for field in &template.prerun {
            println!("    {}", field.label.as_str().unwrap_or_default());
        }
        listed += 1;
    }
    Ok(listed)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&account::client()?).await.map(|_| ())
}
