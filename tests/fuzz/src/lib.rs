//! Any bytes may come in.

pub mod any_bytes;
