//! Forms of a request that the HTTP library takes, and that another program on the way may read differently.
//!
//! What the library refuses by itself is not looked at again: lengths that differ or are no numbers, an encoding that does
//! not end in `chunked`, folded headers, broken chunks. What is taken as the standard allows: the same length twice, lines
//! that end without a carriage return, and both a length and chunks, where chunks count and the connection ends.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Version};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguous {
    /// An encoding besides `chunked`: the body would have to be unpacked to be read.
    Encoding,
    /// HTTP/1.1 without a host (RFC 9112, section 3.2).
    NoHost,
    /// More than one host.
    Hosts,
}

impl Ambiguous {
    /// How it is counted, and what the answer says.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Encoding => "a transfer-encoding other than chunked",
            Self::NoHost => "no host header",
            Self::Hosts => "several host headers",
        }
    }
}

/// What is ambiguous about a request's head.
pub(super) fn ambiguity<B>(request: &Request<B>) -> Option<Ambiguous> {
    let headers = request.headers();
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_plain = |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if encodings.next().is_some_and(|first| !is_plain(first)) || encodings.next().is_some() {
        return Some(Ambiguous::Encoding);
    }
    match headers.get_all(HOST).iter().count() {
        0 if request.version() == Version::HTTP_11 => Some(Ambiguous::NoHost),
        0 | 1 => None,
        _ => Some(Ambiguous::Hosts),
    }
}
