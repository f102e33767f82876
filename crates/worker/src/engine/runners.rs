//! The tasks that probe. Each is one of its own, so that a probe that its origin keeps busy uses up its own turn and nobody
//! else's; and each makes one probe after the other, so that a probe costs no task and takes over the memory of the one before.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::jobs::Start;
use crate::meters::Meters;
use crate::probe::{Outcome, Prober};

/// Runners that are kept without work. Where more probes are under way than that, a task more or less is not felt.
const IDLE_MAX: usize = 256;

pub(super) struct Runners {
    hub: Arc<Hub>,
    state: Mutex<State>,
    /// Wakes a runner for a start.
    work: Notify,
    /// Rings when a vote has changed, or when something is due sooner than [`State::looks_out_for`].
    news: Notify,
}

struct State {
    starts: VecDeque<Start>,
    /// Started, or about to be.
    in_flight: usize,
    /// Runners that wait and are not woken yet.
    idle: usize,
    looks_out_for: Option<Instant>,
    /// Votes have, and nobody was told yet.
    has_changed: bool,
    meters: Meters,
}

impl Runners {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        let state =
            State { starts: VecDeque::new(), in_flight: 0, idle: 0, looks_out_for: None, has_changed: false, meters: Meters::new() };
        Self { hub, state: Mutex::new(state), work: Notify::new(), news: Notify::new() }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    /// Notes what the caller waits for: the next probe that is due, as long as there is room for it. Answers that.
    pub(super) fn look_out_for(&self, next_due: Option<Instant>, in_flight_max: usize) -> Option<Instant> {
        let mut state = self.state();
        state.looks_out_for = next_due.filter(|_| state.in_flight < in_flight_max);
        state.looks_out_for
    }

    /// Until a probe has ended and there is something to do before what the caller waits for.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Tells of all votes that have changed since the last call, at once: who reports them has only so many messages to spare.
    pub(super) fn tell_changes(&self) {
        if std::mem::take(&mut self.state().has_changed) {
            self.hub.changed.send_replace(());
        }
    }

    /// Gives out probes. Answers how many runners more this needs than there are.
    pub(super) fn start(&self, starts: Vec<Start>) -> usize {
        let count = starts.len();
        let mut state = self.state();
        for start in &starts {
            state.meters.started(start.late);
        }
        state.starts.extend(starts);
        state.took(count);
        let woken = count.min(state.idle);
        state.idle -= woken;
        drop(state);
        for _runner in 0..woken {
            // The one that worked last: what it needs is still in the processor's caches.
            self.work.notify_last();
        }
        count - woken
    }

    /// Makes one probe after the other, until there are runners enough without it.
    pub(super) async fn work<P: Prober>(self: Arc<Self>, prober: Arc<P>) {
        let mut room = Vec::new();
        loop {
            let mut woken = pin!(self.work.notified());
            let next = {
                let mut state = self.state();
                let next = state.starts.pop_front();
                if next.is_none() {
                    if state.idle >= IDLE_MAX {
                        return;
                    }
                    state.idle += 1;
                    // From here on a call reaches it.
                    woken.as_mut().enable();
                }
                next
            };
            match next {
                Some(start) => {
                    let outcome = prober.probe(&start.target, &mut room).await;
                    self.ended(&start, &outcome);
                }
                None => woken.await,
            }
        }
    }

    fn ended(&self, start: &Start, outcome: &Outcome) {
        let mut board = self.hub.board();
        let has_changed = board.finished(start.job, outcome, start.started, Instant::now());
        let next_due = board.jobs.next_due();
        drop(board);
        let mut state = self.state();
        state.meters.ended(start.target.kind(), outcome);
        state.gave_back_one();
        state.has_changed |= has_changed;
        if has_changed || state.looks_out_for.is_none_or(|due| next_due.is_some_and(|next| next < due)) {
            self.news.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn took(&mut self, count: usize) {
        self.in_flight += count;
        self.show();
    }

    fn gave_back_one(&mut self) {
        self.in_flight -= 1;
        self.show();
    }

    fn show(&self) {
        self.meters.in_flight.set(u32::try_from(self.in_flight).unwrap_or(u32::MAX));
    }
}
