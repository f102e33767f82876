//! One attempt: a deadline that covers everything, and what was measured on the way.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

use super::fault::Fault;
use super::limit::Asker;
use super::{Phase, Phases};

/// From the first look-up to the last byte.
pub(crate) struct Attempt<'a> {
    pub(crate) deadline: Instant,
    pub(crate) asker: &'a Asker,
    /// Memory of an earlier attempt, to use again.
    pub(crate) room: &'a mut Vec<u8>,
    /// Addresses that were to be asked so far, with redirects more than one.
    pub(crate) connections: u8,
    /// What handshakes of OpenSSL had lost before its own.
    pub(crate) broad_lost: Option<Duration>,
    /// Rings at the deadline. Set once for all phases, and not before one of them has to wait.
    alarm: Option<Alarm>,
    /// Since when the next phase counts: the end of the last one, unless something came between that is none.
    since: Instant,
    pub(crate) phases: Phases,
    pub(crate) response_code: Option<u16>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) certificate_days_left: Option<i32>,
}

/// Rings also for a task that has used up its turn, as one does that an origin keeps busy.
type Alarm = Pin<Box<Unconstrained<Sleep>>>;

impl<'a> Attempt<'a> {
    pub(crate) fn new(timeout: Duration, asker: &'a Asker, room: &'a mut Vec<u8>) -> Self {
        let now = Instant::now();
        Self {
            deadline: now + timeout,
            asker,
            room,
            connections: 0,
            broad_lost: None,
            alarm: None,
            since: now,
            phases: Phases::default(),
            response_code: None,
            rtt: None,
            certificate_days_left: None,
        }
    }

    /// Since when the next phase counts.
    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// What was done until now is of no phase.
    pub(crate) fn skip(&mut self) {
        self.since = Instant::now();
    }

    /// Of several certificates the one counts that ends first.
    pub(crate) fn saw_certificate(&mut self, days_left: Option<i32>) {
        self.certificate_days_left = self.certificate_days_left.into_iter().chain(days_left).min();
    }

    /// Works on a phase until it is done or the attempt's deadline passes.
    ///
    /// The work stays where it is pinned: to move it here would copy it at every probe.
    pub(crate) async fn within<T>(&mut self, phase: Phase, mut work: Pin<&mut impl Future<Output = Result<T, Fault>>>) -> Result<T, Fault> {
        let done = poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(self.deadline))));
            alarm.as_mut().poll(cx).map(|()| Err(Fault::Deadline(phase)))
        })
        .await;
        let started = std::mem::replace(&mut self.since, Instant::now());
        self.phases.add(phase, self.since.saturating_duration_since(started));
        done
    }
}
