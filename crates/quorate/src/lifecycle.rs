//! Start and stop of a process: signals, the drain and its deadline.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Result};

/// A drain that takes longer is aborted.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// SIGINT, SIGTERM and SIGHUP: each asks for an orderly stop.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one; answers its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Runs `work` to its end. The first signal cancels `stop`, upon which `work` has [`DRAIN_MAX`] to end;
/// the second signal, or that deadline, aborts it.
pub async fn run(signals: &mut Signals, stop: &CancellationToken, work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut work = std::pin::pin!(work);
    let name = tokio::select! {
        result = &mut work => return result,
        name = signals.next() => name,
    };
    tracing::info!(signal = name, "stopping; a second signal aborts");
    stop.cancel();
    tokio::select! {
        result = &mut work => result,
        name = signals.next() => Err(Failure::Failed(anyhow::anyhow!("aborted by a second signal ({name})"))),
        () = tokio::time::sleep(DRAIN_MAX) => Err(Failure::Failed(anyhow::anyhow!("aborted: the stop took longer than {} s", DRAIN_MAX.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, since signals reach the whole process.
    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_aborts() {
        let mut signals = Signals::listen().unwrap();
        let raise = || rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();

        let stop = CancellationToken::new();
        raise();
        let drained = run(&mut signals, &stop, async {
            stop.cancelled().await;
            Ok(())
        });
        drained.await.unwrap();
        assert!(stop.is_cancelled());

        let stop = CancellationToken::new();
        raise();
        let stubborn = run(&mut signals, &stop, async {
            stop.cancelled().await;
            raise();
            std::future::pending().await
        });
        assert!(stubborn.await.unwrap_err().to_string().contains("second signal"));
    }
}
