//! The phases of an attempt to probe an origin, and how long each took.

use std::num::NonZeroU32;
use std::time::Duration;

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
    /// Until the first byte of the answer comes.
    FirstByte,
    /// From there until its head is read, where that does not come at once.
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
    pub const ALL: [Self; 10] = [
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Request,
        Self::FirstByte,
        Self::Headers,
        Self::Body,
        Self::Dialog,
        Self::Echo,
        Self::Datagram,
    ];

    /// As metrics and the API have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::FirstByte => "first_byte",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::Dialog => "dialog",
            Self::Echo => "echo",
            Self::Datagram => "datagram",
        }
    }
}

/// How long each phase of an attempt took, in whole microseconds, 1 and up; the sum over several connections (redirects, a
/// second library for TLS). Every probe under way holds some, so they are kept small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Option<NonZeroU32>; Phase::ALL.len()]);

impl Phases {
    /// `None` where it was not reached or not needed.
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        self.0[phase as usize].map(|us| Duration::from_micros(us.get().into()))
    }

    /// Those that were reached, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> {
        Phase::ALL.into_iter().filter_map(|phase| Some((phase, self.of(phase)?)))
    }

    /// Microseconds by phase, in the order of [`Phase::ALL`]; 0 where it was not reached.
    pub fn us(&self) -> [u32; Phase::ALL.len()] {
        self.0.map(|us| us.map_or(0, NonZeroU32::get))
    }

    /// What [`us`](Self::us) gave. Of a writer that knows fewer phases or more, those that both know.
    pub fn from_us(us: impl IntoIterator<Item = u32>) -> Self {
        let mut phases = Self::default();
        for (phase, us) in phases.0.iter_mut().zip(us) {
            *phase = NonZeroU32::new(us);
        }
        phases
    }

    pub fn add(&mut self, phase: Phase, took: Duration) {
        let all = self.of(phase).unwrap_or_default() + took;
        let us = u32::try_from(all.as_micros()).unwrap_or(u32::MAX);
        self.0[phase as usize] = Some(NonZeroU32::new(us).unwrap_or(NonZeroU32::MIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_was_reached_took_some_time_and_hops_add_up() {
        let mut phases = Phases::default();
        phases.add(Phase::Connect, Duration::ZERO);
        phases.add(Phase::Headers, Duration::from_millis(2));
        phases.add(Phase::Headers, Duration::from_nanos(1_500));
        let told: Vec<_> = phases.iter().map(|(phase, took)| (phase.name(), took.as_micros())).collect();
        assert_eq!(told, [("connect", 1), ("headers", 2_001)]);
        assert_eq!(phases.of(Phase::Tls), None);
    }

    #[test]
    fn phases_read_back_also_from_who_knows_fewer_or_more() {
        let mut phases = Phases::default();
        phases.add(Phase::Connect, Duration::from_micros(7));
        assert_eq!(Phases::from_us(phases.us()), phases);
        assert_eq!(Phases::from_us([0, 7]), phases);
        assert_eq!(Phases::from_us(phases.us().into_iter().chain([9])), phases);
    }
}
