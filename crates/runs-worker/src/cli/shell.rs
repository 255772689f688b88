//! `runs-worker completions` and `runs-worker man`: what a shell and a manual reader want to know of the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::with_store::{End, Trouble};
use super::{Cli, print};

#[derive(Debug, Args)]
#[command(after_help = "Example: runs-worker completions bash > /etc/bash_completion.d/runs-worker")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: runs-worker man /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The folder, which is made if it is not there
    folder: PathBuf,
}

impl Completions {
    pub(super) fn run(&self) -> ExitCode {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "runs-worker", &mut text);
        print::bytes(&text).map_or_else(Trouble::end, End::code)
    }
}

impl Man {
    pub(super) fn run(&self) -> ExitCode {
        let written =
            std::fs::create_dir_all(&self.folder).and_then(|()| clap_mangen::generate_to(Cli::command(), &self.folder));
        let told = match written {
            Ok(()) => print::say(&format!("written to {}", self.folder.display())),
            Err(error) => Err(Trouble::Failed(format!("{}: {error}", self.folder.display()))),
        };
        told.map_or_else(Trouble::end, End::code)
    }
}
