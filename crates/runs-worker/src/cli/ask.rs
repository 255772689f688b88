//! Questions to a person, and secrets that a terminal does not show while they are typed.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::os::fd::AsFd as _;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::print;
use super::with_store::{Trouble, misused};

/// Asks a person; where nobody can be asked, the flag is missing.
pub(super) fn ask(question: &str, flag: &str) -> Result<String, Trouble> {
    if !io::stdin().is_terminal() {
        return Err(misused(format!(
            "{flag} is missing, and there is no terminal to ask on"
        )));
    }
    print::remark(&format!("{question}:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// The same for a secret.
pub(super) fn ask_secret(question: &str, flag: &str) -> Result<String, Trouble> {
    let _silence = Silence::begin();
    ask(&format!("{question}; it is not shown while you type"), flag)
}

/// A terminal that does not show what is typed; it does again when this ends.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let stdin = io::stdin();
        let Ok(before) = tcgetattr(stdin.as_fd()) else {
            return Self(None);
        };
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.local_flags.insert(LocalFlags::ECHONL);
        let set = tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &silent);
        Self(set.is_ok().then_some(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
        }
    }
}
