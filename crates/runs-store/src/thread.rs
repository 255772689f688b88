//! A thread that owns a connection, or a file.

use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::sync::{mpsc, watch};

use crate::error::StoreError;

/// How many requests may wait; the next one waits with its caller.
const QUEUE: usize = 1024;

/// How many requests are taken together.
pub(crate) const MAX_BATCH: usize = 512;

enum Message<R> {
    Request(R),
    /// Ends the thread after what is queued.
    Close,
}

/// The handle of such a thread. Dropping it ends the thread, after everything that is queued, and waits for that.
pub(crate) struct ConnectionThread<R> {
    requests: Option<mpsc::Sender<Message<R>>>,
    /// Closed when the thread has let go of everything.
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl<R: Send + 'static> ConnectionThread<R> {
    /// Starts it. The requests come in batches, as many as there are; the state is dropped in the thread, at its end.
    pub(crate) fn start<S: Send + 'static>(
        name: &str,
        mut state: S,
        serve: fn(&mut S, Vec<R>),
        end: fn(S),
    ) -> io::Result<Self> {
        let (requests, mut queue) = mpsc::channel(QUEUE);
        let (running, ended) = watch::channel(());
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let mut messages = Vec::with_capacity(MAX_BATCH);
            while queue.blocking_recv_many(&mut messages, MAX_BATCH) > 0 {
                let mut batch = Vec::with_capacity(messages.len());
                for message in messages.drain(..) {
                    match message {
                        Message::Request(request) => batch.push(request),
                        Message::Close => queue.close(),
                    }
                }
                if !batch.is_empty() {
                    serve(&mut state, batch);
                }
            }
            end(state);
            drop(running);
        })?;
        Ok(Self {
            requests: Some(requests),
            ended,
            thread: Some(thread),
        })
    }

    /// Queues a request.
    pub(crate) async fn request(&self, request: R) -> Result<(), StoreError> {
        match &self.requests {
            Some(requests) => requests
                .send(Message::Request(request))
                .await
                .map_err(|_| StoreError::Closed),
            None => Err(StoreError::Closed),
        }
    }

    /// Queues a request if there is room for it, and forgets it otherwise: for what the next request brings about, too.
    pub(crate) fn try_request(&self, request: R) {
        if let Some(requests) = &self.requests {
            drop(requests.try_send(Message::Request(request)));
        }
    }

    /// Ends the thread after what is queued, and waits until it has let go of everything. What comes later is refused.
    pub(crate) async fn close(&self) {
        if let Some(requests) = &self.requests {
            // Refused if somebody else closes it already.
            let _: Result<(), _> = requests.send(Message::Close).await;
        }
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl<R> Drop for ConnectionThread<R> {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
    }
}
