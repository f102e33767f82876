//! The data folder: made whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use super::postmaster::{command, explain};
use super::{ADMIN, DATABASE};
use crate::binaries::Binaries;
use crate::error::Error;
use crate::folder;
use crate::owner::Owner;

/// `initdb` and our database, in a folder beside that takes its name only when both are done: a process killed in the
/// middle leaves nothing that looks like a data folder.
pub(super) async fn create(binaries: &Binaries, folder: &Path, owner: Option<Owner>, durable: bool) -> Result<(), Error> {
    let (binaries, folder) = (binaries.clone(), folder.to_owned());
    let work = tokio::task::spawn_blocking(move || create_blocking(&binaries, &folder, owner, durable));
    work.await.unwrap_or_else(|problem| Err(Error::Failed { program: "initdb".to_owned(), output: problem.to_string() }))
}

fn create_blocking(binaries: &Binaries, folder: &Path, owner: Option<Owner>, durable: bool) -> Result<(), Error> {
    let new = folder.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(Error::io("remove", &new))?;
    }
    fs::create_dir(&new).map_err(Error::io("create", &new))?;
    folder::set_mode(&new, 0o700)?;
    if let Some(owner) = owner {
        owner.take(&new)?;
    }

    let mut initdb = command(binaries, "initdb", &new, owner);
    // --no-locale: text sorts by bytes, the same everywhere, and no locale package is needed.
    initdb.arg("-D").arg(&new).args(["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions", "--username", ADMIN]);
    initdb.arg(if durable { "--data-checksums" } else { "--no-sync" });
    let output = initdb.output().map_err(|problem| explain(problem, binaries, &new, owner))?;
    check("initdb", &output)?;

    // Single-user mode, so that no client program or library is needed.
    let mut single = command(binaries, "postgres", &new, owner);
    single.args(["--single", "-D"]).arg(&new);
    if !durable {
        single.arg("-F");
    }
    single.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = single.spawn().map_err(|problem| explain(problem, binaries, &new, owner))?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "create database {DATABASE}").map_err(Error::io("speak to", binaries.program("postgres")))?;
    }
    let output = child.wait_with_output().map_err(Error::io("run", binaries.program("postgres")))?;
    check("postgres --single", &output)?;

    let data = folder::data(folder);
    // What may stand there is no data folder, or its version would have been read.
    if data.exists() {
        fs::remove_dir(&data).map_err(Error::io("replace", &data))?;
    }
    fs::rename(&new, &data).map_err(Error::io("create", &data))
}

/// Single-user mode reports a failed statement in its text, not in its exit code.
fn check(program: &str, output: &Output) -> Result<(), Error> {
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && !text.contains("ERROR:") {
        return Ok(());
    }
    Err(Error::Failed { program: program.to_owned(), output: text.trim().to_owned() })
}
