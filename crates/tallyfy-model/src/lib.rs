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
//! for task in run.open_tasks() {
//!     println!("{}", task.title.as_str().unwrap_or("(untitled)"));
//! }
//! # Ok::<(), tallyfy_model::NotARun>(())
//! ```

mod announced;
mod answer;
mod answers;
mod api_error;
mod asset;
mod checklist;
mod folder;
mod form;
mod id;
mod id_of;
pub mod json_text;
mod kickoff;
mod lenient;
mod open_enum;
mod owners;
mod pagination;
mod record;
mod run;
mod step;
mod tag;
mod task;
mod thread;
mod time;
mod watcher;
mod webhook;
mod with_json;

/// The examples of the README, which are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use announced::Announced;
pub use answer::{Answer, Choice, Column, Table};
pub use answers::FieldAnswer;
pub use api_error::{ApiError, FieldProblem};
pub use asset::{Asset, AssetDetails, Subject};
pub use checklist::{Checklist, ChecklistDetails};
pub use folder::Folder;
pub use form::{FieldDetails, FieldOption, FieldOptionDetails, FormField};
pub use id::{
    AssetId, ChecklistId, FieldId, FolderId, GroupId, OptionId, OrgId, RunId, StepId, TagId, TaskId, ThreadId, UserId,
    WatcherId,
};
pub use json_text::{REDACTED, indented, minified, without_guest_links};
pub use kickoff::KickoffFields;
pub use lenient::{Elements, Field, Item, Json, List, Map, Shape};
pub use open_enum::{
    AssetSource, FieldType, PrerunStatus, RunStatus, RunType, TaskStatus, TaskType, ThreadLabel, ThreadState,
};
pub use owners::{GroupDetails, GroupRef, Member, MemberDetails, Owners};
pub use pagination::{Links, Meta, Pagination};
pub use record::{Record, Surprise};
pub use run::{Counted, NotARun, Progress, Run, RunFields};
pub use step::{Delay, LinkedTemplate, Step, StepDetails};
pub use tag::{Tag, TagDetails, TagText};
pub use task::{Task, TaskDetails, TaskIncludes};
pub use thread::{Thread, ThreadDetails};
pub use time::ApiTime;
pub use watcher::Watcher;
pub use webhook::{
    Answered, Fingerprint, OrganizationBody, Person, ProcessBody, ProcessFurther, TaskBody, ThisTask, ThisTaskDetails,
    UnreadableWebhook, Webhook, WebhookBody, WebhookKind,
};
pub use with_json::{Unreadable, WithJson};
