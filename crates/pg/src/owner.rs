//! As whom the server runs. Postgres refuses root, so as root we drop to an unprivileged user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::error::Error;

/// User and group to run as; `None`: as ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The number of `nobody` where even that name is missing.
const NOBODY: Owner = Owner { uid: 65534, gid: 65534 };

impl Owner {
    /// Whom to drop to when this process is root: the owner of an existing data folder, since a later package may have added
    /// a user `postgres` that does not own it; else `postgres`, else `nobody`.
    pub(crate) fn of_server(data: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        if let Some(owner) = fs::metadata(data).ok().filter(|found| found.uid() != 0) {
            return Some(Self { uid: owner.uid(), gid: owner.gid() });
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(named(&passwd, "postgres").or_else(|| named(&passwd, "nobody")).unwrap_or(NOBODY))
    }

    /// Gives `path` to this user.
    pub(crate) fn take(self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("change the owner of", path))
    }

    /// The first folder on the way to `target` that this user cannot enter by its mode.
    pub(crate) fn barred_from(self, target: &Path) -> Option<PathBuf> {
        let mut ancestors: Vec<&Path> = target.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|folder| fs::metadata(folder).is_ok_and(|found| found.is_dir() && !self.may_enter(&found)))
            .map(Path::to_owned)
    }

    fn may_enter(self, folder: &fs::Metadata) -> bool {
        let bit = match (folder.uid() == self.uid, folder.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        folder.mode() & bit != 0
    }
}

fn named(passwd: &str, name: &str) -> Option<Owner> {
    let fields: Vec<&str> = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name))?;
    Some(Owner { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? }).filter(|owner| owner.uid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\npostgres:x:104:111:PostgreSQL:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(named(passwd, "postgres"), Some(Owner { uid: 104, gid: 111 }));
        assert_eq!(named(passwd, "nobody"), None);
        assert_eq!(named(passwd, "root"), None, "root is nobody to drop to");
    }
}
