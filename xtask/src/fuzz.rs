//! `cargo xtask fuzz`

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use xshell::{Cmd, Shell, cmd};

use crate::cargo;

#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Fuzz {
    /// What to give any bytes to
    target: Target,
    /// How long to go on
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    /// Decode a run
    Run,
    /// Tell what changed between two runs
    Changes,
    /// Read a webhook
    Webhook,
    /// Read a configuration: a file, and the environment
    Config,
    /// Read a file of the intake log
    IntakeLog,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Changes => "changes",
            Self::Webhook => "webhook",
            Self::Config => "config",
            Self::IntakeLog => "intake_log",
        }
    }

    /// Words of its language, if it has one.
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Run | Self::Changes | Self::Webhook => Some("tests/fuzz/json.dict"),
            Self::Config => Some("tests/fuzz/config.dict"),
            Self::IntakeLog => None,
        }
    }

    /// What it starts from, beside its seeds.
    fn fixtures(self) -> Option<&'static str> {
        match self {
            Self::Run => Some("crates/tallyfy-model/tests/fixtures/runs"),
            Self::Changes | Self::Config | Self::IntakeLog => None,
            Self::Webhook => Some("crates/tallyfy-model/tests/fixtures/webhooks"),
        }
    }
}

impl Fuzz {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        ensure!(
            succeeds(cmd!(shell, "cargo +nightly --version")),
            "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal"
        );
        ensure!(
            succeeds(cmd!(shell, "cargo fuzz --version")),
            "fuzzing needs cargo-fuzz: cargo install cargo-fuzz --locked"
        );
        let target = self.target.name();
        // What is found goes into the first folder, which is not in the repository; the others are only read.
        let found = format!("tests/fuzz/corpus/{target}");
        shell.create_dir(&found)?;
        let seeds = format!("tests/fuzz/seeds/{target}");
        let fixtures = self.target.fixtures();
        let words = self.target.words().map(|words| format!("-dict={words}"));
        let limits = [format!("-max_total_time={}", self.seconds), "-timeout=10".to_owned()];
        cargo(cmd!(
            shell,
            "cargo +nightly fuzz run --fuzz-dir tests/fuzz {target} {found} {seeds} {fixtures...} -- {words...} {limits...}"
        ))
        .run()
        .with_context(|| format!("`{target}` broke; the bytes that did it belong into tests/fuzz/seeds/{target}, where every test run tries them"))?;
        Ok(())
    }
}

fn succeeds(command: Cmd<'_>) -> bool {
    cargo(command).quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
