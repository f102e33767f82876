//! One `up` a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::failure::{Failure, Result};

/// Held until dropped, or until the process ends however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// # Errors
    /// A usage error where another process has it, with its process id.
    pub(super) fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("up.lock");
        let what = || format!("cannot lock {}", path.display());
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path).with_context(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).with_context(what)?;
                let holder = holder.trim();
                let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Failure::usage(format!(
                    "another `quorate up`{who} runs on {}: stop it, or name another folder with --data-dir",
                    data_dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(anyhow::Error::new(error).context(what()).into()),
        }
        file.set_len(0).with_context(what)?;
        file.rewind().with_context(what)?;
        writeln!(file, "{}", std::process::id()).with_context(what)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_up_on_the_same_folder_is_refused_with_the_first_ones_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let failure = Lock::take(dir.path()).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains(&format!("process {}", std::process::id())), "{failure}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}
