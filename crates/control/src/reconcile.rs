//! The rhythm of a loop: a pass when poked, and one every period in any case, so that a lost poke
//! costs latency and never truth.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Asks a loop for a pass. Many pokes before it comes around are one pass.
#[derive(Clone, Debug)]
pub(crate) struct Poke(watch::Sender<()>);

impl Poke {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(crate) fn poke(&self) {
        self.0.send_replace(());
    }

    pub(crate) fn rhythm(&self, stop: &CancellationToken, period: Duration) -> Rhythm {
        Rhythm::new(stop, period, Some(self.0.subscribe()))
    }
}

/// When the next pass is due.
#[derive(Debug)]
pub(crate) struct Rhythm {
    stop: CancellationToken,
    ticks: Interval,
    poked: Option<watch::Receiver<()>>,
}

impl Rhythm {
    fn new(stop: &CancellationToken, period: Duration, poked: Option<watch::Receiver<()>>) -> Self {
        let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { stop: stop.clone(), ticks, poked }
    }

    /// A pass every period; nobody pokes it.
    pub(crate) fn steady(stop: &CancellationToken, period: Duration) -> Self {
        Self::new(stop, period, None)
    }

    /// Waits for the next pass, the first at once. `false`: stop.
    pub(crate) async fn next(&mut self) -> bool {
        let poked = async {
            match &mut self.poked {
                // Without a sender nobody will poke any more; the period remains.
                Some(poked) => match poked.changed().await {
                    Ok(()) => {}
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = poked => true,
            _ = self.ticks.tick() => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pass_comes_by_poke_and_by_period_until_the_stop() {
        let (poke, stop) = (Poke::new(), CancellationToken::new());
        let mut rhythm = poke.rhythm(&stop, Duration::from_secs(10));
        let start = tokio::time::Instant::now();
        assert!(rhythm.next().await, "the first is at once");
        poke.poke();
        poke.poke();
        assert!(rhythm.next().await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(rhythm.next().await, "two pokes are one pass");
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        stop.cancel();
        poke.poke();
        assert!(!rhythm.next().await, "the stop comes first");
    }
}
