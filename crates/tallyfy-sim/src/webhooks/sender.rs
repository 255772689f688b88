//! The pool that sends webhooks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::Planned;
use super::{Ledger, Notification, ORG_HEADER, Outcome};
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::render::to_text;

/// Why the HTTP client cannot be built.
pub(crate) type ClientError = Box<dyn std::error::Error + Send + Sync>;

/// What a sender needs.
#[derive(Debug)]
pub(crate) struct SenderConfig {
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: Faults,
    pub(crate) shutdown: CancellationToken,
}

/// One webhook on its way, and those that must wait until it has gone.
#[derive(Debug)]
struct Job {
    id: u64,
    followers: Vec<Job>,
}

/// Sends webhooks: starts them in order, works on a bounded number at a time.
///
/// The queue itself has no bound because the ledger keeps every notification anyway.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    ledger: Ledger,
    faults: Faults,
    clock: Arc<dyn Clock>,
    queue: mpsc::UnboundedSender<Job>,
    /// Reordered webhooks that wait for the next one.
    held: Arc<Mutex<Vec<Job>>>,
    pending: watch::Sender<usize>,
    runtime: Handle,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sender {
    /// Starts the pool on the current runtime.
    pub(crate) fn start(config: SenderConfig, ledger: Ledger) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_backend_preconfigured(without_trust()?)
            .build()?;
        let (queue, jobs) = mpsc::unbounded_channel();
        let sender = Self {
            ledger,
            faults: config.faults,
            clock: config.clock,
            queue,
            held: Arc::default(),
            pending: watch::Sender::new(0),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            shutdown: config.shutdown,
        };
        sender
            .tasks
            .spawn(sender.clone().dispatch(client, config.concurrency.max(1), jobs));
        Ok(sender)
    }

    /// Takes a webhook on. What goes wrong with it is decided here.
    pub(crate) fn send(&self, planned: Planned, pretty: bool) {
        let notification = Notification {
            id: 0,
            kind: planned.kind,
            event: planned.event,
            org: planned.org,
            run: planned.run,
            task: planned.task,
            url: planned.url,
            at: self.clock.now(),
            body: to_text(&planned.body, pretty).into(),
            duplicate_of: None,
            sent: false,
            outcome: Outcome::Pending,
            ended_at: None,
        };
        match self.faults.strike_webhook(&notification.run) {
            Some(Fault::WebhookLost) => {
                let ended_at = Some(notification.at);
                self.ledger.record(Notification {
                    outcome: Outcome::Lost,
                    ended_at,
                    ..notification
                });
            }
            Some(Fault::WebhookDuplicated) => {
                let first = self.ledger.record(notification.clone());
                let second = self.ledger.record(Notification {
                    duplicate_of: Some(first),
                    ..notification
                });
                self.enqueue(Job {
                    id: first,
                    followers: Vec::new(),
                });
                self.enqueue(Job {
                    id: second,
                    followers: Vec::new(),
                });
            }
            Some(Fault::WebhookReordered) => {
                let id = self.ledger.record(notification);
                self.pending.send_modify(|pending| *pending += 1);
                self.held().push(Job {
                    id,
                    followers: Vec::new(),
                });
            }
            Some(Fault::WebhookDelayed { by }) => {
                let job = Job {
                    id: self.ledger.record(notification),
                    followers: Vec::new(),
                };
                self.pending.send_modify(|pending| *pending += 1);
                let sender = self.clone();
                let wait = async move {
                    tokio::select! {
                        () = sender.shutdown.cancelled() => sender.give_up(&job),
                        () = tokio::time::sleep(by) => sender.start_or_give_up(job),
                    }
                };
                self.tasks.spawn_on(wait, &self.runtime);
            }
            _ => {
                let job = Job {
                    id: self.ledger.record(notification),
                    followers: Vec::new(),
                };
                self.enqueue(job);
            }
        }
    }

    fn enqueue(&self, mut job: Job) {
        job.followers = std::mem::take(&mut *self.held());
        self.pending.send_modify(|pending| *pending += 1);
        self.start_or_give_up(job);
    }

    fn start_or_give_up(&self, job: Job) {
        if let Err(refused) = self.queue.send(job) {
            self.give_up(&refused.0);
        }
    }

    /// Waits until nothing is on its way any more. Webhooks that wait for a next one go now.
    pub(crate) async fn settle(&self) {
        let held = std::mem::take(&mut *self.held());
        for job in held {
            self.start_or_give_up(job);
        }
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Waits for the pool to end, after the shutdown token was cancelled.
    pub(crate) async fn join(&self) {
        for job in std::mem::take(&mut *self.held()) {
            self.give_up(&job);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn dispatch(self, client: reqwest::Client, concurrency: usize, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let permits = Arc::new(Semaphore::new(concurrency));
        loop {
            let job = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                job = jobs.recv() => job,
            };
            let Some(job) = job else { break };
            let permit = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    self.give_up(&job);
                    break;
                }
                permit = Arc::clone(&permits).acquire_owned() => permit,
            };
            let (sender, client) = (self.clone(), client.clone());
            self.tasks.spawn(async move {
                sender.work(&client, job).await;
                drop(permit);
            });
        }
        jobs.close();
        while let Some(job) = jobs.recv().await {
            self.give_up(&job);
        }
    }

    /// Sends a webhook, and then those that had to wait for it.
    async fn work(&self, client: &reqwest::Client, job: Job) {
        for id in std::iter::once(job.id).chain(job.followers.iter().map(|follower| follower.id)) {
            let outcome = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => Outcome::Failed { error: "the simulator was shut down".to_owned() },
                outcome = self.post(client, id) => outcome,
            };
            self.end(id, outcome);
        }
    }

    async fn post(&self, client: &reqwest::Client, id: u64) -> Outcome {
        let Some(notification) = self.ledger.get(id) else {
            return Outcome::Failed {
                error: "not in the ledger".to_owned(),
            };
        };
        self.ledger.update(id, |notification| notification.sent = true);
        let request = client
            .post(&notification.url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header(ORG_HEADER, &notification.org)
            .body(notification.body.to_string());
        match request.send().await {
            Ok(answer) => Outcome::Answered {
                status: answer.status().as_u16(),
            },
            Err(error) => Outcome::Failed {
                error: describe(&error),
            },
        }
    }

    fn give_up(&self, job: &Job) {
        let outcome = || Outcome::Failed {
            error: "the simulator was shut down".to_owned(),
        };
        self.end(job.id, outcome());
        for follower in &job.followers {
            self.end(follower.id, outcome());
        }
    }

    fn end(&self, id: u64, outcome: Outcome) {
        tracing::debug!(id, ?outcome, "webhook");
        let ended_at = Some(self.clock.now());
        self.ledger.update(id, |notification| {
            notification.outcome = outcome;
            notification.ended_at = ended_at;
        });
        self.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Job>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Webhooks of a simulator go to `http://` URLs; this spares it the system's certificates.
fn without_trust() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}
