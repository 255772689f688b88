//! Use cases on the Tallyfy API: get a run, and tell what changed between two views of it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tallyfy_model::RunId;
//! use tallyfy_runs::{Client, Error, GetRunOptions};
//! # use tallyfy_transport::HttpTransport;
//!
//! # async fn show(transport: Arc<dyn HttpTransport>) -> Result<(), Error> {
//! let client = Client::new(transport, "ORG_ID".into());
//! match client.get_run(&RunId::from("RUN_ID"), &GetRunOptions::default()).await {
//!     Ok(run) => println!("{}", run.name.as_str().unwrap_or("(unnamed)")),
//!     Err(Error::NotFound(answer)) => println!("no such run: {answer}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - One call is one request. Waiting and trying again are the caller's, or those of a layer of the transport.
//! - Comparing two views, and judging how new one is, does no I/O.

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

pub use changes::{Change, FieldChange, OwnerRef, TagRef, TaskRef, changes};
pub use client::Client;
pub use error::{Answer, Error, Mismatch};
pub use freshness::{Behind, behind};
pub use get_run::GetRunOptions;
pub use include::{Include, InvalidInclude, OtherInclude, TaskInclude};
pub use list_runs::{Archived, ListRunsOptions, RunOrder};
pub use list_tasks::{ListTasksOptions, TaskOrder};
pub use members::Members;
pub use pages::{Page, Pages};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
