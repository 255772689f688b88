//! Lists that come in pages.

use std::collections::{HashSet, VecDeque};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tallyfy_model::{Json, Pagination};
use tallyfy_transport::{Request, TransportError};

use crate::client::Client;
use crate::decode;
use crate::error::Error;

/// The most that the server gives on a page (API reference, section e.2).
pub(crate) const MAX_PER_PAGE: u32 = 100;

/// A list, to be read page by page. Nothing is asked for before [`next`](Self::next).
///
/// What the server says of its pages cannot be relied on (API reference, section e.2), so:
///
/// - pages are asked for by number, and a link is never followed: it may name a host that must not see the token;
/// - the list ends with an empty page, with a page that is the one before over again, or where the total, the size of
///   the page and the links all say that it does;
/// - what was on an earlier page already, because something moved in between, is left out. For that, the ids that were
///   seen are remembered.
///
/// What leaves the list while it is read can move another thing to a page that was read already. Only a list that is not
/// paged, or another reading, finds that one.
#[must_use = "nothing is asked for before `next`"]
pub struct Pages<T> {
    client: Client,
    /// Without the number of the page; an error that nobody was told of yet.
    request: Result<Request, Option<TransportError>>,
    read: fn(Json) -> Result<(String, T), Json>,
    per_page: u32,
    position: Position,
    seen: HashSet<String>,
    page_before: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The whole list is asked for at once.
    Unpaged,
    /// This page is next.
    Page(u32),
    End,
}

/// A page of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// Which page it is, counted from 1.
    pub number: u32,
    /// What is on it, and was on no page before.
    pub items: Vec<T>,
    /// What is on it and cannot be read, because it has no id for example.
    pub unreadable: Vec<Json>,
    /// What the server says of its pages.
    pub pagination: Pagination,
}

impl<T> Pages<T> {
    pub(crate) fn new(
        client: &Client,
        request: Result<Request, TransportError>,
        read: fn(Json) -> Result<(String, T), Json>,
    ) -> Self {
        Self {
            client: client.clone(),
            request: request.map_err(Some),
            read,
            per_page: MAX_PER_PAGE,
            position: Position::Page(1),
            seen: HashSet::new(),
            page_before: Vec::new(),
        }
    }

    /// Asks for pages of this size, from 1 to 100, or the server's own where it ignores that. 100 by default.
    pub fn per_page(mut self, per_page: u32) -> Self {
        self.per_page = per_page.clamp(1, MAX_PER_PAGE);
        self
    }

    /// Begins with this page, counted from 1, to go on where another reading was broken off.
    pub fn starting_at(mut self, page: u32) -> Self {
        if let Position::Page(first) = &mut self.position {
            *first = page.max(1);
        }
        self
    }

    /// Asks for the whole list at once.
    pub(crate) fn unpaged(mut self) -> Self {
        self.position = Position::Unpaged;
        self
    }

    /// The next page; `None` after the last. A page without items is one only where the list says that it has some.
    ///
    /// # Errors
    /// [`Error`]. The same page is asked for again by the next call, unless it is [`Error::Unsendable`]: an id in the path
    /// is no part of a path.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        let request = match &mut self.request {
            Ok(request) => request.clone(),
            Err(error) => return error.take().map_or(Ok(None), |error| Err(error.into())),
        };
        let (number, request) = match self.position {
            Position::End => return Ok(None),
            Position::Unpaged => (1, request.query("without_pagination", "true")),
            Position::Page(number) => {
                let request = request.query("page", number.to_string());
                (number, request.query("per_page", self.per_page.to_string()))
            }
        };
        let (elements, pagination) = self.client.ask(request, decode::list).await?;
        Ok(self.take(number, elements, pagination))
    }

    fn take(&mut self, number: u32, elements: Vec<Json>, pagination: Pagination) -> Option<Page<T>> {
        let on_page = elements.len();
        let mut ids = Vec::with_capacity(on_page);
        let mut page = Page {
            number,
            items: Vec::with_capacity(on_page),
            unreadable: Vec::new(),
            pagination,
        };
        for element in elements {
            match (self.read)(element) {
                Ok((id, item)) => {
                    if self.seen.insert(id.clone()) {
                        page.items.push(item);
                    }
                    ids.push(id);
                }
                Err(element) => {
                    ids.push(element.raw().to_owned());
                    page.unreadable.push(element);
                }
            }
        }
        let is_over_again = ids == self.page_before;
        if on_page == 0 || is_over_again {
            self.position = Position::End;
            // A list that is empty beside a total contradicts itself, which its reader has to know.
            let is_short = page.pagination.total.get().is_some_and(|&total| total > 0) && self.seen.is_empty();
            return is_short.then_some(page);
        }
        self.page_before = ids;
        self.position = match self.position {
            Position::Page(number) if !self.is_last(on_page, &page.pagination) => Position::Page(number + 1),
            _ => Position::End,
        };
        Some(page)
    }

    /// Whether everything that tells the last page from the others says that this is it.
    fn is_last(&self, on_page: usize, pagination: &Pagination) -> bool {
        let all_seen = pagination
            .total
            .get()
            .is_some_and(|&total| usize::try_from(total).is_ok_and(|total| total == self.seen.len()));
        let is_short = u32::try_from(on_page).is_ok_and(|on_page| on_page < self.per_page);
        all_seen && is_short && !pagination.names_next()
    }

    /// Reads all pages that are left.
    ///
    /// # Errors
    /// The first [`Error`]. What was read before is lost; read page by page, or as a stream, to keep it.
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page.items);
        }
        Ok(items)
    }
}

impl<T: Send + 'static> Pages<T> {
    /// What is on the pages, one after another; a page is asked for when the one before has been taken. What cannot be
    /// read is left out. After an error, the stream ends.
    pub fn into_stream(self) -> BoxStream<'static, Result<T, Error>> {
        stream::try_unfold((self, VecDeque::new()), |(mut pages, mut items)| async move {
            loop {
                if let Some(item) = items.pop_front() {
                    return Ok(Some((item, (pages, items))));
                }
                match pages.next().await? {
                    Some(page) => items.extend(page.items),
                    None => return Ok(None),
                }
            }
        })
        .boxed()
    }
}
