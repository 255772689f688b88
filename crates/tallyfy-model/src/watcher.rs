//! Webhooks that are registered for an organization as a whole.

use crate::WatcherId;
use crate::lenient::Field;
use crate::record::record;

record! {
    /// Who is told of everything in an organization (API reference, section g.2).
    ///
    /// Holds whatever secret its URL has.
    pub struct Watcher or bare id {
        /// The watcher's id.
        id: WatcherId,
        /// Where events go, under one of three names.
        webhook: String,
        /// The same, under another name.
        webhook_url: String,
        /// The same, under a third name.
        url: String,
    }
}

impl Watcher {
    /// Where events go, under whichever name it came.
    pub fn any_url(&self) -> Option<&str> {
        [&self.webhook, &self.webhook_url, &self.url]
            .into_iter()
            .filter_map(Field::as_str)
            .find(|url| !url.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Watcher, WithJson};

    #[test]
    fn the_url_has_one_of_three_names() {
        for json in [
            r#"{"id":7,"webhook":"https://a.example"}"#,
            r#"{"id":"7","webhook":"","webhook_url":"https://a.example"}"#,
            r#"{"id":7,"webhook":null,"url":"https://a.example"}"#,
        ] {
            let watcher = WithJson::<Watcher>::from_json(json).unwrap();
            assert_eq!(watcher.any_url(), Some("https://a.example"), "{json}");
            assert_eq!(watcher.id.get().unwrap().as_str(), "7");
        }
        let none = WithJson::<Watcher>::from_json(r#"{"id":7}"#).unwrap();
        assert_eq!(none.any_url(), None);
    }
}
