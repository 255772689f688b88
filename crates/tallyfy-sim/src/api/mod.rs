//! The API: what is checked, in which order, and where it leads.
//!
//! A request is counted first, then delayed or held, then meets the rate limit, then faults, then the mandatory
//! headers, and only then an endpoint. It is mounted at the root and under `/api`, as on the vendor's two hosts.

mod checklists;
mod context;
mod directory;
mod error;
mod page;
mod query;
mod run_filter;
mod runs;
mod strike;
mod tasks;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use http::{HeaderValue, Request};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use self::context::{Context, accepts_json};
use self::error::ApiError;
use crate::faults::Fault;
use crate::rate_limit::Verdict;
use crate::requests::Place;
use crate::shared::Shared;

pub(crate) use self::strike::Dropped;
pub use self::strike::LEAKED_SQL;

/// The API of one simulator.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
    router: TowerToHyperService<Router>,
}

impl Api {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let routes = routes().fallback(no_endpoint).method_not_allowed_fallback(no_endpoint);
        let router = Router::new().nest("/api", routes.clone()).merge(routes);
        Self {
            shared,
            router: TowerToHyperService::new(router),
        }
    }

    /// Answers a request, or tells to drop the connection.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Result<Response, Dropped> {
        let shared = &self.shared;
        let path = request.uri().path();
        let mut place = Place::of(request.method().as_str(), path);
        if let Some(task) = place.task.as_deref().filter(|_| place.run.is_none()) {
            place.run = shared.world().run_of_task(task).map(str::to_owned);
        }
        let number = shared.next_request();
        let at = shared.clock.now();
        let full_path = request.uri().path_and_query().map_or(path, |path| path.as_str());
        let call = shared
            .requests
            .begin(number, at, &place.route, full_path, place.run.as_deref());

        let mut struck = shared.faults.strike_request(place.run.as_deref(), &place.route);
        tokio::select! {
            () = shared.shutdown.cancelled() => return Err(Dropped),
            () = async {
                tokio::time::sleep(struck.latency).await;
                struck.wait().await;
            } => {}
        }
        let fault = struck.fault.take();
        let verdict = shared.rate_limit.ask();
        let mut response = self.answer_or_refuse(request, &place, fault, &verdict).await?;
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&format!("sim-{number:08}")) {
            headers.insert("x-request-id", id);
        }
        if let Verdict::Allowed { limit, remaining } = verdict {
            headers.insert("x-ratelimit-limit", limit.into());
            headers.insert("x-ratelimit-remaining", remaining.into());
        }
        call.answered(response.status().as_u16());
        Ok(response)
    }

    async fn answer_or_refuse(
        &self,
        mut request: Request<Body>,
        place: &Place,
        fault: Option<Fault>,
        verdict: &Verdict,
    ) -> Result<Response, Dropped> {
        let quirks = self.shared.quirks.draw();
        let json = accepts_json(request.headers());
        if let Verdict::Refused { seconds, .. } = verdict {
            let error = ApiError::TooMany {
                retry_after: Some(seconds.to_string()),
            };
            return Ok(error.response(quirks.errors, json));
        }
        if let Some(fault) = &fault
            && let Some(response) = strike::instead(fault, self.shared.clock.now(), quirks.errors, json)
        {
            return response;
        }
        let errors = quirks.errors;
        let head = (request.method(), request.uri(), request.headers());
        let context = match Context::new(&self.shared, quirks, head) {
            Ok(context) => context,
            Err(error) => return Ok(error.response(errors, json)),
        };
        if fault == Some(Fault::OtherRun) {
            self.lead_astray(&mut request, place);
        }
        request.extensions_mut().insert(Arc::new(context));
        let response = match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        match &fault {
            Some(fault) => strike::spoil(fault, response).await,
            None => Ok(response),
        }
    }

    /// Makes the request ask for another run than it does.
    fn lead_astray(&self, request: &mut Request<Body>, place: &Place) {
        let Some(run) = &place.run else { return };
        let world = self.shared.world();
        let Some(org) = world.run(run).ok().and_then(|run| world.organization(&run.org)) else {
            return;
        };
        let Some(other) = org.runs.keys().find(|other| *other != run) else {
            return;
        };
        if let Ok(uri) = request.uri().to_string().replace(run, other).parse() {
            *request.uri_mut() = uri;
        }
    }
}

async fn no_endpoint(Extension(cx): Extension<Arc<Context>>) -> Response {
    cx.refuse(&ApiError::NoEndpoint)
}

fn routes() -> Router {
    let people = Router::new()
        .route("/me", get(directory::me))
        .route("/me/organizations", get(directory::my_organizations))
        .route("/organizations/{org}", get(directory::organization))
        .route("/organizations/{org}/me", get(directory::me_in))
        .route("/organizations/{org}/me/tasks", get(tasks::mine))
        .route("/organizations/{org}/users", get(directory::users))
        .route("/organizations/{org}/users-list", get(directory::users_list))
        .route("/organizations/{org}/users/{user}", get(directory::user))
        .route("/organizations/{org}/users/{user}/tasks", get(tasks::of_member))
        .route(
            "/organizations/{org}/users/{user}/add-watcher",
            post(directory::add_watcher),
        )
        .route("/organizations/{org}/watchers", get(directory::watchers))
        .route(
            "/organizations/{org}/remove-watcher/{watcher}",
            delete(directory::remove_watcher),
        )
        .route("/organizations/{org}/guests", get(directory::guests))
        .route("/organizations/{org}/guests-list", get(directory::guests_list))
        .route("/organizations/{org}/guests/{guest}", get(directory::guest))
        .route("/organizations/{org}/groups", get(directory::groups))
        .route("/organizations/{org}/groups/{group}", get(directory::group))
        .route("/organizations/{org}/tags", get(directory::tags))
        .route("/organizations/{org}/tags/{tag}", get(directory::tag));
    let templates = Router::new()
        .route("/organizations/{org}/checklists", get(checklists::list))
        .route("/organizations/{org}/checklists/{checklist}", get(checklists::get))
        .route(
            "/organizations/{org}/checklists/{checklist}/form-fields",
            get(checklists::form_fields),
        )
        .route(
            "/organizations/{org}/checklists/{checklist}/steps",
            get(checklists::steps),
        )
        .route(
            "/organizations/{org}/checklists/{checklist}/steps/{step}",
            get(checklists::step),
        )
        .route("/organizations/{org}/search", get(checklists::search));
    let runs = Router::new()
        .route("/organizations/{org}/runs", get(runs::list).post(runs::launch))
        .route(
            "/organizations/{org}/runs/{run}",
            get(runs::get).put(runs::update).delete(runs::archive),
        )
        .route("/organizations/{org}/runs/{run}/activate", put(runs::activate))
        .route("/organizations/{org}/runs/{run}/form-fields", get(runs::form_fields))
        .route("/organizations/{org}/runs/{run}/tasks", get(tasks::list))
        .route(
            "/organizations/{org}/runs/{run}/tasks/{task}",
            get(tasks::get).put(tasks::update),
        )
        .route("/organizations/{org}/runs/{run}/completed-tasks", post(tasks::complete))
        .route(
            "/organizations/{org}/runs/{run}/completed-tasks/{task}",
            delete(tasks::reopen),
        )
        .route(
            "/organizations/{org}/tasks/{task}",
            get(tasks::get_alone).put(tasks::update_alone),
        )
        .route("/organizations/{org}/tasks/{task}/{label}", post(tasks::comment))
        .route("/organizations/{org}/completed-tasks", post(tasks::complete_alone))
        .route(
            "/organizations/{org}/completed-tasks/{task}",
            delete(tasks::reopen_alone),
        );
    people.merge(templates).merge(runs)
}
