//! `cargo xtask sim`

use clap::Args;
use xshell::{Shell, cmd};

use crate::cargo;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Sim {
    /// What the simulator takes; `--help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Sim {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let arguments = &self.arguments;
        cargo(cmd!(shell, "cargo run --quiet -p tallyfy-sim -- {arguments...}"))
            .quiet()
            .run()?;
        Ok(())
    }
}
