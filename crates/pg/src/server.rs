//! One private server: started or adopted, used, stopped.

mod cluster;
mod postmaster;
mod socket;

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::error::Error;
use crate::folder;
use crate::owner::Owner;
use postmaster::Postmaster;

/// The administrator of every server that we make, and the database that is there from the start.
pub const ADMIN: &str = "quorate";
pub const DATABASE: &str = "quorate";

/// A fast shutdown gets this long before the immediate one.
const FAST_STOP: Duration = Duration::from_secs(10);
const IMMEDIATE_STOP: Duration = Duration::from_secs(10);

/// Connections of a server that many tests share; each test has pools of its own.
const THROW_AWAY_CONNECTIONS_MAX: u32 = 400;
const KEPT_CONNECTIONS_MAX: u32 = 100;

const THROW_AWAY_PREFIX: &str = "quorate-pg-";

/// How a server is run.
#[derive(Clone, Debug)]
pub struct Settings {
    folder: PathBuf,
    durable: bool,
    /// Most connections at once.
    pub connections_max: u32,
    /// How long a start may take; it includes the recovery after a crash.
    pub ready_within: Duration,
}

impl Settings {
    /// Data that must survive a power cut.
    pub fn kept(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), durable: true, connections_max: KEPT_CONNECTIONS_MAX, ready_within: Duration::from_mins(5) }
    }

    /// Data that nobody misses: no fsync, no replication, many connections.
    pub fn throw_away(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), durable: false, connections_max: THROW_AWAY_CONNECTIONS_MAX, ready_within: Duration::from_secs(30) }
    }

    fn arguments(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            "unix_socket_permissions=0700".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            format!("max_connections={}", self.connections_max),
        ];
        if !self.durable {
            let risky = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"];
            settings.extend(risky.map(str::to_owned));
        }
        settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
    }
}

/// A running server. Stop it with [`Server::stop`]; dropped, it is told to stop and nobody waits for it.
#[derive(Debug)]
pub struct Server {
    postmaster: Postmaster,
    /// The folder of the socket.
    run: PathBuf,
    adopted: bool,
    durable: bool,
    stopped: bool,
    /// The folder of a throw-away server; goes with it.
    scratch: Option<TempDir>,
    /// Keeps other processes from adopting or stopping this server.
    _lock: File,
}

impl Server {
    /// Starts a server on `settings`' folder, which is made where it is missing. A server that a killed process left
    /// running there is taken over. As root the server runs as the folder's owner, else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has the folder; [`Error::VersionMismatch`]; [`Error::Unsearchable`] where the
    /// server's user cannot reach the folder or the programs; [`Error::NotReady`] and [`Error::Ended`] with the log's end.
    pub async fn start(binaries: &Binaries, settings: &Settings) -> Result<Self, Error> {
        folder::create(&settings.folder)?;
        let lock = folder::lock(&settings.folder)?;
        Self::start_locked(binaries, settings, lock, None).await
    }

    /// Starts a server in a fresh temporary folder that goes when it stops. What killed processes left of such servers is
    /// stopped and removed first.
    pub async fn throw_away(binaries: &Binaries) -> Result<Self, Error> {
        let temporary = env::temp_dir();
        sweep(&temporary).await;
        let scratch = tempfile::Builder::new()
            .prefix(THROW_AWAY_PREFIX)
            .tempdir_in(&temporary)
            .map_err(Error::io("create a folder in", &temporary))?;
        folder::set_mode(scratch.path(), 0o711)?;
        let lock = folder::lock_new(scratch.path())?;
        Self::start_locked(binaries, &Settings::throw_away(scratch.path()), lock, Some(scratch)).await
    }

    async fn start_locked(binaries: &Binaries, settings: &Settings, lock: File, scratch: Option<TempDir>) -> Result<Self, Error> {
        let folder = fs::canonicalize(&settings.folder).map_err(Error::io("find", &settings.folder))?;
        let existing = folder::major(&folder)?;
        if let Some(major) = existing.filter(|major| *major != binaries.major()) {
            return Err(Error::VersionMismatch {
                folder,
                folder_major: major,
                binaries: binaries.folder().to_owned(),
                binaries_major: binaries.major(),
            });
        }
        let data = folder::data(&folder);
        let owner = Owner::of_server(&data);
        let log = folder::log(&folder);
        let of =
            |postmaster, run, adopted| Self { postmaster, run, adopted, durable: settings.durable, stopped: false, scratch, _lock: lock };

        if let Some(mut living) = Postmaster::living(&data) {
            if postmaster::status(&data).as_deref() != Some("stopping") {
                living.ready(&log, settings.ready_within).await?;
                let run = postmaster::socket_folder(&data).unwrap_or_else(|| folder.join("run"));
                tracing::info!(pid = living.pid(), folder = %folder.display(), "adopted a Postgres that was left running");
                return Ok(of(living, run, true));
            }
            if !living.gone(FAST_STOP).await {
                return Err(Error::WillNotStop { pid: living.pid() });
            }
        }

        postmaster::leftovers_gone(&data, FAST_STOP).await;
        if existing.is_none() {
            cluster::create(binaries, &folder, owner, settings.durable).await?;
        }
        let run = socket::folder(&folder, owner)?;
        let mut postmaster = Postmaster::spawn(binaries, &data, &run, &log, owner, &settings.arguments())?;
        if let Err(problem) = postmaster.ready(&log, settings.ready_within).await {
            postmaster.signal(Signal::QUIT);
            postmaster.gone(IMMEDIATE_STOP).await;
            return Err(problem);
        }
        postmaster.release();
        Ok(of(postmaster, run, false))
    }

    /// The administrator's URL of `database`, as sqlx reads it. [`DATABASE`] and `postgres` are there from the start.
    pub fn admin_url(&self, database: &str) -> String {
        socket::url(ADMIN, database, &self.run)
    }

    /// The folder of the socket, as libpq's `host`.
    pub fn socket_folder(&self) -> &Path {
        &self.run
    }

    /// Whether the server was running already, left by a process that was killed.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.postmaster.pid()
    }

    /// Ends sessions and stops: fast for ten seconds, then at once, which the next start repairs from the log.
    ///
    /// # Errors
    /// [`Error::WillNotStop`]: not even the second way ended it.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stopped = true;
        self.postmaster.signal(if self.durable { Signal::INT } else { Signal::QUIT });
        if self.postmaster.gone(FAST_STOP).await {
            return Ok(());
        }
        self.postmaster.signal(Signal::QUIT);
        if self.postmaster.gone(IMMEDIATE_STOP).await {
            return Ok(());
        }
        Err(Error::WillNotStop { pid: self.postmaster.pid() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped {
            self.postmaster.signal(if self.durable { Signal::INT } else { Signal::QUIT });
        }
        if let Some(scratch) = self.scratch.take() {
            let path = scratch.path().to_owned();
            if let Err(problem) = scratch.close() {
                // The next throw-away server's sweep removes it.
                tracing::debug!(folder = %path.display(), %problem, "left a throw-away folder behind");
            }
        }
    }
}

/// Removes throw-away servers whose process is dead. Best effort: what cannot be removed now is the next sweep's.
async fn sweep(temporary: &Path) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(THROW_AWAY_PREFIX))
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        // A folder without a lock file is about to get one.
        if !ours || !entry.path().join("lock").is_file() {
            continue;
        }
        let Ok(lock) = folder::lock(&entry.path()) else { continue };
        if let Some(mut living) = Postmaster::living(&folder::data(&entry.path())) {
            living.signal(Signal::QUIT);
            living.gone(IMMEDIATE_STOP).await;
        }
        if let Err(problem) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(folder = %entry.path().display(), %problem, "cannot remove an abandoned throw-away folder");
        }
        drop(lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_throw_away_server_risks_its_data() {
        let kept = Settings::kept("/x").arguments().join(" ");
        assert!(kept.contains("listen_addresses= "), "{kept}");
        assert!(!kept.contains("fsync") && !kept.contains("synchronous_commit") && !kept.contains("full_page_writes"), "{kept}");
        let risky = Settings::throw_away("/x").arguments().join(" ");
        assert!(risky.contains("fsync=off") && risky.contains("max_connections=400"), "{risky}");
    }
}
