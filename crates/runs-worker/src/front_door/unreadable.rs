//! Requests that never get as far as the routes: they are counted by what they look like, and now and then a line says it.

use metrics::counter;
use tracing::warn;

use super::seldom::Seldom;

/// What a request that cannot be read looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    TooLarge,
    Tls,
    ProxyProtocol,
    Http2,
    Malformed,
}

impl Looks {
    /// From the first bytes of the connection, and whether the head was larger than allowed.
    pub(super) fn like(opening: &[u8], too_large: bool) -> Self {
        match opening {
            [0x16, 0x03, ..] => Self::Tls,
            _ if opening.starts_with(b"PROXY ") || opening.starts_with(b"\r\n\r\n\0\r\nQUIT\n") => Self::ProxyProtocol,
            _ if opening.starts_with(b"PRI * HTTP/2") => Self::Http2,
            _ if too_large => Self::TooLarge,
            _ => Self::Malformed,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "headers too large",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy protocol",
            Self::Http2 => "http/2",
            Self::Malformed => "malformed",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::TooLarge => {
                "more than 128 headers, or more than 40 KB of them: does a proxy add them, or a large cookie?"
            }
            Self::Tls => {
                "this port speaks plain HTTP: let a proxy end TLS, or use http:// where the connection is private"
            }
            Self::ProxyProtocol => "switch the PROXY protocol off for this port; it is not understood",
            Self::Http2 => "this port speaks HTTP/1.1: set the proxy's upstream protocol to it",
            Self::Malformed => "it is no HTTP/1.1",
        }
    }
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    too_large: Seldom,
    tls: Seldom,
    proxy_protocol: Seldom,
    http2: Seldom,
    other: Seldom,
}

impl Unreadable {
    /// A request of this look was refused, and its connection closed.
    pub(super) fn note(&self, looks: Looks) {
        let line = match looks {
            Looks::TooLarge => &self.too_large,
            Looks::Tls => &self.tls,
            Looks::ProxyProtocol => &self.proxy_protocol,
            Looks::Http2 => &self.http2,
            Looks::Malformed => &self.other,
        };
        note(line, looks.reason(), looks.hint());
    }

    /// A request could be read in two ways, and was refused.
    pub(super) fn note_ambiguous(&self, reason: &'static str) {
        note(&self.other, reason, "a proxy on the way may read it differently");
    }
}

/// Every reason.
pub(crate) const UNREADABLE: [&str; 5] = ["headers too large", "tls", "proxy protocol", "http/2", "malformed"];

fn note(line: &Seldom, reason: &'static str, hint: &'static str) {
    counter!("runs_worker_requests_unreadable_total", "reason" => reason).increment(1);
    if let Some(requests) = line.cases() {
        warn!(
            reason,
            hint, requests, "a request was refused before anything looked at its address"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_was_meant() {
        for (opening, expected) in [
            (b"\x16\x03\x01\x02\x00".as_slice(), Looks::Tls),
            (b"PROXY TCP4 192.0.2.", Looks::ProxyProtocol),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Looks::ProxyProtocol),
            (b"PRI * HTTP/2.0\r\n", Looks::Http2),
            (b"\0\0\0", Looks::Malformed),
            (b"", Looks::Malformed),
        ] {
            assert_eq!(Looks::like(opening, false), expected, "{opening:?}");
        }
        assert_eq!(Looks::like(b"GET / HTTP/1.1\r\n", true), Looks::TooLarge);
    }
}
