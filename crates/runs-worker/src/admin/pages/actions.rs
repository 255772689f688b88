//! What a person sets right on the pages, and what is written down of it.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use http::HeaderMap;
use runs_store::{HandlerName, JournalEntry, Lane, Query, SchedulingTime, Store};
use tallyfy_model::{OrgId, RunId};
use tracing::info;
use uuid::Uuid;

use super::guard::Who;
use super::handlers::place;
use super::{Page, Pages, Shared, Trouble};
use crate::tell::plural;

/// What the journal calls these entries.
const KIND: &str = "person";

/// A form, as far as it is understood.
#[derive(Default)]
struct Form {
    token: String,
    what: String,
    back: String,
    org: Option<OrgId>,
    run: Option<RunId>,
    handler: Option<HandlerName>,
    event: Option<Uuid>,
    letters: Vec<String>,
}

impl Form {
    fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let value = value.into_owned();
            match name.as_ref() {
                "token" => form.token = value,
                "what" => form.what = value,
                "back" => form.back = value,
                "org" => form.org = Some(OrgId::new(value)),
                "run" => form.run = Some(RunId::new(value)),
                "handler" => form.handler = Some(HandlerName::new(value)),
                "event" => form.event = value.parse().ok(),
                "letter" => form.letters.push(value),
                _ => {}
            }
        }
        form
    }

    /// What it is about. Nothing is done to everything.
    fn query(&self) -> Result<Query, Trouble> {
        let mut query = Query::default();
        query.org.clone_from(&self.org);
        query.run.clone_from(&self.run);
        query.handler.clone_from(&self.handler);
        query.ids.extend(self.event);
        match query == Query::default() {
            true => Err(Trouble::Refused("The form does not say what is meant.")),
            false => Ok(query),
        }
    }
}

pub(super) async fn act(
    State(pages): State<Shared>,
    Extension(Who(who)): Extension<Who>,
    headers: HeaderMap,
    body: Bytes,
) -> Page {
    if !pages.config.actions {
        return Err(Trouble::Refused(
            "Nothing can be changed here: admin.actions is not set.",
        ));
    }
    let form = Form::read(&body);
    if !pages.is_from_us(&headers, &form.token) {
        return Err(Trouble::Refused(
            "This form was not made by this page, or by an older one. Load the page again.",
        ));
    }
    let store = pages.store()?;
    let text = pages.done(store, &form).await?;
    info!(%who, what = form.what, text, "done on the page");
    let mut entry = JournalEntry::new(pages.now(), who, KIND, text);
    entry.org = form.org;
    entry.run = form.run;
    entry.handler = form.handler;
    store.note(entry).await?;
    // Back within these pages, and nowhere else.
    let back = match form.back.starts_with('/') && !form.back.starts_with("//") {
        true => form.back.as_str(),
        false => "/",
    };
    Ok(Redirect::to(&format!("{}{back}", pages.base())).into_response())
}

impl Pages {
    /// Does it, and says what was done.
    async fn done(&self, store: &dyn Store, form: &Form) -> Result<String, Trouble> {
        let now: SchedulingTime = self.admin.clock.now();
        let handler = || {
            form.handler
                .clone()
                .ok_or(Trouble::Refused("The form names no handler."))
        };
        match form.what.as_str() {
            "pause" | "resume" => {
                let (handler, paused) = (handler()?, form.what == "pause");
                if !store.set_paused(&handler, paused).await? {
                    return Err(Trouble::NotFound("No handler has this name."));
                }
                let done = if paused { "paused" } else { "resumed" };
                Ok(format!("{done} handler {handler}"))
            }
            "refresh" => match (&form.org, &form.run) {
                (Some(org), Some(run)) => {
                    store.request_refresh(org, run, Lane::Live, now).await?;
                    Ok(format!("asked for a fetch of run {run}"))
                }
                _ => Err(Trouble::Refused("The form names no run.")),
            },
            "retry-deliveries" => {
                let made_due = store.retry_deliveries(&form.query()?, now).await?;
                Ok(format!("had {} tried now", plural(made_due, "delivery")))
            }
            "retry-dead-letters" => {
                let put_back = store.retry_dead_letters(&form.query()?, now).await?;
                Ok(format!("had {} sent again", plural(put_back, "dead letter")))
            }
            "replay" => {
                let events: Vec<Uuid> = form.event.into_iter().collect();
                let (handler, sent) = (handler()?, store.replay(&events, &handler()?, now).await?);
                Ok(format!("had {} sent to handler {handler} again", plural(sent, "event")))
            }
            "retry-letters" | "drop-letters" => self.letters(store, form, now).await,
            _ => Err(Trouble::Refused("The form does not say what to do.")),
        }
    }

    /// Ends the dead letters that were chosen, one by one.
    async fn letters(&self, store: &dyn Store, form: &Form, now: SchedulingTime) -> Result<String, Trouble> {
        let mut count = 0;
        let is_retry = form.what == "retry-letters";
        for letter in form.letters.iter().filter_map(|letter| place(letter)) {
            let mut query = Query::default();
            query.ids.push(letter.id);
            query.handler = letter.handler;
            count += match is_retry {
                true => store.retry_dead_letters(&query, now).await?,
                false => store.drop_dead_letters(&query).await?,
            };
        }
        let letters = plural(count, "dead letter");
        Ok(match is_retry {
            true => format!("had {letters} sent again"),
            false => format!("deleted {letters}"),
        })
    }
}
