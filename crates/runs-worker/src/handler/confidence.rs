//! What a receiver was told in confidence: its URL and headers, whole and in parts. Many repeat a token that they refuse.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::shared::spelled::Secrets;

/// The parts of the headers and the URL of a receiver, each for itself and all together.
pub(super) fn told_in_confidence(headers: &HeaderMap, url: &Url) -> Secrets {
    let mut parts = BTreeSet::new();
    for value in headers.values() {
        add_header(&mut parts, &String::from_utf8_lossy(value.as_bytes()));
    }
    add(&mut parts, url.path().trim_matches('/'));
    url.path().split('/').for_each(|segment| add(&mut parts, segment));
    let query = url.query().unwrap_or_default();
    add(&mut parts, query);
    for pair in query.split('&') {
        add(&mut parts, pair);
        add(&mut parts, pair.split_once('=').map_or("", |(_, value)| value));
    }
    add(&mut parts, url.username());
    add(&mut parts, url.password().unwrap_or_default());
    Secrets::new(parts)
}

/// A header: the whole, its words, and their parts; what `Basic` credentials are when decoded.
fn add_header(parts: &mut BTreeSet<String>, value: &str) {
    add(parts, value);
    for word in value.split_whitespace() {
        add(parts, word);
        for part in word.split([',', ';', '=', ':', '"', '/', '.', '&']) {
            add(parts, part);
        }
        let decoded = STANDARD
            .decode(word)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(credentials) = decoded {
            add(parts, &credentials);
            credentials.split(':').for_each(|part| add(parts, part));
        }
    }
}

/// As it is, and as it is meant where it is written as URLs have it.
fn add(parts: &mut BTreeSet<String>, part: &str) {
    parts.insert(part.to_owned());
    parts.insert(percent_decode_str(part).decode_utf8_lossy().into_owned());
    parts.insert(
        percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned(),
    );
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tallyfy_model::REDACTED;

    use super::*;

    fn confidence() -> Secrets {
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {}", STANDARD.encode("operator:pass/w&rd\"1"));
        headers.insert("authorization", HeaderValue::from_str(&basic).unwrap());
        headers.insert("x-api-key", HeaderValue::from_static("k3y-of-the-receiver, second-key"));
        let url = Url::parse("https://example.com/hooks/s3cret%2Fsegm%C3%A9nt?sig=v4lue%20of%26it&x=1").unwrap();
        told_in_confidence(&headers, &url)
    }

    #[test]
    fn every_part_goes_in_every_form() {
        let confidence = confidence();
        let said = [
            "route hooks\\/s3cret%2Fsegm%C3%A9nt",
            "segment s3cret/segmént or s3cret%2fsegm%c3%a9nt",
            "sig v4lue%20of%26it is v4lue of&it, v4lue of\\u0026it, v4lue+of%26it, v4lue of&amp;it",
            "user operator with pass/w&rd\"1 or pass\\/w\\u0026rd\\\"1",
            "key k3y-of-the-receiver, K3Y-OF-THE-RECEIVER and second-key",
            &STANDARD.encode("operator:pass/w&rd\"1"),
        ];
        for said in said {
            let left = confidence.taken_out_of(said);
            for part in [
                "s3cret",
                "v4lue",
                "w&rd",
                "w\\u",
                "k3y",
                "K3Y",
                "second-key",
                "operator",
            ] {
                assert!(!left.contains(part), "{part} in {left}");
            }
            assert!(left.contains(REDACTED), "{left}");
        }
        assert_eq!(
            confidence.taken_out_of("no such customer: x=1"),
            "no such customer: x=1"
        );
    }
}
