//! The `runs-worker` binary: the command line, and nothing else.

fn main() -> std::process::ExitCode {
    runs_worker::cli::main()
}
