//! `tallyfy-sim`: the simulator as a program of its own.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tallyfy_sim::quirks::QuirkMode;
use tallyfy_sim::replicas::Replicas;
use tallyfy_sim::{SimConfig, Simulator};
use tracing_subscriber::EnvFilter;

/// A stand-in Tallyfy: its API, its JSON quirks, its webhooks, and faults on request.
///
/// It serves the API at the root and under /api, and control endpoints under /_sim (GET /_sim lists them). Everything
/// is in memory; stop it with Ctrl-C.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,

    /// Id of the organization
    #[arg(long, value_name = "ID", default_value = "northwind")]
    org: String,

    /// Token that the API accepts
    #[arg(long, value_name = "TOKEN", default_value = "sim-token")]
    token: String,

    /// URL that both templates send their webhooks to; without it none is sent
    #[arg(long, value_name = "URL")]
    webhook_url: Option<url::Url>,

    /// URL that gets the events of the organization
    #[arg(long, value_name = "URL")]
    watcher_url: Option<url::Url>,

    /// Seed of all ids: the same seed and the same operations give the same ids
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Draw the JSON quirks anew for each response, from this seed; without it they are those the vendor's clients read
    #[arg(long, value_name = "SEED")]
    random_quirks: Option<u64>,

    /// Let three replicas answer reads, each behind by another while, with includes that drop out and lists that contradict
    /// themselves, drawn from this seed; POST /_sim/replicas sets how much of each
    #[arg(long, value_name = "SEED")]
    replicas: Option<u64>,

    /// Answer 429 to more API calls than this within a minute
    #[arg(long, value_name = "CALLS")]
    rate_limit: Option<NonZeroU32>,

    /// Seconds that a webhook waits for its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    webhook_timeout: u64,

    /// Webhooks on their way at the same time; with 1 they arrive in order
    #[arg(long, value_name = "COUNT", default_value = "8")]
    webhook_concurrency: NonZeroUsize,

    /// Runs to launch at the start, each at its first task
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    runs: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let sim = Simulator::start(SimConfig {
        listen: arguments.listen,
        seed: arguments.seed,
        org: arguments.org,
        token: arguments.token,
        webhook_url: arguments.webhook_url.map(String::from),
        watcher_url: arguments.watcher_url.map(String::from),
        quirks: arguments
            .random_quirks
            .map_or_else(QuirkMode::default, QuirkMode::Random),
        replicas: arguments.replicas.map(Replicas::seeded),
        rate_limit: arguments.rate_limit,
        webhook_timeout: Duration::from_secs(arguments.webhook_timeout),
        webhook_concurrency: arguments.webhook_concurrency.get(),
        ..SimConfig::default()
    })
    .await?;
    let mut first = None;
    for number in 1..=arguments.runs {
        let run = sim.launch(&format!("Onboarding of customer {number}"))?;
        first.get_or_insert(run);
    }
    greet(&sim, first.as_deref());
    asked_to_stop().await.context("cannot listen for signals")?;
    tracing::info!("stopping");
    sim.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the program has to say")]
fn greet(sim: &Simulator, run: Option<&str>) {
    let (base, org, token) = (sim.base_url(), sim.org(), sim.token());
    let headers =
        format!("-H 'Authorization: Bearer {token}' -H 'Accept: application/json' -H 'X-Tallyfy-Client: APIClient'");
    println!("Tallyfy stand-in at {base} (and {base}/api)");
    println!("  organization  {org}");
    println!("  token         {token}");
    println!("  templates     {} (Client onboarding)", sim.founding().onboarding);
    println!("                {} (Every field)", sim.founding().every_field);
    println!();
    println!("Read:");
    println!("  curl {headers} '{base}/organizations/{org}/runs?with=tasks'");
    if let Some(run) = run {
        println!(
            "  curl {headers} '{base}/organizations/{org}/runs/{run}?with=checklist,tasks,tags,form_fields&form_fields_values=true'"
        );
    }
    println!();
    println!("Act:");
    println!("  curl -X POST {base}/_sim/runs -d '{{\"name\":\"Onboarding of Initech\"}}'");
    if let Some(run) = run {
        println!("  curl -X POST {base}/_sim/runs/{run}/complete-next");
    }
    println!("  curl -X POST {base}/_sim/burst -d '{{\"runs\":100}}'");
    println!();
    println!("Break:");
    println!("  curl -X POST {base}/_sim/faults -d '{{\"kind\":\"html\",\"status\":503,\"times\":3}}'");
    println!(
        "  curl -X POST {base}/_sim/faults -d '{{\"kind\":\"too_many_requests\",\"retry_after\":{{\"seconds\":2}},\"times\":1}}'"
    );
    println!("  curl -X POST {base}/_sim/faults -d '{{\"kind\":\"webhook_lost\",\"times\":1}}'");
    println!("  curl -X POST {base}/_sim/quirks -d '{{\"random\":7}}'");
    println!("  curl -X POST {base}/_sim/replicas -d '{{\"mean_lag_millis\":2000,\"dropped_includes\":0.3}}'");
    println!("  curl -X DELETE {base}/_sim/faults");
    println!();
    println!("Look:");
    println!("  curl '{base}/_sim/ledger?bodies=false'");
    println!("  curl {base}/_sim/requests");
    println!("  curl {base}/_sim");
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
