//! Samples in every documented form, and mutations of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cleared_values;
mod includes;
mod mutations;
mod no_runs;
mod payloads;
mod raw_json;
mod runs;
mod shown;
mod webhooks;
