//! Query strings as the server reads them: `+` is a plus, and what it does not know it ignores.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The value, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of the first of these names that has one.
    pub(crate) fn any(&self, names: [&str; 2]) -> Option<&str> {
        names.into_iter().find_map(|name| self.get(name))
    }

    /// `true`, `True`, `1`: all are yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }

    /// A comma-separated list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(
            self.get(name)?
                .split(',')
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .collect(),
        )
    }

    /// All parameters but one, for links.
    pub(crate) fn without<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(key, _)| *key != name)
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_no_space() {
        let query = Query::parse("q=a+b%20c&with=tasks%2Ctags&empty=&flag=True&page=3");
        assert_eq!(query.get("q"), Some("a+b c"));
        assert_eq!(query.list("with"), Some(vec!["tasks", "tags"]));
        assert_eq!(query.get("empty"), None);
        assert!(query.flag("flag"));
        assert_eq!(query.number("page"), Some(3));
    }
}
