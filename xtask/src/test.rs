//! `cargo xtask test`

use clap::Args;
use system_tests::{PgBouncer, PostgresServer};
use xshell::{Shell, cmd};

use crate::{cargo, in_ci, locked};

/// Names the server on which the store for several workers is tested.
const POSTGRES_URL: &str = "RUNS_STORE_POSTGRES_URL";

/// Names the same server, reached through PgBouncer.
const POOLER_URL: &str = "RUNS_STORE_PGBOUNCER_URL";

#[derive(Args)]
pub(crate) struct Test {
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let locked = locked();
        let filter = &self.filter;
        // A snapshot that differs is a failed test; it is accepted by a person, not by a test run.
        let _update = in_ci().then(|| shell.push_env("INSTA_UPDATE", "no"));
        // The system tests start this binary; built here, it is not built by each of them.
        let _binary = shell.push_env("RUNS_WORKER_BIN", system_tests::binary()?);
        let server = postgres()?;
        let url = server.as_ref().map(PostgresServer::url);
        let named = || std::env::var(POSTGRES_URL).ok();
        let pooler = url
            .clone()
            .or_else(named)
            .map(|url| pooler(&url))
            .transpose()?
            .flatten();
        let _url = url.map(|url| shell.push_env(POSTGRES_URL, url));
        let _pooler_url = pooler.as_ref().map(|pooler| shell.push_env(POOLER_URL, pooler.url()));
        if cargo(cmd!(shell, "cargo nextest --version"))
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok()
        {
            let none = filter.as_ref().map(|_| "--no-tests=pass");
            cargo(cmd!(
                shell,
                "cargo nextest run {locked...} --workspace --all-features {none...} {filter...}"
            ))
            .run()?;
            // nextest runs no examples in documentation.
            cargo(cmd!(
                shell,
                "cargo test {locked...} --workspace --all-features --doc -- {filter...}"
            ))
            .run()?;
        } else {
            cargo(cmd!(
                shell,
                "cargo test {locked...} --workspace --all-features -- {filter...}"
            ))
            .run()?;
        }
        Ok(())
    }
}

/// A server for the tests that need one, unless the environment names one. Without it they are skipped, which is not to
/// happen in CI.
fn postgres() -> anyhow::Result<Option<PostgresServer>> {
    if std::env::var_os(POSTGRES_URL).is_some() {
        return Ok(None);
    }
    if PostgresServer::programs().is_none() && !in_ci() {
        eprintln!("SKIPPED: what needs PostgreSQL, which is not installed (Debian's package is `postgresql`)");
        return Ok(None);
    }
    PostgresServer::start().map(Some)
}

/// PgBouncer before that server, unless the environment names one.
fn pooler(server: &str) -> anyhow::Result<Option<PgBouncer>> {
    if std::env::var_os(POOLER_URL).is_some() {
        return Ok(None);
    }
    if PgBouncer::program().is_none() && !in_ci() {
        eprintln!("SKIPPED: what needs PgBouncer, which is not installed (Debian's package is `pgbouncer`)");
        return Ok(None);
    }
    PgBouncer::start(server).map(Some)
}
