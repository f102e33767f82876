//! One attempt: a deadline that covers everything, and what was measured on the way.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::limit::Asker;
use super::{Phase, Phases};

/// From the first look-up to the last byte.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) deadline: Instant,
    pub(crate) asker: Asker,
    /// Addresses that were to be asked so far, with redirects more than one.
    pub(crate) connections: u8,
    pub(crate) phases: Phases,
    pub(crate) response_code: Option<u16>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) certificate_days_left: Option<i32>,
}

impl Attempt {
    pub(crate) fn new(timeout: Duration, asker: Asker) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            asker,
            connections: 0,
            phases: Phases::default(),
            response_code: None,
            rtt: None,
            certificate_days_left: None,
        }
    }

    /// Works on a phase until it is done or the attempt's deadline passes.
    pub(crate) async fn within<T>(&mut self, phase: Phase, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let started = Instant::now();
        let done = timeout_at(self.deadline, work).await.unwrap_or(Err(Fault::Deadline(phase)));
        self.phases.add(phase, started.elapsed());
        done
    }
}
