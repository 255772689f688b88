//! What a receiver was told in confidence, taken out of what it answers: many repeat a token that they refuse.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// A shorter part of a header or a URL may be any word.
const SHORTEST: usize = 8;
const REDACTED: &str = "[redacted]";

/// Every form in which a receiver may repeat a secret: lower case, the longest first.
#[derive(Clone)]
pub(super) struct Confidence(Vec<String>);

impl Confidence {
    /// Of the headers and the URL of a receiver, each part for itself and all together.
    pub(super) fn of(headers: &HeaderMap, url: &Url) -> Self {
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
        let forms: BTreeSet<String> = parts.iter().flat_map(|part| forms(part)).collect();
        let mut forms: Vec<String> = forms.into_iter().filter(|form| form.len() >= SHORTEST).collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// How long the longest form is, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }

    /// The text without them.
    pub(super) fn taken_out_of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.0 {
            // ASCII only, so that positions stay the same.
            let mut lower = text.to_ascii_lowercase();
            let mut from = 0;
            // On from behind what was put in, in which a form may stand again.
            while let Some(at) = lower.get(from..).and_then(|rest| rest.find(form.as_str())) {
                let at = from + at;
                text.replace_range(at..at + form.len(), REDACTED);
                lower.replace_range(at..at + form.len(), REDACTED);
                from = at + REDACTED.len();
            }
        }
        text
    }
}

/// A header: the whole, its words, and their parts; what `Basic` credentials are when decoded.
fn add_header(parts: &mut BTreeSet<String>, value: &str) {
    add(parts, value);
    for word in value.split_whitespace() {
        add(parts, word);
        for part in word.split([',', ';', '=', ':', '"', '/', '.', '&']) {
            add(parts, part);
        }
        if let Some(credentials) = STANDARD
            .decode(word)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
        {
            add(parts, &credentials);
            credentials.split(':').for_each(|part| add(parts, part));
        }
    }
}

fn add(parts: &mut BTreeSet<String>, part: &str) {
    if part.len() >= SHORTEST {
        parts.insert(part.to_owned());
    }
}

/// A secret plain, decoded, and as URLs, JSON, HTML and Base64 write it.
fn forms(part: &str) -> Vec<String> {
    let decoded = percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut forms = Vec::new();
    for plain in [part, decoded.as_str()] {
        let json = serde_json::to_string(plain).unwrap_or_default();
        let json = json.trim_matches('"');
        let html = plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        forms.extend([
            plain.to_owned(),
            plain.replace('+', " "),
            utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string(),
            url::form_urlencoded::byte_serialize(plain.as_bytes()).collect(),
            json.to_owned(),
            json.replace('/', "\\/"),
            without_html(json),
            without_html(json).replace('/', "\\/"),
            html.replace('"', "&quot;"),
            html.replace('"', "&#34;"),
            STANDARD.encode(plain).trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(plain),
        ]);
    }
    forms.iter().map(|form| form.to_ascii_lowercase()).collect()
}

/// JSON as some write it that is to stand in a page.
fn without_html(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn confidence() -> Confidence {
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {}", STANDARD.encode("operator:pass/w&rd\"1"));
        headers.insert("authorization", HeaderValue::from_str(&basic).unwrap());
        headers.insert("x-api-key", HeaderValue::from_static("k3y-of-the-receiver, second-key"));
        let url = Url::parse("https://example.com/hooks/s3cret%2Fsegm%C3%A9nt?sig=v4lue%20of%26it&x=1").unwrap();
        Confidence::of(&headers, &url)
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
