//! Whether an answer about a run is believed.
//!
//! A firewall, a proxy or a login page between the worker and the API answers 403 and 404, too. What the API says in its own
//! words is believed. Anything else is believed only if the list of runs shows that the API answers otherwise, and never of
//! many runs at once: then it is something on the road, and is tried again like any outage.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runs_store::Subject;
use tallyfy_runs::{Client, Error};
use tokio::time::Instant;

/// For how long it serves what the list of runs showed.
const SERVES: Duration = Duration::from_secs(60);
/// Within how long answers about different runs are counted together, and how many are believed.
const TOGETHER: Duration = Duration::from_secs(10 * 60);
const MOST: usize = 3;

/// What is known of the API as a whole.
#[derive(Default)]
pub(crate) struct Doubt {
    /// Whether the list of runs was answered, and when it was asked for.
    listed: tokio::sync::Mutex<Option<(Instant, bool)>>,
    /// What was answered in words that are not the API's, and when.
    strange: Mutex<Vec<(Subject, Instant)>>,
}

impl Doubt {
    /// Whether to believe that the thing is gone, or not to be seen.
    pub(super) async fn believes(&self, client: &Client, subject: &Subject, error: &Error) -> bool {
        let (Error::NotFound(answer) | Error::NoAccess(answer)) = error else {
            return true;
        };
        answer.is_the_apis_own || (self.are_few(subject) && self.api_answers(client).await)
    }

    /// Whether the API answers at all: asked at most once a minute.
    pub(super) async fn api_answers(&self, client: &Client) -> bool {
        let mut listed = self.listed.lock().await;
        if let Some((at, answered)) = *listed
            && at.elapsed() < SERVES
        {
            return answered;
        }
        let answered = client.probe().await.is_ok();
        *listed = Some((Instant::now(), answered));
        answered
    }

    fn are_few(&self, subject: &Subject) -> bool {
        let now = Instant::now();
        let mut strange = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        strange.retain(|(other, at)| now.duration_since(*at) < TOGETHER && other != subject);
        // One more than are believed is enough to know that they are many.
        strange.truncate(MOST);
        strange.push((subject.clone(), now));
        strange.len() <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn strange_answers_about_many_runs_at_once_are_believed_of_none() {
        let doubt = Doubt::default();
        let few = |run: &str| doubt.are_few(&Subject::Run(run.into()));
        assert!(few("a") && few("a") && few("b") && few("c"));
        assert!(!few("d") && !few("a") && !few("e"));
        tokio::time::advance(TOGETHER).await;
        assert!(few("a") && few("b"));
    }
}
