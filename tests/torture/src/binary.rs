//! The worker with its points, and the shim that lets system calls fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, ensure};

/// What is in the binary only with its points.
const MARK: &[u8] = b"TORTURE_CRASH_AT";

/// How often the binary is built until it is the right one: a build of the workspace beside this one puts another in its
/// place.
const TRIES: u32 = 3;

/// The root of the workspace.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where the worker with its points is: as `TORTURE_WORKER_BIN` says, or built now.
///
/// # Errors
/// If it cannot be built.
pub fn binary() -> anyhow::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("TORTURE_WORKER_BIN") {
        return Ok(binary.into());
    }
    let folder = folder()?;
    for _ in 0..TRIES {
        let bytes =
            std::fs::read(system_tests::build_with(&["--features", "torture"])?).context("read what cargo built")?;
        if bytes.windows(MARK.len()).any(|window| window == MARK) {
            // A copy, because others build the worker without its points to the same place. Renamed into place, because
            // a binary that runs cannot be written.
            let (copy, made) = (
                folder.join("runs-worker"),
                folder.join(format!("made-{}", std::process::id())),
            );
            std::fs::write(&made, &bytes).context("copy the worker")?;
            set_executable(&made)?;
            std::fs::rename(&made, &copy).context("put the worker in its place")?;
            return Ok(copy);
        }
    }
    anyhow::bail!("the worker was built without its points {TRIES} times; is another build going on all the time?")
}

fn set_executable(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(file, permissions).context("make the worker executable")
}

/// The library that lets system calls fail, compiled now; none where it cannot be.
pub(crate) fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    SHIM.get_or_init(|| compile().ok()).as_deref()
}

fn compile() -> anyhow::Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "preloading is a matter of Linux");
    let folder = folder()?;
    let (made, library) = (
        folder.join(format!("made-{}.so", std::process::id())),
        folder.join("io_fault.so"),
    );
    let source = root().join("tests/torture/shim/io_fault.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .args([&made, &source])
        .arg("-ldl")
        .status()
        .context("run cc")?;
    ensure!(status.success(), "the shim cannot be compiled");
    std::fs::rename(&made, &library).context("put the shim in its place")?;
    Ok(library)
}

/// Where all this is kept.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = root().join("target/torture");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}
