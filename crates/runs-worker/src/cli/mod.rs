//! The command line.

mod account;
mod ask;
mod backup;
mod check;
mod configuration;
mod connect;
mod dead_letters;
mod deliveries;
mod events;
mod get;
mod handlers;
mod handlers_test;
mod healthcheck;
mod in_the_log;
mod init;
mod interrupt;
mod live;
mod look;
mod migrate;
mod moment;
#[cfg(feature = "postgres")]
mod move_store;
mod notifications;
mod print;
mod refresh;
mod replay;
mod run_ref;
mod runs;
mod serve;
mod shell;
mod short_id;
mod status;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod verdict;
mod verify;
mod version;
mod which;
mod with_store;
mod workers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, ConfigError, Flags, Kept, Loaded};
use crate::front_door::{HandedOver, ListenAddress};
use crate::shared::visible::visible_text;

/// Exit status: something went wrong, and the standard error says what.
const FAILED: u8 = 1;
/// Exit status: the command line or the configuration is wrong.
const MISUSED: u8 = 2;
/// Exit status: what was asked for was not found.
const NOTHING: u8 = 3;
/// Exit status: a look at everything found something doubtful, and nothing wrong.
const WARNED: u8 = 4;

/// Receives Tallyfy webhooks, fetches the full run and hands it, with what changed, to handlers.
#[derive(Debug, Parser)]
#[command(name = "runs-worker", after_help = AFTER_HELP)]
struct Cli {
    /// Print the version; with --verbose, also of which commit it is and what it was built for
    #[arg(short = 'V', long)]
    version: bool,
    /// Say more
    #[arg(long, requires = "version")]
    verbose: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Three values are needed for one organization, from the environment or the file:
  TALLYFY_ORG_ID          the organization's id
  TALLYFY_TOKEN           the access token (or TALLYFY_TOKEN_FILE)
  TALLYFY_WEBHOOK_SECRET  the secret that the path of the webhook URL ends in, several
                          separated by commas (or TALLYFY_WEBHOOK_SECRET_FILE)
Every other key of the file can be set as RUNS_WORKER__SECTION__KEY; see runs-worker config --example.
Events go to the standard output, logs to the standard error.

Exit status: 0 well, 1 failed, 2 wrong command line or configuration, 3 nothing found,
4 `check` found something doubtful.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    #[command(flatten)]
    listening: Listening,
    /// The configuration file (TOML) [env: RUNS_WORKER_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the durable state [env: RUNS_WORKER_DATA_DIR] [default: ~/.local/state/runs-worker]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Where the API is [env: TALLYFY_BASE_URL] [default: https://go.tallyfy.com/api]"
    )]
    base_url: Option<String>,
}

/// Where the worker listens, which is of use to `serve` alone: before its name, after it, or without it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
struct Listening {
    /// The addresses for webhooks, separated by commas: IP and port, or `unix:/path` [env: RUNS_WORKER_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<ListenAddress>,
    /// The address for health checks and metrics [env: RUNS_WORKER_ADMIN_LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Accept webhooks on this descriptor, a socket that listens already, in the place of --listen
    #[cfg(feature = "systemd")]
    #[arg(long, value_name = "NUMBER")]
    listen_fd: Option<u32>,
}

impl Listening {
    /// Replaces what `other` has.
    fn overlay(&mut self, other: &mut Self) {
        if !other.listen.is_empty() {
            self.listen = std::mem::take(&mut other.listen);
        }
        self.admin_listen = other.admin_listen.or(self.admin_listen);
        #[cfg(feature = "systemd")]
        {
            self.listen_fd = other.listen_fd.or(self.listen_fd);
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks and hand out events (the default)
    Serve(serve::Serve),
    /// Fetch one run now and print it
    Get(get::Get),
    /// Look at everything that the worker needs, and say what to do about what is wrong
    Check(check::Check),
    /// Make a configuration: asks what is missing, holds it against the API, writes files that nobody else can read
    Init(init::Init),
    /// Register the webhook of the whole organization, and list what is registered
    Connect(connect::Connect),
    /// Take away the webhook of the whole organization that leads here, and no other
    Disconnect(connect::Disconnect),
    /// Look at the configuration: as it counts, an example of it, or whether a file is right
    #[command(name = "config")]
    Configuration(configuration::Configuration),
    /// Ask the worker that runs here whether it is well
    Healthcheck(healthcheck::Healthcheck),
    /// Print what completes commands in a shell
    Completions(shell::Completions),
    /// Write the manual pages into a folder
    Man(shell::Man),
    /// Examine the store and the intake log from end to end, and say what is wrong with them
    VerifyStore,
    /// Write a whole copy of the store and the intake log to a file, while the worker runs or not
    Backup(backup::Backup),
    /// Put such a copy in the place of a store that is not there
    Restore(backup::Restore),
    /// Move the store to another database, with everything, while no worker runs
    #[cfg(feature = "postgres")]
    Move(move_store::Move),
    /// Walk the run list now, and fetch what changed without a webhook
    Sync(sweep::Sync),
    /// Hold the run list against the store, and say what is missing there
    Audit(sweep::Audit),
    /// How everything stands, on one screen
    Status(status::ShowStatus),
    /// Look at runs: which there are, and what happened to one
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Look at events
    #[command(subcommand)]
    Events(events::Events),
    /// Look at notifications, and read unreadable bodies again
    #[command(subcommand)]
    Notifications(notifications::Notifications),
    /// Look at deliveries that are not done, and try them now
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    /// Look at deliveries that were given up, put them back or delete them
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Have runs fetched now, those that were given up too
    Refresh(refresh::Refresh),
    /// Hand events out again to one handler
    Replay(replay::Replay),
    /// Look at the handlers and what waits for each
    #[command(subcommand)]
    Handlers(handlers::Handlers),
    /// Look at the workers that share a database
    #[command(subcommand)]
    Workers(workers::Workers),
    /// Bring the store up to date with this version, or say whether it is
    Migrate(migrate::Migrate),
}

impl Settings {
    fn load(&self, webhooks: bool) -> Result<Loaded, ConfigError> {
        config::load(&self.flags(), &environment(), webhooks)
    }

    /// Where the state is. Nothing else has to be configured for that.
    fn kept(&self) -> Result<Kept, ConfigError> {
        config::kept(&self.flags(), &environment())
    }

    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags.config.clone_from(&self.config);
        let texts = [
            (
                "receive.listen",
                (!self.listening.listen.is_empty()).then(|| {
                    self.listening
                        .listen
                        .iter()
                        .map(ListenAddress::to_string)
                        .collect::<Vec<_>>()
                        .join(",")
                }),
                "--listen",
            ),
            (
                "admin.listen",
                self.listening.admin_listen.map(|address| address.to_string()),
                "--admin-listen",
            ),
            (
                "store.data_dir",
                self.data_dir.as_ref().map(|folder| folder.display().to_string()),
                "--data-dir",
            ),
            ("api.base_url", self.base_url.clone(), "--base-url"),
        ];
        flags.values = texts
            .into_iter()
            .filter_map(|(key, value, flag)| Some((key, value?, flag)))
            .collect();
        flags
    }
}

fn environment() -> BTreeMap<String, String> {
    // A variable whose value is not Unicode is none of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    if cli.version {
        return version::show(cli.verbose).map_or_else(with_store::Trouble::end, with_store::End::code);
    }
    if let Some(Command::Serve(serve)) = &mut cli.command {
        cli.settings.listening.overlay(&mut serve.listening);
    }
    // Before there are threads.
    let sockets = match handed_over(&cli) {
        Ok(sockets) => sockets,
        Err(error) => return fail(MISUSED, &error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("cannot start: {error}")),
    };
    let code = runtime.block_on(async {
        match cli.command {
            None => serve::Serve::default().run(&cli.settings, sockets).await,
            Some(Command::Serve(serve)) => serve.run(&cli.settings, sockets).await,
            Some(Command::Sync(sync)) => sync.run(&cli.settings).await,
            Some(Command::Audit(audit)) => audit.run(&cli.settings).await,
            Some(Command::Get(get)) => get.run(&cli.settings).await,
            Some(Command::Check(check)) => check.run(&cli.settings).await,
            Some(Command::Backup(backup)) => backup.run(&cli.settings).await,
            Some(Command::Restore(restore)) => restore.run(&cli.settings).await,
            #[cfg(feature = "postgres")]
            Some(Command::Move(moving)) => moving.run().await,
            Some(Command::Init(init)) => init.run(&cli.settings).await,
            Some(Command::Healthcheck(healthcheck)) => healthcheck.run(&cli.settings).await,
            Some(Command::Connect(connect)) => connect.run(&cli.settings).await,
            Some(Command::Disconnect(disconnect)) => disconnect.run(&cli.settings).await,
            Some(Command::Configuration(configuration)) => configuration.run(&cli.settings),
            Some(Command::Completions(completions)) => completions.run(),
            Some(Command::Man(man)) => man.run(),
            Some(Command::VerifyStore) => verify::run(&cli.settings).await,
            Some(Command::Status(status)) => status.run(&cli.settings).await,
            Some(Command::Runs(runs)) => runs.run(&cli.settings).await,
            Some(Command::Events(events)) => events.run(&cli.settings).await,
            Some(Command::Notifications(notifications)) => notifications.run(&cli.settings).await,
            Some(Command::Deliveries(deliveries)) => deliveries.run(&cli.settings).await,
            Some(Command::DeadLetters(dead_letters)) => dead_letters.run(&cli.settings).await,
            Some(Command::Refresh(refresh)) => refresh.run(&cli.settings).await,
            Some(Command::Replay(replay)) => replay.run(&cli.settings).await,
            Some(Command::Handlers(handlers)) => handlers.run(&cli.settings).await,
            Some(Command::Workers(workers)) => workers.run(&cli.settings).await,
            Some(Command::Migrate(migrate)) => migrate.run(&cli.settings).await,
        }
    });
    // A handler that blocks, on a pipe that nobody reads for example, must not keep a stopped worker alive.
    runtime.shutdown_background();
    code
}

/// The sockets that whoever started this process holds open for it.
#[cfg(feature = "systemd")]
fn handed_over(cli: &Cli) -> Result<HandedOver, String> {
    match &cli.command {
        None | Some(Command::Serve(_)) => {
            HandedOver::take(cli.settings.listening.listen_fd).map_err(|error| crate::telemetry::chain(&error))
        }
        Some(_) => Ok(HandedOver::default()),
    }
}

#[cfg(not(feature = "systemd"))]
fn handed_over(_: &Cli) -> Result<HandedOver, String> {
    Ok(HandedOver::default())
}

/// Says what is wrong and ends with this status.
#[expect(
    clippy::print_stderr,
    reason = "this is the command line, and no log may have been started yet"
)]
fn fail(status: u8, message: &str) -> ExitCode {
    eprintln!("runs-worker: {}", visible_text(message));
    ExitCode::from(status)
}
