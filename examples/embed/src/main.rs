//! Shows a board of runs in the terminal. Configured like the worker: by the environment, or by the file that
//! `RUNS_WORKER_CONFIG` names.

use std::time::Duration;

use embed::Board;
use runs_worker::{Worker, config, telemetry};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let loaded = config::load(&config::Flags::default(), &std::env::vars().collect(), true)?;
    // To the standard error: what the worker does, without a secret or a body.
    telemetry::start_logging(&loaded.config.log)?;
    let board = Board::default();
    // The name is what the worker keeps its place under, from one start to the next.
    let mut worker = Worker::builder(loaded).handler("board", board.clone()).start().await?;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut shown = String::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let now = board.to_string();
                if now != shown {
                    println!("{now}");
                    shown = now;
                }
            }
            _ = tokio::signal::ctrl_c() => break,
            stage = worker.failed() => return Err(format!("{stage} ended by itself").into()),
        }
    }
    // Finishes what is in hand; the rest waits in the store.
    worker.stop().await;
    Ok(())
}
