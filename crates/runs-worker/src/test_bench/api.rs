//! The API of a bench: it knows the runs that it was told, and their tasks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tallyfy_model::{Run, RunId};
use tallyfy_transport::{HttpTransport, Request, Response, TransportError};

#[derive(Default)]
pub(super) struct Api(Mutex<BTreeMap<RunId, Run>>);

impl Api {
    pub(super) fn set(&self, run: &Run) {
        self.runs().insert(run.id().clone(), run.clone());
    }

    pub(super) fn remove(&self, run: &RunId) {
        self.runs().remove(run);
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, path: &str) -> Option<String> {
        let runs = self.runs();
        let mut parts = path.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        match kind {
            "runs" => Some(format!(
                r#"{{"data":{}}}"#,
                runs.values().find(|run| run.id() == id)?.raw()
            )),
            "tasks" => {
                let has = |run: &&Run| {
                    run.tasks
                        .iter()
                        .any(|task| task.id.get().is_some_and(|task| task == id))
                };
                let run = runs.values().find(has)?;
                Some(json!({"data": {"id": id, "run_id": run.id().as_str()}}).to_string())
            }
            _ => None,
        }
    }
}

#[async_trait]
impl HttpTransport for Api {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let unknown = || json!({"error": true, "message": "Resource not found", "code": "RESOURCE_NOT_FOUND"});
        let (status, body) = match self.answer(request.path()) {
            Some(body) => (StatusCode::OK, body),
            None => (StatusCode::NOT_FOUND, unknown().to_string()),
        };
        Ok(Response::new(status, HeaderMap::new(), body))
    }
}
