//! Events as lines on the standard output.

use std::io::Write;

use async_trait::async_trait;

use super::{Event, Handler, HandlerError};

/// Writes each event to the standard output, as one line of JSON, and counts it as delivered once it was written.
///
/// What a pipe's reader does with it is out of sight: lines that were in the pipe when the reader died are gone.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StdoutHandler;

impl StdoutHandler {
    /// The handler.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Handler for StdoutHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        let mut line = event.json().to_vec();
        line.push(b'\n');
        // A pipe may block for as long as its reader likes.
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&line).and_then(|()| stdout.flush())
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(HandlerError::retry(format!("standard output: {error}"))),
            Err(error) => Err(HandlerError::retry(format!("standard output: {error}"))),
        }
    }
}
