//! One attempt: a deadline that covers everything, and what was measured on the way.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

use super::fault::Fault;
use super::limit::Asker;
use super::{Phase, Phases};

/// From the first look-up to the last byte.
pub(crate) struct Attempt {
    pub(crate) deadline: Instant,
    pub(crate) asker: Asker,
    /// Addresses that were to be asked so far, with redirects more than one.
    pub(crate) connections: u8,
    /// Rings at the deadline. Set once for all phases, and not before one of them has to wait.
    alarm: Option<Alarm>,
    pub(crate) phases: Phases,
    pub(crate) response_code: Option<u16>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) certificate_days_left: Option<i32>,
}

/// Rings also for a task that has used up its turn, as one does that an origin keeps busy.
type Alarm = Pin<Box<Unconstrained<Sleep>>>;

impl Attempt {
    pub(crate) fn new(timeout: Duration, asker: Asker) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            asker,
            connections: 0,
            alarm: None,
            phases: Phases::default(),
            response_code: None,
            rtt: None,
            certificate_days_left: None,
        }
    }

    /// Works on a phase until it is done or the attempt's deadline passes.
    pub(crate) async fn within<T>(&mut self, phase: Phase, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let started = Instant::now();
        let mut work = pin!(work);
        let done = poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(self.deadline))));
            alarm.as_mut().poll(cx).map(|()| Err(Fault::Deadline(phase)))
        })
        .await;
        self.phases.add(phase, started.elapsed());
        done
    }
}
