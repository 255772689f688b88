//! What is sent: a method, a path made of segments, a query, headers, perhaps a body.

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{ErrorKind, TransportError};

/// Everything but the characters that RFC 3986, section 2.3, calls unreserved.
pub(crate) const UNRESERVED_STAYS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A comma stays as it is, so that `with=checklist,tasks` looks as in the API's documentation. A space becomes `%20`:
/// the server does not read `+` as a space (API reference, a.2).
const IN_QUERY: &AsciiSet = &UNRESERVED_STAYS.remove(b',');

/// One HTTP request, relative to a base URL that the transport knows.
///
/// The path is built from segments, and each segment is escaped as a whole. Whatever text an id has, it stays one
/// segment of the URL. What escaping cannot protect is refused when the request is built: an empty segment, `.` and
/// `..`, which URL libraries and servers resolve even when their dots are escaped.
///
/// ```
/// use tallyfy_transport::Request;
///
/// let request = Request::get(["organizations", "acme", "runs", "50% done?"])?.query("q", "a b,c");
/// assert_eq!(request.path_and_query(), "/organizations/acme/runs/50%25%20done%3F?q=a%20b,c");
///
/// assert!(Request::get(["organizations", "acme", "runs", ".."]).is_err());
/// # Ok::<(), tallyfy_transport::TransportError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl Request {
    /// A request with any method.
    ///
    /// Fails with [`ErrorKind::InvalidRequest`] when there is no segment, or one that is empty, `.` or `..`.
    pub fn new<I>(method: Method, segments: I) -> Result<Self, TransportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut path = String::new();
        for (index, segment) in segments.into_iter().enumerate() {
            let problem = match segment.as_ref() {
                "" => Some("is empty"),
                "." => Some("is \".\""),
                ".." => Some("is \"..\""),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(refused(method, path, format!("path segment {} {problem}", index + 1)));
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment.as_ref(), UNRESERVED_STAYS));
        }
        if path.is_empty() {
            return Err(refused(method, path, "the path has no segment".to_owned()));
        }
        Ok(Self {
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
        })
    }

    /// A `GET`; see [`Request::new`].
    pub fn get<I>(segments: I) -> Result<Self, TransportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::new(Method::GET, segments)
    }

    /// A `POST`; see [`Request::new`].
    pub fn post<I>(segments: I) -> Result<Self, TransportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::new(Method::POST, segments)
    }

    /// A `PUT`; see [`Request::new`].
    pub fn put<I>(segments: I) -> Result<Self, TransportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::new(Method::PUT, segments)
    }

    /// A `DELETE`; see [`Request::new`].
    pub fn delete<I>(segments: I) -> Result<Self, TransportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::new(Method::DELETE, segments)
    }

    /// Adds a pair to the query. A name may come more than once; the order is kept.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets a header, in place of any value it had. Values that carry credentials are marked as sensitive.
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&name) {
            value.set_sensitive(true);
        }
        self.headers.insert(name, value);
        self
    }

    /// Sets a body that is JSON already, and its `Content-Type`.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        self.body(HeaderValue::from_static("application/json"), body)
    }

    /// Sets a body and its `Content-Type`.
    #[must_use]
    pub fn body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.header(CONTENT_TYPE, content_type)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, escaped, with a slash before each segment.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The pairs of the query, not escaped.
    pub fn query_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The path and, if there is one, the query, escaped as they go on the wire.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let mut text = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.extend(utf8_percent_encode(name, IN_QUERY));
            text.push('=');
            text.extend(utf8_percent_encode(value, IN_QUERY));
        }
        text
    }

    /// The headers that were set. Those which every request needs are added by the transport.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, as [`Request::json`] or [`Request::body`] set it.
    #[must_use]
    pub fn body_bytes(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }
}

/// Names the part of the path that was good.
fn refused(method: Method, path: String, problem: String) -> TransportError {
    let path = if path.is_empty() { "/".to_owned() } else { path };
    TransportError::new(ErrorKind::InvalidRequest, method, path).with_detail(problem)
}

/// Shows neither credentials nor the content of the body.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("path_and_query", &self.path_and_query())
            .field("headers", &self.headers)
            .field("body_len", &self.body.as_ref().map(Bytes::len))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(id: &str) -> Result<Request, TransportError> {
        Request::get(["organizations", "acme", "runs", id])
    }

    #[test]
    fn an_id_stays_one_segment_whatever_it_contains() {
        let path = |id| {
            run(id)
                .unwrap()
                .path()
                .trim_start_matches("/organizations/acme/runs/")
                .to_owned()
        };
        assert_eq!(path("a/../b"), "a%2F..%2Fb");
        assert_eq!(path("a?b#c"), "a%3Fb%23c");
        assert_eq!(path("100%"), "100%25");
        assert_eq!(path("%2e%2e"), "%252e%252e");
        assert_eq!(path("a b+c"), "a%20b%2Bc");
        assert_eq!(path("..."), "...");
        assert_eq!(path("a\\b\n\t\0"), "a%5Cb%0A%09%00");
        assert_eq!(path("grün"), "gr%C3%BCn");
        assert_eq!(path("Az09-._~"), "Az09-._~");
    }

    #[test]
    fn a_segment_that_would_change_the_route_is_refused() {
        let message = |request: Result<Request, TransportError>| {
            let error = request.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            error.to_string()
        };
        insta::assert_snapshot!(
            "refused_segments",
            [
                message(run("")),
                message(run(".")),
                message(run("..")),
                message(Request::post([""; 0])),
                message(Request::put(["", "x"])),
            ]
            .join("\n")
        );
    }

    #[test]
    fn a_query_keeps_commas_and_escapes_spaces_as_percent_20() {
        let request = run("r1")
            .unwrap()
            .query("with", "checklist,tasks")
            .query("q", "a b+c&d=e")
            .query("groups[]", "é")
            .query("empty", "");
        assert_eq!(
            request.path_and_query(),
            "/organizations/acme/runs/r1?with=checklist,tasks&q=a%20b%2Bc%26d%3De&groups%5B%5D=%C3%A9&empty="
        );
        assert_eq!(request.query_pairs().nth(1), Some(("q", "a b+c&d=e")));
    }

    #[test]
    fn a_json_body_says_that_it_is_json() {
        let request = Request::delete(["x"]).unwrap().json(r#"{"a":1}"#);
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(request.body_bytes().unwrap(), r#"{"a":1}"#);
    }

    #[test]
    fn debug_shows_no_credentials_and_no_body() {
        let request = Request::post(["x"])
            .unwrap()
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer hidden"))
            .header(COOKIE, HeaderValue::from_static("session=hidden"))
            .json("\"hidden\"");
        insta::assert_snapshot!("debug_of_a_request", format!("{request:#?}"));
    }

    proptest! {
        #[test]
        fn a_url_library_reads_back_exactly_the_segments_and_pairs(
            id in "\\PC{1,12}|[./%\\\\?# ]{1,6}",
            value in "\\PC{0,12}",
        ) {
            prop_assume!(id != "." && id != "..");
            let request = run(&id).unwrap().query("q", value.as_str());
            let text = format!("https://go.tallyfy.com/api{}", request.path_and_query());
            let url = url::Url::parse(&text).unwrap();

            prop_assert_eq!(url.as_str(), &text);
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 5);
            let decoded = percent_encoding::percent_decode_str(segments[4]).decode_utf8().unwrap();
            prop_assert_eq!(decoded, id);
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, vec![("q".to_owned(), value)]);
        }
    }
}
