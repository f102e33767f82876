//! Puts the loops of a worker together.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::caps::Caps;
use crate::config::WorkerConfig;
use crate::hub::Hub;
use crate::manifest::disk::Disk;
use crate::probe::{NetProber, SetupError};
use crate::session::{ControlUrlError, Impossible, Sessions};
use crate::status::WorkerStatus;
use crate::{engine, one_off};

/// Between two attempts to write what the disk would not take.
const SAVE_AGAIN: Duration = Duration::from_secs(30);

/// Why a worker cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no probe can be made")]
    Probe(#[from] SetupError),
    #[error("the control plane cannot be dialled at {url:?}")]
    ControlUrl { url: String, source: ControlUrlError },
    #[error("no URL of the control plane is given")]
    NoControlUrl,
    #[error("the thread of the probes cannot be started")]
    Runtime(#[source] io::Error),
    #[error("the secret of the worker token cannot stand in a header")]
    Token,
    /// A bug of ours: the process should not go on half alive.
    #[error("a task of the worker has panicked")]
    Panicked(#[source] JoinError),
}

impl From<Impossible> for Error {
    fn from(impossible: Impossible) -> Self {
        match impossible {
            Impossible::Url { url, source } => Self::ControlUrl { url, source },
            Impossible::NoUrl => Self::NoControlUrl,
            Impossible::Secret => Self::Token,
        }
    }
}

/// Probes and reports until `stop`, then says Goodbye and returns, within about a second. `status`
/// tells how it stands all the while.
///
/// # Errors
/// The configuration is unusable, or a task has panicked. A control plane that cannot be reached is
/// no error: the worker tries for ever.
pub async fn run(config: WorkerConfig, stop: CancellationToken, status: watch::Sender<WorkerStatus>) -> Result<(), Error> {
    let prober = Arc::new(NetProber::new(&config)?);
    let sessions = Sessions::new(&config.control_urls, &config.token)?;
    let disk = config.data_dir.as_deref().and_then(|folder| {
        let opened = Disk::open(folder);
        opened.inspect_err(|error| tracing::warn!(folder = %folder.display(), error = %error, "the worker's folder cannot be used: nothing survives a restart")).ok()
    });
    let caps = Caps::new(config.account_probes_per_second_max);
    let hub = Arc::new(Hub::new(&config.token, caps, disk, status));
    // Whichever loop ends first, the others have to end too.
    let stop = stop.child_token();
    let _stopped_with_us = stop.clone().drop_guard();
    let mut loops: JoinSet<Result<(), JoinError>> = JoinSet::new();
    let in_flight_max = config.probes_in_flight_max.max(1);
    let probing = runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    loops.spawn_blocking({
        let (hub, stop) = (hub.clone(), stop.clone());
        move || probing.block_on(probe(&hub, prober, in_flight_max, &stop))
    });
    loops.spawn(sessions.run(hub.clone(), stop.clone()));
    loops.spawn(keep(hub, stop));
    while let Some(ended) = loops.join_next().await {
        ended.flatten().map_err(Error::Panicked)?;
    }
    Ok(())
}

/// Probes, scheduled and asked for, in one thread that does nothing else: what starts on a tick, and
/// what is ready when the kernel is asked, is worked off in one go, and no other thread is woken for it.
async fn probe(hub: &Arc<Hub>, prober: Arc<NetProber>, in_flight_max: usize, stop: &CancellationToken) -> Result<(), JoinError> {
    let probing = async {
        tokio::try_join!(
            engine::run(hub.clone(), prober.clone(), in_flight_max, stop.clone()),
            one_off::run(&hub.one_offs, hub.capabilities, prober.clone(), stop.clone())
        )
    };
    tokio::select! {
        ended = probing => ended.map(|((), ())| ()),
        never = prober.watch() => match never {},
    }
}

/// Keeps the folder as the board is.
async fn keep(hub: Arc<Hub>, stop: CancellationToken) -> Result<(), JoinError> {
    let mut bell = hub.unsaved_bell.subscribe();
    let mut is_told = false;
    let mut stopped = false;
    while !stopped {
        tokio::select! {
            biased;
            () = stop.cancelled() => stopped = true,
            Ok(()) = bell.changed() => {}
            () = sleep(SAVE_AGAIN), if is_told => {}
        }
        let saving = hub.clone();
        match tokio::task::spawn_blocking(move || saving.save_unsaved()).await? {
            Err(error) if !is_told => {
                tracing::warn!(error = %error, "manifests cannot be kept on disk; a restart will fetch them again");
                is_told = true;
            }
            Err(_) => {}
            Ok(()) => is_told = false,
        }
    }
    Ok(())
}
