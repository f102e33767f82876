//! The folder of one server, and what stands in it:
//!
//! | name | what |
//! | --- | --- |
//! | `data/` | Postgres's own, mode 0700 |
//! | `run/` | the socket, unless the path is too long for one |
//! | `server.log`, `server.log.1` | of this and the last start |
//! | `lock` | held by the process that uses the server |

use std::env;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::error::Error;

/// Where data goes unless somebody says otherwise: `/var/lib/quorate` as root, else `$XDG_STATE_HOME/quorate`, else
/// `~/.local/state/quorate`. `None`: not root, and no home.
pub fn default_data() -> Option<PathBuf> {
    if geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/quorate"));
    }
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
    state.or_else(home).map(|state| state.join("quorate"))
}

/// Where programs of Postgres that were fetched are kept for everybody: `programs` in [`default_data`].
pub fn default_programs() -> Option<PathBuf> {
    default_data().map(|data| data.join("programs"))
}

/// The major version of the Postgres that made `folder`; `None` where there is none yet.
///
/// # Errors
/// `PG_VERSION` is there and cannot be read as a number.
pub fn major(folder: &Path) -> Result<Option<u32>, Error> {
    let file = data(folder).join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            Error::io("read a version from", &file)(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("it says {:?}", text.trim()),
            ))
        }),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(other) => Err(Error::io("read", &file)(other)),
    }
}

pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

pub(crate) fn log(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// Creates `folder` and what is missing above it. What we create everybody may enter (not list), whatever the umask: as
/// root the server runs as another user. What matters below is 0700.
pub(crate) fn create(folder: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => set_mode(path, 0o711)?,
            Err(raced) if raced.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(other) => return Err(Error::io("create", path)(other)),
        }
    }
    Ok(())
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path))
}

/// Takes the folder for this process. The kernel lets go when the process ends, however it ends, and the server does not
/// inherit it; so whoever holds it may adopt a server that a dead process left.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(other)) => Err(Error::io("lock", &path)(other)),
    }
}

/// As [`lock`], for a new folder that a sweep of abandoned ones may see at any moment: the lock is held before its file
/// has the name by which the sweep knows it.
pub(crate) fn lock_new(folder: &Path) -> Result<File, Error> {
    let (new, path) = (folder.join("lock.new"), folder.join("lock"));
    let file = File::create(&new).map_err(Error::io("create", &new))?;
    file.try_lock().map_err(|problem| match problem {
        TryLockError::WouldBlock => Error::InUse { folder: folder.to_owned() },
        TryLockError::Error(other) => Error::io("lock", &new)(other),
    })?;
    fs::rename(&new, &path).map_err(Error::io("create", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock_new(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(Error::InUse { .. })));
        drop(held);
        lock(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_without_a_version_is_new_and_one_with_nonsense_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(major(folder.path()).unwrap(), None);
        fs::create_dir(data(folder.path())).unwrap();
        fs::write(data(folder.path()).join("PG_VERSION"), "16\n").unwrap();
        assert_eq!(major(folder.path()).unwrap(), Some(16));
        fs::write(data(folder.path()).join("PG_VERSION"), "x").unwrap();
        assert!(major(folder.path()).is_err());
    }
}
