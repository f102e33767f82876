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
mod resolve;
mod smtp;
mod target;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod udp;

use std::num::NonZeroU32;
use std::time::Duration;

use quorate_core::failure::FailureReason;
use quorate_core::health::Observation;
use quorate_core::vote::{Detail, VoteState};

pub(crate) use capability::Capabilities;
pub(crate) use limit::{Asker, rate};
pub use net::{NetProber, SetupError};
pub(crate) use target::{Ask, HttpAsk};
pub use target::{Target, Unrunnable};

/// Asks an origin.
pub trait Prober: Send + Sync + 'static {
    /// Probes once, retries included. Never panics, and ends within (retries + 1) × timeout. `room` is empty or what the
    /// caller's last probe has left: memory to use again.
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

/// A stretch of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name to addresses.
    Resolve,
    /// SYN to SYN/ACK.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Until the request is written.
    Request,
    /// Until the head of the answer is read.
    Headers,
    /// Until enough of the body is read.
    Body,
    /// SMTP: from the connection to the last reply.
    Dialog,
    /// ICMP: from the request to its reply.
    Echo,
    /// UDP: until somebody answers, or the timeout.
    Datagram,
}

impl Phase {
    /// In the order in which they come.
    const ALL: [Self; 9] =
        [Self::Resolve, Self::Connect, Self::Tls, Self::Request, Self::Headers, Self::Body, Self::Dialog, Self::Echo, Self::Datagram];

    const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::Dialog => "dialog",
            Self::Echo => "echo",
            Self::Datagram => "datagram",
        }
    }
}

/// How long each phase of an attempt took, in whole microseconds, 1 and up; with redirects, the sum over the hops. Every
/// probe under way holds some, so they are kept small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Option<NonZeroU32>; Phase::ALL.len()]);

impl Phases {
    /// `None` where it was not reached or not needed.
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        self.0[phase as usize].map(|us| Duration::from_micros(us.get().into()))
    }

    /// Those that were reached, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        Phase::ALL.into_iter().filter_map(|phase| Some((phase.name(), self.of(phase)?)))
    }

    pub(crate) fn add(&mut self, phase: Phase, took: Duration) {
        let all = self.of(phase).unwrap_or_default() + took;
        let us = u32::try_from(all.as_micros()).unwrap_or(u32::MAX);
        self.0[phase as usize] = Some(NonZeroU32::new(us).unwrap_or(NonZeroU32::MIN));
    }
}
