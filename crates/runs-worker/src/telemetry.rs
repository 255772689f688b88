//! Logs and metrics.

pub(crate) mod process;
#[cfg(feature = "prometheus")]
mod prometheus;

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat};
use crate::shared::visible::{visible_line, visible_log};

#[cfg(feature = "prometheus")]
#[cfg_attr(docsrs, doc(cfg(feature = "prometheus")))]
pub use prometheus::start_metrics;

/// What is logged, which can be changed while the process runs.
#[derive(Clone, Debug)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Logs what this configuration says from now on; its format stays what it was.
    ///
    /// # Errors
    /// If the filter cannot be read.
    pub fn set(&self, config: &LogConfig) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.reload(filter(config)?)?)
    }
}

fn filter(config: &LogConfig) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.filter).map_err(|error| format!("log.filter: {error}"))
}

/// Starts logging to the standard error: only events go to the standard output.
///
/// # Errors
/// If the filter cannot be read, or something else logs already.
pub fn start_logging(config: &LogConfig) -> Result<LogFilter, Box<dyn Error + Send + Sync>> {
    let (filter, handle) = reload::Layer::new(filter(config)?);
    let terminal = std::io::stderr().is_terminal();
    let human = match config.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if human {
        registry
            .with(
                fmt::layer()
                    .with_writer(move || Visible { is_coloured: terminal })
                    .with_target(false)
                    .with_ansi(terminal),
            )
            .try_init()?;
    } else {
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false);
        registry
            .with(
                layer
                    .with_span_list(false)
                    .with_writer(|| Visible { is_coloured: false }),
            )
            .try_init()?;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The message may hold anything that was being worked on.
        tracing::error!(place, "panic");
    }));
    Ok(LogFilter(handle))
}

/// The standard error, with what is invisible of a line written out as JSON does it: what is JSON says the same.
struct Visible {
    /// Whether lines may be coloured: `tracing-subscriber` escapes what would be a colour within a field.
    is_coloured: bool,
}

impl Write for Visible {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = visible_log(&String::from_utf8_lossy(line), self.is_coloured);
        io::stderr().write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    visible_line(&line)
}
