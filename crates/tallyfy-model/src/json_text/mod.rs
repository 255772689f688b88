//! JSON as text: laid out, redacted or mended without being decoded, so that numbers keep every digit, escapes stay as
//! they were written and members keep their order.
//!
//! [`tokens`] is the only scanner of JSON text in this workspace. It does not recurse, it takes any text, JSON or not,
//! and its tokens put together are that text again. What is built on it holds only what it is for:
//!
//! ```
//! use tallyfy_model::json_text::{Kind, tokens};
//!
//! let numbers: Vec<&str> = tokens(r#"{"a":[1.50,"2"],"b":12345678901234567890}"#)
//!     .filter(|token| token.kind == Kind::Number)
//!     .map(|token| token.text)
//!     .collect();
//! assert_eq!(numbers, ["1.50", "12345678901234567890"]);
//! ```

mod fingerprint;
mod indent;
mod mend;
mod minify;
mod redact;
mod string;
mod token;

pub use indent::indented;
pub use minify::minified;
pub use redact::{REDACTED, names_guest_links, plain_name, redacted, without_guest_links};
pub use token::{Kind, Token, Tokens, depth, tokens};

pub(crate) use fingerprint::fingerprint;
pub(crate) use mend::{from_slice, from_str};
