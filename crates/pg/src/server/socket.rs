//! Where the socket stands, and the URL that leads to it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::folder;
use crate::owner::Owner;

pub(super) const NAME: &str = ".s.PGSQL.5432";

/// Longest path of a socket: 108 bytes on Linux with the final zero, 104 on others.
const PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Folders short enough for a socket when the data folder is too deep.
const SHORT_PARENT: &str = "/tmp";

/// Makes the folder for the socket, mode 0700 and the server's own: `run/` in the server's folder, or one under `/tmp`
/// named after that folder where the path would be too long.
pub(super) fn folder(server: &Path, owner: Option<Owner>) -> Result<PathBuf, Error> {
    let beside = server.join("run");
    let run = if fits(&beside) { beside } else { Path::new(SHORT_PARENT).join(short_name(server)) };
    match fs::create_dir(&run) {
        Ok(()) => {
            folder::set_mode(&run, 0o700)?;
            if let Some(owner) = owner {
                owner.take(&run)?;
            }
        }
        // In /tmp anybody may have been there first, with a folder or a link of theirs.
        Err(exists) if exists.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(&run).map_err(Error::io("look at", &run))?;
            let expected = owner.map_or_else(|| geteuid().as_raw(), |owner| owner.uid);
            if !found.is_dir() || found.uid() != expected {
                return Err(Error::ForeignFolder { folder: run, found: found.uid(), expected });
            }
            folder::set_mode(&run, 0o700)?;
        }
        Err(other) => return Err(Error::io("create", &run)(other)),
    }
    Ok(run)
}

fn fits(run: &Path) -> bool {
    run.join(NAME).as_os_str().len() <= PATH_BYTES_MAX
}

fn short_name(server: &Path) -> String {
    let digest = Sha256::digest(server.as_os_str().as_bytes());
    let mut name = "quorate-run-".to_owned();
    for byte in &digest[..8] {
        write!(name, "{byte:02x}").expect("a String takes every write");
    }
    name
}

/// `postgres://user@localhost/database?host=/folder`: a host in the query wins over `localhost`, which only keeps the URL valid.
pub(super) fn url(user: &str, database: &str, run: &Path) -> String {
    format!(
        "postgres://{}@localhost/{}?host={}",
        encoded(user.as_bytes()),
        encoded(database.as_bytes()),
        encoded(run.as_os_str().as_bytes())
    )
}

/// Percent-encodes what is not plain in a URL. A slash is plain in a query, and easier to read.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes every write");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_of_a_folder_survive_the_url() {
        assert_eq!(url("quorate", "a db", Path::new("/tmp/a b&c=é")), "postgres://quorate@localhost/a%20db?host=/tmp/a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn a_deep_folder_keeps_its_socket_elsewhere_and_always_in_the_same_place() {
        let deep = Path::new("/tmp").join("x".repeat(100));
        assert!(!fits(&deep.join("run")));
        assert!(fits(Path::new(SHORT_PARENT).join(short_name(&deep)).as_path()));
        assert_eq!(short_name(&deep), short_name(&deep));
        assert_ne!(short_name(&deep), short_name(Path::new("/tmp/y")));
    }
}
