//! Where the API lives.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;

/// The part of every URL that comes before a request's path.
///
/// Both documented hosts work: `https://go.tallyfy.com/api`, which is the default, and `https://api.tallyfy.com`, which
/// has no prefix (API reference, a.1). A slash at the end means nothing.
///
/// Since a bearer token goes wherever this points, plain `http` is accepted for this machine only.
///
/// ```
/// use tallyfy_transport::BaseUrl;
///
/// assert_eq!(BaseUrl::default().as_str(), "https://go.tallyfy.com/api");
/// let sim: BaseUrl = "http://127.0.0.1:8080/".parse()?;
/// assert_eq!(sim.as_str(), "http://127.0.0.1:8080");
/// assert!("http://go.tallyfy.com/api".parse::<BaseUrl>().is_err());
/// # Ok::<(), tallyfy_transport::BaseUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Scheme, host, port and prefix, without a slash at the end.
    text: String,
    is_loopback: bool,
}

impl BaseUrl {
    /// The URL, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it points at this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

/// The documented production base.
impl Default for BaseUrl {
    fn default() -> Self {
        Self {
            text: "https://go.tallyfy.com/api".to_owned(),
            is_loopback: false,
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(BaseUrlError::NoScheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            other => return Err(BaseUrlError::Scheme(other.to_owned())),
        };
        if rest.contains('#') {
            return Err(BaseUrlError::Fragment);
        }
        let uri: Uri = text.parse().map_err(BaseUrlError::Syntax)?;
        let authority = uri.authority().ok_or(BaseUrlError::Host)?.as_str();
        if authority.contains('@') {
            return Err(BaseUrlError::Userinfo);
        }
        if uri.query().is_some() {
            return Err(BaseUrlError::Query);
        }
        let (host, port) = host_and_port(authority)?;
        let is_loopback = is_loopback(&host);
        if !secure && !is_loopback {
            return Err(BaseUrlError::Insecure(host));
        }
        let scheme = if secure { "https" } else { "http" };
        let usual = if secure { 443 } else { 80 };
        let port = port.filter(|port| *port != usual);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let prefix = uri.path().trim_end_matches('/');
        Ok(Self {
            text: format!("{scheme}://{host}{port}{prefix}"),
            is_loopback,
        })
    }
}

impl TryFrom<&str> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: &str) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

/// A host name in lower case, or an address, and the port.
///
/// Nothing but what a host name or an address is made of is taken: another library reads this text again, and must find
/// the same host in it.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), BaseUrlError> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[end..].split_once(':') {
        Some((name, port)) => (
            &authority[..end + name.len()],
            Some(port.parse().map_err(|_| BaseUrlError::Host)?),
        ),
        None => (authority, None),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match inside {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_plain),
    };
    if !is_host {
        return Err(BaseUrlError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']);
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Why a text is not a base URL. No message repeats the text, which may contain a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It does not begin with a scheme.
    #[error("base url does not begin with https://")]
    NoScheme,
    /// It is not a URL at all.
    #[error("base url is not a url")]
    Syntax(#[source] http::uri::InvalidUri),
    /// It has no host, or one that is neither a name in ASCII nor an address.
    #[error("base url has no host, or one that is neither a name in ASCII nor an address")]
    Host,
    /// It is neither https nor http.
    #[error("base url has the scheme {0:?}, expected https")]
    Scheme(String),
    /// It is http, and the host is not this machine.
    #[error("base url with plain http to {0:?} would show the token to everybody on the way, expected https")]
    Insecure(String),
    /// It has a user name or a password.
    #[error("base url contains a user name or a password")]
    Userinfo,
    /// It has a query.
    #[error("base url contains a query (everything after the ?)")]
    Query,
    /// It has a fragment.
    #[error("base url contains a fragment (everything after the #)")]
    Fragment,
}

/// So that what takes a text takes a [`BaseUrl`] too.
impl From<Infallible> for BaseUrlError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documented_hosts_and_loopback_are_accepted() {
        let table = [
            ("https://go.tallyfy.com/api", "https://go.tallyfy.com/api", false),
            ("https://go.tallyfy.com/api/", "https://go.tallyfy.com/api", false),
            ("https://api.tallyfy.com", "https://api.tallyfy.com", false),
            (" https://API.tallyfy.com:443// ", "https://api.tallyfy.com", false),
            ("http://127.0.0.1:80", "http://127.0.0.1", true),
            ("http://127.9.9.9:8080/api", "http://127.9.9.9:8080/api", true),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://localhost:1", "http://localhost:1", true),
            ("https://localhost", "https://localhost", true),
        ];
        for (text, expected, loopback) in table {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!((base.as_str(), base.is_loopback()), (expected, loopback), "{text:?}");
            assert_eq!(base, base.to_string().parse().unwrap());
        }
        assert_eq!(BaseUrl::default(), "https://go.tallyfy.com/api/".parse().unwrap());
    }

    #[test]
    fn every_other_url_is_refused_with_a_reason() {
        let texts = [
            "",
            "go.tallyfy.com/api",
            "https://",
            "ftp://go.tallyfy.com",
            "file:///etc/passwd",
            "http://go.tallyfy.com/api",
            "http://localhost.example.com",
            "http://128.0.0.1",
            "http://0.0.0.0",
            "https://user:hidden@go.tallyfy.com",
            "https://go.tallyfy.com/api?token=hidden",
            "https://go.tallyfy.com/api#hidden",
            "https://gr\u{fc}n.example",
            "https://go.tallyfy.com:port",
            "https://go.tallyfy.com\\@elsewhere.example",
            "https://go tallyfy.com",
            "http://127.1",
            "http://[::1",
            "https://[nowhere]",
        ];
        let lines = texts.map(|text| {
            let error = text.parse::<BaseUrl>().unwrap_err();
            let source = std::error::Error::source(&error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            let shown = text.replace("hidden", "[...]");
            assert!(!format!("{error} {error:?}").contains("hidden"));
            format!("{shown:?} -> {error}{source}")
        });
        insta::assert_snapshot!("refused_base_urls", lines.join("\n"));
    }
}
