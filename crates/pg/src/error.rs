//! What can go wrong, said so that the reader knows what to do about it.

use std::io;
use std::path::PathBuf;

use crate::binaries::{MAJOR_MAX, MAJOR_MIN, hint};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable programs, and none could be (or was allowed to be) fetched. The text names the command per system.
    #[error("{}", not_found(*.major, .tried))]
    NotFound {
        /// The only version that will do, where a data folder exists already.
        major: Option<u32>,
        /// What was tried to get it, and how each try ended.
        tried: Vec<String>,
    },
    #[error("QUORATE_PG_BIN is {}, but {problem}", .folder.display())]
    BadBinFolder { folder: PathBuf, problem: String },
    #[error(
        "{} was made by Postgres {folder_major}, and the programs in {} are of version {binaries_major}; \
         use Postgres {folder_major} (QUORATE_PG_BIN), or dump and restore into a new folder",
        .folder.display(), .binaries.display()
    )]
    VersionMismatch { folder: PathBuf, folder_major: u32, binaries: PathBuf, binaries_major: u32 },
    #[error(
        "Postgres runs as user {uid} because it refuses to run as root, and that user cannot enter {} on the way to {}; \
         choose another folder, or `chmod o+x {}`",
        .folder.display(), .target.display(), .folder.display()
    )]
    Unsearchable { folder: PathBuf, target: PathBuf, uid: u32 },
    #[error("the Postgres in {} is in use by another process of this program", .folder.display())]
    InUse { folder: PathBuf },
    #[error("{} belongs to user {found}, not to user {expected}, so no socket of ours goes there", .folder.display())]
    ForeignFolder { folder: PathBuf, found: u32, expected: u32 },
    #[error("{program} failed: {output}")]
    Failed { program: String, output: String },
    #[error("Postgres did not become ready within {seconds} s; the end of {} says:\n{tail}", .log.display())]
    NotReady { seconds: u64, log: PathBuf, tail: String },
    #[error("Postgres ended while it started; the end of {} says:\n{tail}", .log.display())]
    Ended { log: PathBuf, tail: String },
    #[error("Postgres (process {pid}) does not stop")]
    WillNotStop { pid: i32 },
    #[error("cannot {what} {}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl Error {
    /// For `map_err`: `Error::io("create", &path)`.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

fn not_found(major: Option<u32>, tried: &[String]) -> String {
    let mut text = match major {
        Some(major) => format!("Postgres {major} is needed, since the data folder was made by it, and it was not found."),
        None => format!("Postgres {MAJOR_MIN} to {MAJOR_MAX} was not found."),
    };
    for line in tried {
        text.push_str("\n  tried: ");
        text.push_str(line);
    }
    text.push_str("\nInstall it with the command of your system:\n");
    text.push_str(&hint::commands(major));
    text.push_str("or set QUORATE_PG_BIN to the folder that holds `initdb` and `postgres`.");
    text
}
