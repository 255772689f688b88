//! What lists say of their pages.

use crate::lenient::{Field, Item};
use crate::record::record;

record! {
    /// `meta.pagination` of a list (API reference, section e.2). It is advice at best: some lists have none, and of others
    /// `total_pages` is computed from another page size than the one that was asked for.
    pub struct Pagination {
        /// How many things there are on all pages.
        total: i64,
        /// How many are on this page.
        count: i64,
        /// How many a page has.
        per_page: i64,
        /// Which page this is, counted from 1.
        current_page: i64,
        /// How many pages there are.
        total_pages: i64,
        /// Where the neighbours of this page are; `[]` if it has none.
        links: Item<Links>,
    }
}

record! {
    /// Where the neighbours of a page are. A link may name another host than the one that was asked: do not follow it with
    /// a token.
    pub struct Links {
        /// The next page.
        next: String,
        /// The page before.
        previous: String,
        /// The page before, in another spelling.
        prev: String,
    }
}

record! {
    /// `meta` of a list.
    pub struct Meta {
        /// What it says of its pages.
        pagination: Item<Pagination>,
    }
}

impl Pagination {
    /// Whether it names a page after this one.
    pub fn names_next(&self) -> bool {
        let links = self.links.get();
        links
            .and_then(|links| links.next.as_str())
            .is_some_and(|next| !next.is_empty())
    }
}

impl Field<Meta> {
    /// What the list says of its pages; every member is absent where it says nothing.
    pub fn pagination(self) -> Pagination {
        let pagination = self.into_value().and_then(|meta| meta.pagination.into_value());
        pagination.map(Item::into_inner).unwrap_or_default()
    }
}
