//! What Tallyfy sends: runs and their parts, webhook bodies, error bodies.
//!
//! This crate decodes and nothing else: it knows no HTTP, no clock and no file. Two rules hold everywhere:
//!
//! - **Lenient in.** The same member has different JSON types from one endpoint to the next, and new members and values
//!   appear without notice. Every member is a [`Field`]: absent, empty, a value, or of a type that nobody foresaw, in
//!   which case its JSON is kept and nothing around it fails. [`Run::surprises`] lists those.
//! - **Exact out.** A [`Run`] keeps the JSON that it came from, and writes that.
//!
//! ```
//! use tallyfy_model::Run;
//!
//! let run = Run::from_json(r#"{"id":"r1","tasks":{"data":[{"id":"t1","title":"Call","owners":{"users":[7]}}]}}"#)?;
//! for task in run.tasks.iter().filter(|task| !task.is_complete()) {
//!     println!("{}", task.title.as_str().unwrap_or("(untitled)"));
//! }
//! # Ok::<(), tallyfy_model::NotARun>(())
//! ```

mod announced;
mod api_error;
mod checklist;
mod form;
mod id;
mod lenient;
mod owners;
mod raw;
mod record;
mod run;
mod salvage;
mod status;
mod tag;
mod task;
mod time;
mod webhook;

/// The examples of the README, which are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use announced::Announced;
pub use api_error::ApiError;
pub use checklist::Checklist;
pub use form::FormField;
pub use id::{ChecklistId, FieldId, GroupId, OrgId, RunId, StepId, TagId, TaskId, UserId};
pub use lenient::{Field, Item, List, Map, Shape};
pub use owners::{GroupRef, Member, Owners};
pub use raw::{REDACTED, indented, minified, without_guest_links};
pub use record::Surprise;
pub use run::{Counted, NotARun, Progress, Run, RunFields};
pub use status::{RunStatus, TaskStatus};
pub use tag::{Tag, TagText};
pub use task::Task;
pub use time::ApiTime;
pub use webhook::{UnreadableWebhook, Webhook, WebhookKind};
