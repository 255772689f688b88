//! What the headers say of a body. It is kept with one that cannot be read, so that a later version may read it.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use crate::shared::visible::visible_line;

/// How much of a header is kept.
const MOST: usize = 200;
/// What separates the name of a header from its value.
const IS: &str = ": ";
/// What separates two headers. A value has no line break.
const AND: &str = "; ";

fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The headers of the content, as one line; `None` where there are none.
pub(super) fn told(headers: &HeaderMap) -> Option<String> {
    let of_content = [CONTENT_ENCODING, CONTENT_TYPE];
    let told = of_content.iter().filter_map(|name| {
        let mut value = visible_line(value(headers, name)?);
        value.truncate(value.floor_char_boundary(MOST));
        Some(format!("{name}{IS}{value}"))
    });
    Some(told.collect::<Vec<_>>().join(AND)).filter(|told| !told.is_empty())
}

/// The encoding that the headers name.
pub(super) fn encoding(headers: &HeaderMap) -> Option<&str> {
    value(headers, &CONTENT_ENCODING).map(str::trim)
}

/// The same in what was kept of them.
pub(crate) fn encoding_in(told: &str) -> Option<&str> {
    let rest = told.strip_prefix(CONTENT_ENCODING.as_str())?.strip_prefix(IS)?;
    rest.split(AND).next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_told_of_the_content_is_read_again() {
        let mut headers = HeaderMap::new();
        assert_eq!(told(&headers), None);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(told(&headers).as_deref(), Some("content-type: application/json"));
        assert_eq!(told(&headers).as_deref().and_then(encoding_in), None);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        let told = told(&headers).unwrap();
        assert_eq!(told, "content-encoding: br; content-type: application/json");
        assert_eq!((encoding_in(&told), encoding(&headers)), (Some("br"), Some("br")));
    }
}
