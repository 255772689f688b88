//! Pages and what `meta.pagination` says of them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::query::Query;
use crate::quirks::{LinksForm, LinksHost, PagingForm, Quirks};

/// The server gives no more than this for a page.
const CAP: usize = 100;
const DEFAULT: usize = 10;

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    total: usize,
    per_page: usize,
    current: usize,
}

impl<T> Page<T> {
    /// Cuts the page out that the caller asked for.
    pub(crate) fn cut(all: Vec<T>, query: &Query, quirks: &Quirks) -> Self {
        let total = all.len();
        if query.flag("without_pagination") {
            return Self {
                items: all,
                total,
                per_page: total.max(1),
                current: 1,
            };
        }
        let asked = query.number("per_page").unwrap_or(DEFAULT).clamp(1, CAP);
        let per_page = if quirks.paging == PagingForm::PerPageIgnored {
            DEFAULT
        } else {
            asked
        };
        let current = query.number("page").unwrap_or(1).max(1);
        let items = all
            .into_iter()
            .skip((current - 1).saturating_mul(per_page))
            .take(per_page)
            .collect();
        Self {
            items,
            total,
            per_page,
            current,
        }
    }

    /// The same page of other things.
    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> Page<U> {
        let Self {
            items,
            total,
            per_page,
            current,
        } = self;
        Page {
            items: items.into_iter().map(change).collect(),
            total,
            per_page,
            current,
        }
    }

    /// `meta`, or nothing where lists have none.
    pub(crate) fn meta(&self, quirks: &Quirks, here: &Here<'_>) -> Option<Value> {
        if quirks.links == LinksForm::NoMeta {
            return None;
        }
        let pages = self.total.div_ceil(self.per_page).max(1);
        let told_pages = match quirks.paging {
            PagingForm::TotalPagesOff => self.total.div_ceil(CAP).max(1),
            _ => pages,
        };
        let link = |page: usize| json!(here.link(page, quirks.links_host));
        let next = (self.current < pages).then(|| link(self.current + 1));
        let previous = (self.current > 1).then(|| link(self.current - 1));
        let mut pagination = json!({
            "total": self.total,
            "count": self.items.len(),
            "per_page": self.per_page,
            "current_page": self.current,
            "total_pages": told_pages,
        });
        let links = match (quirks.links, next) {
            (LinksForm::PreviousNext, next) => json!({"previous": previous, "next": next}),
            (LinksForm::PrevNext, next) => json!({"prev": previous, "next": next}),
            (LinksForm::NextOrList | LinksForm::NextOrObject, Some(next)) => json!({"next": next}),
            (LinksForm::NextOrList, None) => json!([]),
            (LinksForm::NextOrObject, None) => json!({}),
            _ => Value::Null,
        };
        if quirks.links != LinksForm::Absent
            && let Some(pagination) = pagination.as_object_mut()
        {
            pagination.insert("links".into(), links);
        }
        Some(json!({"pagination": pagination}))
    }
}

impl Page<Value> {
    /// The body of a list.
    pub(crate) fn body(self, quirks: &Quirks, here: &Here<'_>) -> Value {
        let mut body = Map::new();
        if let Some(meta) = self.meta(quirks, here) {
            body.insert("meta".into(), meta);
        }
        body.insert("data".into(), Value::Array(self.items));
        Value::Object(body)
    }
}

/// The address that was called.
#[derive(Debug)]
pub(crate) struct Here<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
}

impl Here<'_> {
    fn link(&self, page: usize, host: LinksHost) -> String {
        let root = match host {
            LinksHost::Called => format!("{}{}", self.base_url, self.path),
            LinksHost::Other => match self.path.strip_prefix("/api") {
                Some(path) => format!("https://api.tallyfy.test{path}"),
                None => format!("https://go.tallyfy.test/api{}", self.path),
            },
        };
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let others: String = self
            .query
            .without("page")
            .map(|(key, value)| format!("{}={}&", encode(key), encode(value)))
            .collect();
        format!("{root}?{others}page={page}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, quirks: &Quirks) -> (Vec<i32>, Option<Value>) {
        let query = Query::parse(query);
        let here = Here {
            base_url: "http://sim",
            path: "/api/runs",
            query: &query,
        };
        let page = Page::cut((1..=25).collect(), &query, quirks);
        let meta = page.meta(quirks, &here);
        (page.items, meta)
    }

    #[test]
    fn ten_is_the_default_and_a_hundred_the_cap() {
        let quirks = Quirks::default();
        assert_eq!(page("", &quirks).0.len(), 10);
        assert_eq!(page("per_page=5000", &quirks).1.unwrap()["pagination"]["per_page"], 100);
        assert_eq!(page("page=3", &quirks).0, [21, 22, 23, 24, 25]);
        assert!(page("page=4", &quirks).0.is_empty());
    }

    #[test]
    fn links_keep_the_filters_and_can_name_the_other_host() {
        let meta = page("page=2&q=a%20b", &Quirks::default()).1.unwrap();
        let links = &meta["pagination"]["links"];
        assert_eq!(links["next"], "http://sim/api/runs?q=a%20b&page=3");
        assert_eq!(links["previous"], "http://sim/api/runs?q=a%20b&page=1");
        let other = Quirks {
            links_host: LinksHost::Other,
            ..Quirks::default()
        };
        let meta = page("", &other).1.unwrap();
        assert_eq!(
            meta["pagination"]["links"]["next"],
            "https://api.tallyfy.test/runs?page=2"
        );
    }

    #[test]
    fn the_last_page_shows_every_form_of_no_link() {
        let last = |links| {
            let quirks = Quirks {
                links,
                ..Quirks::default()
            };
            page("page=3", &quirks)
                .1
                .map(|meta| meta["pagination"].get("links").cloned())
        };
        assert_eq!(last(LinksForm::NextOrList), Some(Some(json!([]))));
        assert_eq!(last(LinksForm::NextOrObject), Some(Some(json!({}))));
        assert_eq!(last(LinksForm::Null), Some(Some(Value::Null)));
        assert_eq!(last(LinksForm::Absent), Some(None));
        assert_eq!(last(LinksForm::NoMeta), None);
        assert_eq!(last(LinksForm::PrevNext).unwrap().unwrap()["next"], Value::Null);
    }

    #[test]
    fn page_counts_can_be_off() {
        let quirks = Quirks {
            paging: PagingForm::TotalPagesOff,
            ..Quirks::default()
        };
        assert_eq!(page("", &quirks).1.unwrap()["pagination"]["total_pages"], 1);
    }
}
