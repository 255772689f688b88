//! `runs-worker --version`, and with `--verbose` what it was built of.

use super::print;
use super::with_store::Outcome;

/// The commit, where whoever built it said so: `cargo xtask dist` does.
const COMMIT: Option<&str> = option_env!("RUNS_WORKER_COMMIT");

pub(super) fn show(verbose: bool) -> Outcome {
    let mut lines = vec![format!("runs-worker {}", env!("CARGO_PKG_VERSION"))];
    if verbose {
        let of = [
            (
                "commit",
                COMMIT.filter(|commit| !commit.is_empty()).unwrap_or("not known"),
            ),
            ("built for", std::env::consts::ARCH),
            ("on", std::env::consts::OS),
        ];
        lines.extend(of.map(|(name, value)| format!("{name}: {value}")));
        let features = [
            ("nats", cfg!(feature = "nats")),
            ("prometheus", cfg!(feature = "prometheus")),
            ("systemd", cfg!(feature = "systemd")),
        ];
        let there: Vec<&str> = features
            .iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        lines.push(format!("features: {}", there.join(", ")));
    }
    print::lines(lines)
}
