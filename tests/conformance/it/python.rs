//! Running a program of `python/` in the environment that its packages live in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;
use twin::{Config, Twin};

use crate::company;

/// Beyond this a program hangs.
const LONGEST: Duration = Duration::from_mins(3);

/// Making the environment fetches packages.
const LONGEST_SETUP: Duration = Duration::from_mins(7);

/// Runs `python/<program>.py` against a twin of its own, and gives what it printed.
///
/// # Errors
/// When a fact does not hold, an answer deviates or the program fails; with everything that it printed.
pub(crate) async fn run(program: &str) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = environment(folder).await?;
    let (world, origin) = company::world()?;
    let twin = Twin::start(Config { quotas: false, ..Config::default() }).await?;
    twin.twin.load(&world)?;
    let mut command = Command::new(interpreter);
    command.arg("-B").arg(folder.join("python").join(format!("{program}.py")));
    // Both sides answer on both ports.
    command.args(["--twin", &twin.atlassian_url()]).arg("--allowed").arg(folder.join("allowed.toml"));
    match specs()? {
        Some(specs) => drop(command.arg("--specs").arg(specs)),
        None => eprintln!("the vendors' documents are absent: only Google's own copy is checked"),
    }
    let printed = output(command, LONGEST).await.with_context(|| format!("{program}, with {origin}"))?;
    Ok(format!("{program}, with {origin}\n{printed}"))
}

/// The folder of the vendors' documents.
fn specs() -> Result<Option<PathBuf>> {
    let Some(specs) = harness::find::shared()?.map(|it| it.join("specs")) else { return Ok(None) };
    ensure!(specs.is_dir(), "{} is absent", specs.display());
    Ok(Some(specs))
}

/// The interpreter of `.dev/venv`, which `./dev setup` makes; made here where that has not run or is old.
async fn environment(folder: &Path) -> Result<PathBuf> {
    let dev = harness::find::repository().join(".dev");
    let venv = dev.join("venv");
    let wanted = std::fs::read(folder.join("requirements.txt")).context("requirements.txt cannot be read")?;
    std::fs::create_dir_all(&dev)?;
    // Tests run in processes of their own: only one makes the environment.
    let lock = File::create(dev.join("venv.lock"))?;
    lock.lock()?;
    let interpreter = venv.join("bin/python");
    let installed = venv.join("installed.txt");
    if std::fs::read(&installed).is_ok_and(|it| it == wanted) && interpreter.exists() {
        return Ok(interpreter);
    }
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(&venv);
    output(command, LONGEST_SETUP).await.context("no virtual environment (Debian: apt-get install python3-venv)")?;
    let mut command = Command::new(&interpreter);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    command.arg(folder.join("requirements.txt"));
    output(command, LONGEST_SETUP).await.context("the packages of requirements.txt cannot be installed")?;
    std::fs::write(installed, wanted)?;
    Ok(interpreter)
}

/// What a command printed on both streams.
async fn output(mut command: Command, within: Duration) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let run = tokio::time::timeout(within, command.output());
    let output = run.await.context("it hangs")?.context("it cannot be started")?;
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{}\n{printed}", output.status);
    }
    Ok(printed)
}
