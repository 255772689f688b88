//! One request on its way through the API.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Map, Value};

use super::error::{ApiError, json_response};
use super::page::{Here, Page};
use super::query::Query;
use crate::quirks::Quirks;
use crate::render::{Includes, Render, to_text};
use crate::replicas::{Contradiction, View};
use crate::shared::{Caller, Shared};
use crate::world::{Lag, Organization, Run, World, WorldError};

/// What every endpoint needs to know of a request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) quirks: Quirks,
    pub(crate) caller: Caller,
    pub(crate) query: Query,
    /// How this request sees the world: only reads are answered by replicas.
    pub(crate) view: View,
    path: String,
    accepts_json: bool,
}

impl Context {
    /// Checks the mandatory headers.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        quirks: Quirks,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
    ) -> Result<Self, ApiError> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if text("accept").is_empty() || text("x-tallyfy-client").trim().is_empty() {
            return Err(ApiError::MissingHeaders);
        }
        // Exactly one space: the server takes nothing else.
        let token = text("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let caller = shared.tokens().get(token).cloned().ok_or(ApiError::Unauthenticated)?;
        let query = Query::parse(uri.query().unwrap_or_default());
        let view = match *method {
            Method::GET | Method::HEAD => shared.view(&asked_for(&query)),
            _ => View::default(),
        };
        Ok(Self {
            shared: Arc::clone(shared),
            quirks,
            caller,
            query,
            view,
            path: uri.path().to_owned(),
            accepts_json: accepts_json(headers),
        })
    }

    /// The includes that were asked for.
    pub(crate) fn with(&self) -> Includes {
        asked_for(&self.query)
    }

    /// How far behind this request sees the world.
    pub(crate) fn lag(&self) -> Lag {
        self.view.lag
    }

    /// Whether the caller may see the organization: 404 when there is none, 403 when it is somebody else's.
    pub(crate) fn admit(&self, world: &World, org: &str) -> Result<(), ApiError> {
        if world.organization(org).is_none() {
            return Err(ApiError::NoResource);
        }
        if self.caller.org == org {
            Ok(())
        } else {
            Err(ApiError::Forbidden)
        }
    }

    /// Answers with something read from an organization.
    pub(crate) fn read(
        &self,
        org: &str,
        read: impl FnOnce(&Organization, &Render<'_>) -> Result<Value, ApiError>,
    ) -> Response {
        self.respond(StatusCode::OK, self.try_read(org, read))
    }

    fn try_read(
        &self,
        org: &str,
        read: impl FnOnce(&Organization, &Render<'_>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let world = self.shared.world();
        self.admit(&world, org)?;
        let org = world.organization(org).ok_or(ApiError::NoResource)?;
        read(
            org,
            &Render {
                org,
                quirks: &self.quirks,
                now: world.now(),
            },
        )
    }

    /// Changes the world, then answers with something read from it.
    pub(crate) fn change<T>(
        &self,
        org: &str,
        status: StatusCode,
        change: impl FnOnce(&mut World) -> Result<T, WorldError>,
        read: impl FnOnce(&Organization, &Render<'_>, T) -> Result<Value, ApiError>,
    ) -> Response {
        let admitted = self.admit(&self.shared.world(), org);
        let body = admitted
            .and_then(|()| self.shared.change(change).map_err(ApiError::from))
            .and_then(|value| self.try_read(org, |org, render| read(org, render, value)));
        self.respond(status, body)
    }

    /// A page of a list.
    pub(crate) fn page<T>(&self, all: Vec<T>, render: impl Fn(T) -> Value) -> Value {
        let page = self.cut(all);
        self.page_body(page, render)
    }

    /// Cuts the page out that was asked for.
    pub(crate) fn cut<T>(&self, mut all: Vec<T>) -> Page<T> {
        if self.view.list == Some(Contradiction::Half) {
            all.truncate(all.len() / 2);
        }
        let mut page = Page::cut(all, &self.query, &self.quirks);
        match self.view.list {
            Some(Contradiction::Empty) => page.items.clear(),
            Some(Contradiction::Short) => drop(page.items.pop()),
            Some(Contradiction::Half) | None => {}
        }
        page
    }

    fn page_body<T>(&self, page: Page<T>, render: impl Fn(T) -> Value) -> Value {
        page.map(render).body(
            &self.quirks,
            &Here {
                base_url: &self.shared.base_url,
                path: &self.path,
                query: &self.query,
            },
        )
    }

    /// An answer with this body, or with this error.
    pub(crate) fn respond(&self, status: StatusCode, body: Result<Value, ApiError>) -> Response {
        match body {
            Ok(body) => json_response(status, to_text(&body, self.quirks.pretty)),
            Err(error) => self.refuse(&error),
        }
    }

    /// An answer with this error.
    pub(crate) fn refuse(&self, error: &ApiError) -> Response {
        error.response(self.quirks.errors, self.accepts_json)
    }
}

fn asked_for(query: &Query) -> Includes {
    Includes::parse(query.get("with").unwrap_or_default())
}

/// A run of an organization as the caller sees it.
pub(crate) fn seen_run<'w>(
    cx: &Context,
    org: &'w Organization,
    render: &Render<'_>,
    run: &str,
) -> Result<&'w Arc<Run>, ApiError> {
    let history = org.runs.get(run).ok_or(ApiError::NoResource)?;
    history.seen(cx.lag(), render.now).ok_or(ApiError::NoResource)
}

/// `{"data": …}`.
pub(crate) fn data(value: Value) -> Value {
    Value::Object(Map::from_iter([("data".to_owned(), value)]))
}

/// Whether errors may be JSON. `*/*` gets HTML; to be told that the header is missing, nobody has to send it.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::ACCEPT) {
        return true;
    }
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("json")))
}
