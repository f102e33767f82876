//! The one seam between the worker and the network.
//!
//! A probe is a value in and a value out: a [`Target`] was checked when the manifest came, and an
//! [`Outcome`] says what was found; a failed origin is no error. Only [`classify`] turns what went
//! wrong into a failure reason.

mod attempt;
mod capability;
mod classify;
mod connect;
mod datagram;
mod expiry;
mod fault;
mod http;
mod icmp;
mod limit;
mod net;
mod pulse;
mod resolve;
mod smtp;
mod target;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod udp;

use std::time::Duration;

use quorate_core::failure::FailureReason;
use quorate_core::health::Observation;
pub use quorate_core::phase::{Phase, Phases};
use quorate_core::preview::Seen;
use quorate_core::vote::{Detail, VoteState};

pub(crate) use capability::Capabilities;
pub(crate) use limit::{Asker, rate};
pub use net::{NetProber, SetupError};
pub(crate) use target::{Ask, HttpAsk};
pub use target::{Target, Unrunnable};

/// Asks an origin.
pub trait Prober: Send + Sync + 'static {
    /// Probes once, retries included. Never panics, and ends within (retries + 1) × timeout; the first ones of a process that need
    /// TLS may wait one timeout more, and so may those during which the worker stood still. `room` is empty or what the caller's last
    /// probe has left: memory to use again.
    fn probe(&self, target: &Target, room: &mut Vec<u8>) -> impl Future<Output = Outcome> + Send;

    /// As [`probe`](Self::probe), for who does not do it again and again.
    fn probe_once(&self, target: &Target) -> impl Future<Output = Outcome> + Send {
        async { self.probe(target, &mut Vec::new()).await }
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub finding: Finding,
    /// The last HTTP status or SMTP reply code that was read.
    pub response_code: Option<u16>,
    /// TCP: the handshake. HTTP, SMTP: from the start of the connection to the end of the answer's head,
    /// or of the greeting. ICMP, and UDP with it: the echo, by the kernel's clock.
    pub rtt: Option<Duration>,
    /// Of the last attempt.
    pub phases: Phases,
    /// Whole days until the origin's certificate ends, negative once it has; over redirects the fewest.
    pub certificate_days_left: Option<i32>,
    /// 1 and up.
    pub attempts: u8,
}

impl Outcome {
    /// What it says by itself, before any threshold.
    pub(crate) fn detail(&self) -> Detail {
        Detail {
            state: match self.finding {
                Finding::Passed => VoteState::Up,
                Finding::Failed(_) => VoteState::Down,
                Finding::Abstained(_) => VoteState::Unknown,
            },
            reason: self.finding.reason(),
            response_code: self.response_code,
            rtt_us: self.rtt.and_then(|rtt| u32::try_from(rtt.as_micros()).ok()),
        }
    }

    /// All that who asked for one probe is told.
    pub(crate) fn seen(&self) -> Seen {
        Seen { detail: self.detail(), phases: self.phases, certificate_days_left: self.certificate_days_left, error: None }
    }
}

/// What a probe says of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Passed,
    Failed(FailureReason),
    /// Nothing: the trouble is the worker's own. The reason is told, and nobody goes down by it.
    Abstained(FailureReason),
}

impl Finding {
    pub const fn observation(self) -> Observation {
        match self {
            Self::Passed => Observation::Passed,
            Self::Failed(_) => Observation::Failed,
            Self::Abstained(_) => Observation::Abstained,
        }
    }

    pub const fn reason(self) -> Option<FailureReason> {
        match self {
            Self::Passed => None,
            Self::Failed(reason) | Self::Abstained(reason) => Some(reason),
        }
    }
}
