//! Use cases on the Tallyfy API: get a run, list runs, tasks and members, and tell what changed between two views of a
//! run.
//!
//! ```no_run
//! use tallyfy_runs::{Client, GetRunOptions};
//!
//! # #[cfg(feature = "reqwest")]
//! # async fn show() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("ORG_ID", std::env::var("TALLYFY_TOKEN")?).build()?;
//! let run = client.get_run("RUN_ID", &GetRunOptions::default()).await?;
//! let members = client.members().await?;
//! for task in run.open_tasks() {
//!     println!("{}: {}", task.title.as_str().unwrap_or("(untitled)"), members.emails(task).join(", "));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - One call is one request to the transport, one for each page of a list. Waiting and trying again are the transport's:
//!   a client from `Client::builder` does both, one from [`Client::new`] does what its transport does.
//! - Comparing two views, and judging how new one is, does no I/O.

#[cfg(feature = "reqwest")]
mod builder;
mod changes;
mod client;
mod decode;
mod error;
mod freshness;
mod get_run;
mod include;
mod list_runs;
mod list_tasks;
mod members;
mod pages;

#[cfg(feature = "reqwest")]
pub use builder::ClientBuilder;
pub use changes::{
    Carried, Change, Comparison, Doubt, FieldChange, OwnerRef, TagRef, TaskRef, carry_forward, changes, compare,
};
pub use client::Client;
pub use error::{Answer, Error, Mismatch};
pub use freshness::{Behind, Older, Owed, behind, older_than};
pub use get_run::GetRunOptions;
pub use include::{Include, InvalidInclude, OtherInclude, TaskInclude};
pub use list_runs::{Archived, ListRunsOptions, RunOrder};
pub use list_tasks::{ListTasksOptions, TaskOrder};
pub use members::Members;
pub use pages::{Page, Pages};

#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
