//! Every developer workflow of this workspace. `cargo xtask` lists them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to a person is what this program does"
)]

mod bench;
mod ci;
mod demo;
mod deny;
mod dist;
mod fuzz;
mod lint;
mod package;
mod platforms;
mod public_api;
mod screenshots;
mod send;
mod sim;
mod snapshots;
mod test;
mod torture;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use xshell::{Cmd, Shell};

/// Developer workflows, each one command.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    workflow: Option<Workflow>,
}

#[derive(Subcommand)]
enum Workflow {
    /// Show the whole product at work: simulator, real binary, a kill in the middle
    Demo(demo::Demo),
    /// Run every test of the workspace
    Test(test::Test),
    /// Do everything that a change must pass: format, lints, docs, licences, API, tests, packages
    Ci,
    /// Look whether a dependency has a known weakness, and say so when that cannot be looked at
    Advisories,
    /// Check format, lints and docs
    Lint,
    /// Package the crates that others may use, and build them from their packages
    Package,
    /// Make what others install: a Debian package, a tarball, checksums and a bill of materials
    Dist(dist::Dist),
    /// Check that the client crates can be built for other systems
    Platforms,
    /// See whether the public API of these crates is as it was accepted
    PublicApi(public_api::PublicApi),
    /// Run the tests, then show each snapshot that differs and ask what to do with it
    Snapshots,
    /// Play a scene and take the pictures in docs/images; needs Chromium and its WebDriver
    Screenshots,
    /// Measure what may take how long, as ratios with limits
    Bench(bench::Bench),
    /// Kill the worker at every moment, and judge what came out
    Torture(torture::Torture),
    /// Look for bytes that break what must hold for any
    Fuzz(fuzz::Fuzz),
    /// Run the simulator of Tallyfy
    Sim(sim::Sim),
    /// Send one sample webhook to a URL
    Send(send::Send),
    /// Run the worker against a simulator, with its events on the standard output
    Worker(worker::Worker),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // What failed has said why; where in this program it was noticed helps nobody, whatever RUST_BACKTRACE is.
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let Some(workflow) = cli.workflow else {
        Cli::command().print_help()?;
        return Ok(());
    };
    let shell = Shell::new()?;
    shell.change_dir(root());
    match workflow {
        Workflow::Demo(demo) => demo.run(),
        Workflow::Test(test) => test.run(&shell),
        Workflow::Ci => ci::run(&shell),
        Workflow::Advisories => deny::advisories(&shell),
        Workflow::Lint => lint::run(&shell),
        Workflow::Package => package::run(&shell),
        Workflow::Dist(dist) => dist.run(&shell),
        Workflow::Platforms => platforms::run(&shell),
        Workflow::PublicApi(public_api) => public_api.run(&shell),
        Workflow::Snapshots => snapshots::run(&shell),
        Workflow::Screenshots => screenshots::run(),
        Workflow::Bench(bench) => bench.run(&shell),
        Workflow::Torture(torture) => torture.run(),
        Workflow::Fuzz(fuzz) => fuzz.run(&shell),
        Workflow::Sim(sim) => sim.run(&shell),
        Workflow::Send(send) => send.run(),
        Workflow::Worker(worker) => worker.run(),
    }
}

/// The root of the workspace, wherever this was called from.
fn root() -> &'static std::path::Path {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// `--locked` in CI: what is tested there is exactly what was committed.
fn locked() -> Option<&'static str> {
    in_ci().then_some("--locked")
}

/// A command that runs cargo, as if it were called from the command line.
fn cargo(command: Cmd<'_>) -> Cmd<'_> {
    system_tests::cargos_variables().fold(command, Cmd::env_remove)
}

/// Whether this runs in CI, where nothing may be skipped.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
