//! The pages: everything that the store can tell, for a browser. Rendered here, with a small stylesheet and no script.
//!
//! What strangers sent is text everywhere: the templates escape it, and nothing is let through as it is. GET changes nothing.

mod actions;
mod events;
mod guard;
mod handlers;
mod journal;
mod layout;
mod notifications;
mod overview;
mod run;
mod runs;
mod spark;
mod sweeps;
mod workers;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::{Router, middleware, routing};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use maud::{Markup, html};
use runs_store::{Store, StoreError};
use serde::Deserialize;

use super::Admin;
use crate::config::AdminConfig;
use crate::telemetry;
use crate::tell::{self, Status};

const STYLE: &str = include_str!("style.css");

/// How many entries a list has on one page.
const PAGE: usize = 50;

/// What every page needs.
pub(crate) struct Pages {
    admin: Arc<Admin>,
    config: AdminConfig,
    /// What a form must bring along, which only a page of this process can know.
    token: String,
}

type Shared = Arc<Pages>;

/// A page that cannot be shown.
enum Trouble {
    NotFound(&'static str),
    Refused(&'static str),
    Store(StoreError),
    NotOpen(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

type Page = Result<Response, Trouble>;

/// Where a list goes on.
#[derive(Debug, Default, Deserialize)]
struct Onward {
    after: Option<String>,
    handler: Option<String>,
}

impl Pages {
    pub(crate) fn new(admin: Arc<Admin>, config: AdminConfig) -> Self {
        let token: [u8; 16] = rand::random();
        Self {
            admin,
            config,
            token: token.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The routes, and the same under the path that a proxy uses.
    pub(crate) fn routes(self) -> Router {
        let base = self.base().to_owned();
        let pages = Arc::new(self);
        let routes = Router::new()
            .route("/", routing::get(overview::show))
            .route("/runs", routing::get(runs::show))
            .route("/runs/{org}/{run}", routing::get(run::show))
            .route("/events", routing::get(events::list))
            .route("/events/{id}", routing::get(events::show))
            .route("/handlers", routing::get(handlers::list))
            .route("/handlers/{name}", routing::get(handlers::show))
            .route("/dead-letters", routing::get(handlers::dead_letters))
            .route("/notifications", routing::get(notifications::list))
            .route("/notifications/{id}", routing::get(notifications::show))
            .route("/sweeps", routing::get(sweeps::show))
            .route("/workers", routing::get(workers::show))
            .route("/journal", routing::get(journal::show))
            .route("/act", routing::post(actions::act));
        let routes = match base.as_str() {
            "" => routes,
            // What is nested is found at the path itself, and not with the slash behind it, which the links have.
            base => routes
                .clone()
                .route(&format!("{base}/"), routing::get(overview::show))
                .nest(base, routes),
        };
        let style_of = |base: &str| format!("{base}/style.css");
        let mut styles = Router::new().route(&style_of(""), routing::get(style));
        if !base.is_empty() {
            styles = styles.route(&style_of(&base), routing::get(style));
        }
        routes
            .layer(middleware::from_fn_with_state(Arc::clone(&pages), guard::check))
            .merge(styles)
            .with_state(pages)
    }

    /// The path before every link.
    fn base(&self) -> &str {
        self.config
            .base_path
            .as_deref()
            .unwrap_or_default()
            .trim_end_matches('/')
    }

    fn store(&self) -> Result<&dyn Store, Trouble> {
        match self.admin.store.get() {
            Ok(store) => Ok(store.as_ref()),
            Err(error) => Err(Trouble::NotOpen(error.to_string())),
        }
    }

    fn now(&self) -> Timestamp {
        self.admin.clock.wall()
    }

    async fn status(&self) -> Result<Status, Trouble> {
        Ok(tell::status(self.store()?, self.now()).await?)
    }
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
    ];
    (headers, STYLE)
}

/// A page as an answer.
fn answer(status: StatusCode, page: Markup) -> Response {
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(CONTENT_TYPE, content_type)], page.into_string()).into_response()
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound(what) => (StatusCode::NOT_FOUND, what.to_owned()),
            Self::Refused(why) => (StatusCode::FORBIDDEN, why.to_owned()),
            Self::Store(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("The store does not answer: {}", telemetry::chain(&error)),
            ),
            Self::NotOpen(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        let page = html! {
            (maud::DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; title { "runs-worker" } }
                body { main { h1 { "This page cannot be shown" } p { (text) } } }
            }
        };
        answer(status, page)
    }
}
