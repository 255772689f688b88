//! `runs-worker config`: the configuration as it counts, an example of it, and whether a file is right.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::with_store::{End, Outcome, Trouble, misused};
use super::{Settings, environment, print};
use crate::config::{self, EXAMPLE, Flags};
use crate::shared::visible::visible_text;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Configuration {
    /// Print every value that counts and where it is from; secrets are hidden
    #[arg(long)]
    print: bool,
    /// Print a file with every key and its default, as comments
    #[arg(long)]
    example: bool,
    /// Print a JSON Schema of the file, for an editor
    #[arg(long)]
    schema: bool,
    /// Read this file, with the environment, and say everything that is wrong
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl Configuration {
    pub(super) fn run(&self, settings: &Settings) -> ExitCode {
        self.outcome(settings).map_or_else(Trouble::end, End::code)
    }

    fn outcome(&self, settings: &Settings) -> Outcome {
        if self.example {
            return print::bytes(EXAMPLE.as_bytes());
        }
        if self.schema {
            return print::lines([format!("{:#}", config::schema())]);
        }
        let Some(file) = &self.check else {
            let found =
                config::settings(&settings.flags(), &environment()).map_err(|error| misused(error.to_string()))?;
            let line = |setting: config::Setting| {
                visible_text(&format!("{} = {}  # {}", setting.key, setting.value, setting.from))
            };
            return print::lines(found.into_iter().map(line));
        };
        let flags = Flags {
            config: Some(file.clone()),
            ..Flags::default()
        };
        let loaded = config::load(&flags, &environment(), true).map_err(|error| misused(error.to_string()))?;
        print::say(&format!(
            "{}: nothing is wrong; {} and {}",
            file.display(),
            print::plural(loaded.organizations.len() as u64, "organization"),
            print::plural(loaded.handlers.len() as u64, "handler"),
        ))
    }
}
