//! Use cases on the Tallyfy API: get a run, list runs, tasks, templates and members, launch, complete, answer, comment,
//! and tell what changed between two views of a run. A client keeps to the API's request budget by itself: 2 calls go out at
//! once, each one after them waits 0.6 s, and the 21st goes out after 12 s.
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
//! **The request budget.** A client from `Client::builder` keeps to 10 requests in five seconds, 100 a minute and 1000 an
//! hour, the strictest limits that the vendor's sources name. After 200 calls without a rest the hour's limit sets the pace, one call in 4.5 s.
//! A call that would have to wait longer than its time-out fails with [`Error::BudgetSpent`], which says for how long.
//!
//! Invariants:
//! - One call is one request to the transport, one for each page of a list. Waiting and trying again are the transport's:
//!   a client from `Client::builder` does both, one from [`Client::new`] does what its transport does.
//! - A write is sent once. [`Error::OutcomeUnknown`] is the only error after which it may have been done.
//! - Comparing two views, and judging how new one is, does no I/O.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "reqwest")]
mod builder;
mod changes;
mod client;
mod decode;
mod error;
mod form;
mod freshness;
mod get_run;
mod get_task;
mod include;
mod list_runs;
mod list_tasks;
mod members;
mod pages;
mod query;
mod templates;
mod watchers;
mod write;

#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use builder::ClientBuilder;
pub use changes::{
    Carried, Change, Comparison, Doubt, FieldChange, OwnerRef, TagRef, TaskRef, carry_forward, changes, compare,
};
pub use client::Client;
pub use error::{Error, Exchange, Mismatch, WhyUnknown};
pub use form::{Entry, Form, WrongEntry};
pub use freshness::{Behind, Older, Owed, behind, older_than};
pub use get_run::GetRunOptions;
pub use get_task::GetTaskOptions;
pub use include::{Include, InvalidInclude, OtherInclude, TaskInclude, TemplateInclude};
pub use list_runs::{Archived, ListRunsOptions, RunOrder};
pub use list_tasks::{ListTasksOptions, TaskOrder};
pub use members::Members;
pub use pages::{Page, Pages};
pub use templates::{GetTemplateOptions, ListTemplatesOptions};
pub use write::{Assignees, Completion, Launch, NotCompletable};

/// What the signatures here name, so that one dependency is enough: [`tallyfy_model`].
pub use tallyfy_model as model;
/// What the signatures here name, so that one dependency is enough: [`tallyfy_transport`].
pub use tallyfy_transport as transport;

pub use futures_util::stream::{BoxStream, TryStreamExt};
pub use http::{Method, StatusCode};
pub use jiff::Timestamp;

#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
