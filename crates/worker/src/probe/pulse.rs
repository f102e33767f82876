//! How much time a thread of ours has lost: the machine slept, or had no time for it. What an attempt
//! misses meanwhile is not the origin's doing.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// Between two beats: a loss is known but for so much.
const BEAT: Duration = Duration::from_millis(100);
/// Late by less is no loss: a thread that works is late now and then, and one that is held to a share of a processor by turns stops for
/// a tenth of a second again and again. To believe no time-out of such a worker would leave what is down up.
const LATE_MIN: Duration = Duration::from_millis(250);
/// A loss that the operator is told of.
const TOLD_MIN: Duration = Duration::from_secs(1);

/// Of one thread.
#[derive(Debug)]
pub(super) struct Pulse {
    /// For the operator.
    thread: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: Duration,
    /// Of the next beat, by [`now`]; `None` where nobody has it beat.
    due: Option<Duration>,
}

impl Pulse {
    pub(super) fn new(thread: &'static str) -> Self {
        Self { thread, state: Mutex::default() }
    }

    /// Has it beat, on the thread that polls this.
    pub(super) async fn beat(&self) -> Infallible {
        loop {
            self.state().due = Some(now() + BEAT);
            sleep(BEAT).await;
            let late = self.state().take_loss(now());
            counter!("quorate_worker_lost_milliseconds_total", "thread" => self.thread)
                .increment(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
            if late >= TOLD_MIN {
                tracing::warn!(
                    event = "stood_still",
                    thread = self.thread,
                    lost_ms = late.as_millis(),
                    "a thread of this worker stood still: no origin is blamed for it"
                );
            }
        }
    }

    /// All that was lost so far. Without a beat, nothing.
    pub(super) fn lost(&self) -> Duration {
        let state = self.state();
        state.lost + state.loss(now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// By the beat that is due.
    fn loss(&self, now: Duration) -> Duration {
        let late = self.due.map_or(Duration::ZERO, |due| now.saturating_sub(due));
        if late < LATE_MIN { Duration::ZERO } else { late }
    }

    fn take_loss(&mut self, now: Duration) -> Duration {
        let loss = self.loss(now);
        self.lost += loss;
        self.due = None;
        loss
    }
}

/// Since the machine was started, the time in which it slept included: origins go on meanwhile, and timeouts do not.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).expect("no machine was started in the future")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_thread_loses_is_known_before_and_after_its_next_beat() {
        let pulse = Pulse::new("probe");
        let stands_still = async {
            // Until it has begun.
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(500));
            let before = pulse.lost();
            tokio::task::yield_now().await;
            (before, pulse.lost())
        };
        let (before, after) = tokio::select! {
            lost = stands_still => lost,
            never = pulse.beat() => match never {},
        };
        assert!(before >= Duration::from_millis(400), "{before:?}");
        assert!((before..before + BEAT).contains(&after), "it counts once: {before:?}, {after:?}");
    }

    #[test]
    fn a_late_beat_counts_once_and_if_it_is_late_enough() {
        let due = Duration::from_secs(7);
        let state = || State { lost: Duration::from_secs(1), due: Some(due) };
        let loss = |late_ms| state().loss(due + Duration::from_millis(late_ms)).as_millis();
        assert_eq!([loss(0), loss(249), loss(250), loss(5_000)], [0, 0, 250, 5_000]);
        let mut state = state();
        let late = due + Duration::from_secs(5);
        assert_eq!((state.take_loss(late), state.take_loss(late)), (Duration::from_secs(5), Duration::ZERO));
        assert_eq!(state.lost, Duration::from_secs(6));
    }
}
