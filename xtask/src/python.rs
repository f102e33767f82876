//! Python programs that developer commands need, each in an environment of its own below `target/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::command;
use crate::workspace;

/// The Python with what a requirements file names, which pins versions and digests. Made once for each state of the file.
pub(crate) async fn with(requirements: &Path) -> Result<PathBuf> {
    let wanted = std::fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let name = requirements.file_stem().context("a requirements file has a name")?;
    let folder = workspace::scratch().join("python").join(name);
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    std::fs::create_dir_all(&folder)?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    command::run(venv).await?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
    install.arg(requirements);
    command::run(install).await?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}
