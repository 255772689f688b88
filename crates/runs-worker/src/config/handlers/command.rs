//! What a handler of the type `command` needs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::HandlerTable;
use crate::config::told::Told;
use crate::handler::CommandLine;

impl HandlerTable {
    pub(super) fn program(&self, told: &mut Told<'_>) -> Option<CommandLine> {
        let Some((program, arguments)) = self.command.split_first() else {
            told.problem(
                "command",
                "is missing: the program and its arguments, as a list".to_owned(),
            );
            return None;
        };
        if let Some(folder) = self.working_dir.as_ref().filter(|folder| !folder.is_dir()) {
            told.problem("working_dir", format!("there is no folder {}", folder.display()));
        }
        let Some(found) = find_program(program) else {
            told.problem("command", format!("there is no program `{program}` that can be run"));
            return None;
        };
        Some(CommandLine {
            program: found,
            arguments: arguments.to_vec(),
            environment: self.env.clone(),
            working_dir: self.working_dir.clone(),
        })
    }
}

/// Where a program is: at its path, or in one of the folders of `PATH`.
fn find_program(program: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(is_program);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(is_program)
}
