//! The pings of one socket that wait for their replies.
//!
//! Pure but for the channel by which each is told. A reply counts only if it comes from the address
//! that was asked and brings back sequence and payload: one that is late or forged tells nobody.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rand::{Rng, RngExt as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::packet::{Echo, PAYLOAD_BYTES, Payload};

/// Pings of one socket at once: half of the sequences, so that a free one is soon drawn.
pub(super) const PINGS_MAX: usize = 1 << 15;

/// The round trip, or what the network says of the way.
pub(super) type Told = io::Result<Duration>;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_sequence: HashMap<u16, Asked>,
    /// Nobody listens any more.
    is_closed: bool,
}

#[derive(Debug)]
struct Asked {
    address: IpAddr,
    payload: Payload,
    sent: Instant,
    tell: oneshot::Sender<Told>,
}

/// What a new ping has to send, and where it is told of.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) sequence: u16,
    pub(super) payload: Payload,
    pub(super) told: oneshot::Receiver<Told>,
}

impl Waiting {
    /// A ping that is sent now. `None`: there are too many, or nobody listens for replies.
    pub(super) fn add(&mut self, address: IpAddr, rng: &mut impl Rng, sent: Instant) -> Option<Ticket> {
        if self.is_closed || self.by_sequence.len() >= PINGS_MAX {
            return None;
        }
        let mut payload = [0; PAYLOAD_BYTES];
        rng.fill_bytes(&mut payload);
        let sequence = loop {
            let drawn = rng.random();
            if !self.by_sequence.contains_key(&drawn) {
                break drawn;
            }
        };
        let (tell, told) = oneshot::channel();
        self.by_sequence.insert(sequence, Asked { address, payload, sent, tell });
        Some(Ticket { sequence, payload, told })
    }

    /// A reply has come, and had `waited` for somebody to read it by `now`.
    pub(super) fn replied(&mut self, from: IpAddr, reply: &Echo<'_>, waited: Duration, now: Instant) {
        let is_whole = |asked: &Asked| asked.address == from && asked.payload == reply.payload;
        if let Some(asked) = self.take(reply.sequence, is_whole) {
            let elapsed = now.saturating_duration_since(asked.sent);
            // The clock of the day may have been set meanwhile.
            asked.tell(Ok(elapsed.checked_sub(waited).unwrap_or(elapsed)));
        }
    }

    /// The network says something of a request to this address, and quotes at least its beginning.
    pub(super) fn failed(&mut self, to: IpAddr, quoted: &Echo<'_>, error: io::Error) {
        let is_ours =
            |asked: &Asked| asked.address == to && asked.payload.starts_with(&quoted.payload[..quoted.payload.len().min(PAYLOAD_BYTES)]);
        if let Some(asked) = self.take(quoted.sequence, is_ours) {
            asked.tell(Err(error));
        }
    }

    /// Nobody waits for this ping any more.
    pub(super) fn forget(&mut self, sequence: u16, payload: &Payload) {
        // The sequence may be another's by now.
        self.take(sequence, |asked| asked.payload == *payload);
    }

    /// Nobody listens any more: whoever waits is told so by the end of its channel.
    pub(super) fn close(&mut self) {
        *self = Self { by_sequence: HashMap::new(), is_closed: true };
    }

    fn take(&mut self, sequence: u16, is_it: impl FnOnce(&Asked) -> bool) -> Option<Asked> {
        self.by_sequence.get(&sequence).is_some_and(is_it).then(|| self.by_sequence.remove(&sequence))?
    }
}

impl Asked {
    fn tell(self, told: Told) {
        // Who has stopped waiting does not want to know.
        let _unwanted = self.tell.send(told);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    struct World {
        waiting: Waiting,
        rng: StdRng,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { waiting: Waiting::default(), rng: StdRng::seed_from_u64(7), start: Instant::now() }
        }

        fn asks(&mut self) -> Ticket {
            self.waiting.add(HERE, &mut self.rng, self.start).expect("room")
        }

        /// A reply after 5 ms that waited for 2 ms to be read.
        fn hears(&mut self, from: IpAddr, sequence: u16, payload: &[u8]) {
            let echo = Echo { id: 0, sequence, payload };
            self.waiting.replied(from, &echo, Duration::from_millis(2), self.start + Duration::from_millis(5));
        }
    }

    fn round_trip(ticket: &mut Ticket) -> Option<Duration> {
        ticket.told.try_recv().ok().map(|told| told.expect("no error"))
    }

    #[test]
    fn only_the_reply_to_the_request_counts_and_only_once() {
        let mut world = World::new();
        let (mut one, mut two) = (world.asks(), world.asks());
        assert_ne!(one.sequence, two.sequence);
        let mut forged = one.payload;
        forged[55] ^= 1;
        world.hears(HERE, one.sequence, &forged);
        world.hears(HERE, one.sequence, &one.payload[..55]);
        world.hears(ELSEWHERE, one.sequence, &one.payload);
        world.hears(HERE, two.sequence, &one.payload);
        assert_eq!((round_trip(&mut one), round_trip(&mut two)), (None, None));
        let (sequence, payload) = (one.sequence, one.payload);
        world.hears(HERE, sequence, &payload);
        assert_eq!(round_trip(&mut one), Some(Duration::from_millis(3)), "without the time it waited to be read");
        world.hears(HERE, sequence, &payload);
        assert_eq!(world.waiting.by_sequence.len(), 1, "the other still waits");
    }

    #[test]
    fn an_error_is_of_the_request_that_it_quotes() {
        let mut world = World::new();
        let mut asked = world.asks();
        let unreachable = || io::Error::from(io::ErrorKind::HostUnreachable);
        let mut forged = asked.payload;
        forged[0] ^= 1;
        let quoting = |payload| Echo { id: 0, sequence: asked.sequence, payload };
        world.waiting.failed(HERE, &quoting(&forged), unreachable());
        world.waiting.failed(ELSEWHERE, &quoting(&asked.payload), unreachable());
        assert!(asked.told.try_recv().is_err(), "told of another's packet");
        world.waiting.failed(HERE, &quoting(&[]), unreachable());
        let told = asked.told.try_recv().expect("routers need not quote more than the header");
        assert_eq!(told.expect_err("an error").kind(), io::ErrorKind::HostUnreachable);

        let mut asked = world.asks();
        // With what padding a router adds.
        let padded = [&asked.payload[..], &[0; 64]].concat();
        world.waiting.failed(HERE, &Echo { id: 0, sequence: asked.sequence, payload: &padded }, unreachable());
        assert!(asked.told.try_recv().is_ok());
    }

    #[test]
    fn who_stops_waiting_leaves_a_sequence_that_others_may_have_taken_up() {
        let mut world = World::new();
        let (gone, stays) = (world.asks(), world.asks());
        world.waiting.forget(stays.sequence, &gone.payload);
        assert_eq!(world.waiting.by_sequence.len(), 2);
        world.waiting.forget(gone.sequence, &gone.payload);
        assert_eq!(world.waiting.by_sequence.len(), 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_none_once_nobody_listens() {
        let mut world = World::new();
        let mut tickets: Vec<Ticket> = (0..PINGS_MAX).map(|_| world.asks()).collect();
        assert!(world.waiting.add(HERE, &mut world.rng, world.start).is_none());
        let left = tickets.pop().expect("many");
        world.waiting.forget(left.sequence, &left.payload);
        world.asks();
        world.waiting.close();
        assert!(world.waiting.add(HERE, &mut world.rng, world.start).is_none());
        assert_eq!(tickets[0].told.try_recv().expect_err("nothing was told"), oneshot::error::TryRecvError::Closed);
    }
}
