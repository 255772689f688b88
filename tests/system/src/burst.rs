//! Many webhooks in a short time.

use std::net::SocketAddr;
use std::time::Duration;

use tallyfy_sim::Simulator;
use tokio::net::TcpStream;

/// How many are sent before the burst looks whether anybody is there.
const BATCH: usize = 40;

/// Launches runs and completes their tasks until this many webhooks were sent.
///
/// While nobody listens at `door` it waits: what is sent to a closed door is lost, and shows nothing.
///
/// # Errors
/// If the simulator refuses an operation.
pub async fn burst(sim: &Simulator, door: SocketAddr, webhooks: usize, runs_at_a_time: usize) -> anyhow::Result<()> {
    let target = sim.ledger().len() + webhooks;
    let mut launched = 0;
    let mut runs: Vec<String> = Vec::new();
    let mut next_look = sim.ledger().len() + BATCH;
    while sim.ledger().len() < target {
        if runs.len() < runs_at_a_time {
            launched += 1;
            runs.push(sim.launch(&format!("Order {launched}"))?);
        }
        let mut open = Vec::new();
        for run in runs {
            if sim.complete_next(&run)?.is_some() {
                open.push(run);
            }
            if sim.ledger().len() >= next_look {
                sim.settle().await;
                while TcpStream::connect(door).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                next_look = sim.ledger().len() + BATCH;
            }
        }
        runs = open;
    }
    sim.settle().await;
    Ok(())
}
