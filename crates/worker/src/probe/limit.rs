//! How often this worker asks one address, whoever wants to know: a worker must not be the weapon of
//! those who may configure it. Counted at connect, by resolved address, so that neither many names
//! nor redirects get around it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Seconds of the rate that may be used at once.
const BURST: Duration = Duration::from_secs(2);
/// Addresses remembered, beyond which those that have rested are forgotten.
const REMEMBERED_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Limit {
    /// Between two packets at the full rate.
    step: Duration,
    /// When each address has rested from what it was asked.
    rested: Mutex<HashMap<IpAddr, Instant>>,
}

impl Limit {
    pub(super) fn new(per_second: u32) -> Self {
        Self { step: Duration::from_secs(1) / per_second.max(1), rested: Mutex::default() }
    }

    /// Whether the address may be asked once more now; that counts.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut rested = self.rested.lock().unwrap_or_else(PoisonError::into_inner);
        if rested.len() >= REMEMBERED_MAX {
            rested.retain(|_, at| *at > now);
        }
        let at = rested.entry(address).or_insert(now);
        let after = (*at).max(now) + self.step;
        if after > now + BURST {
            return false;
        }
        *at = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `asked` are let through, `every` apart.
    fn let_through(limit: &Limit, address: &str, asked: u32, every: Duration, from: Instant) -> usize {
        let address = address.parse().expect("an address");
        (0..asked).filter(|number| limit.take(address, from + every * *number)).count()
    }

    #[test]
    fn the_rate_holds_over_time_and_a_burst_is_two_seconds_of_it() {
        let (limit, now) = (Limit::new(10), Instant::now());
        assert_eq!(let_through(&limit, "9.9.9.9", 100, Duration::ZERO, now), 20);
        assert_eq!(let_through(&limit, "9.9.9.8", 100, Duration::ZERO, now), 20, "each address for itself");
        assert_eq!(let_through(&limit, "9.9.9.9", 10_000, Duration::from_millis(1), now), 99, "ten seconds");
        let later = now + Duration::from_mins(1);
        assert_eq!(let_through(&limit, "9.9.9.9", 600, Duration::from_millis(100), later), 600, "just the rate");
    }

    #[test]
    fn addresses_that_have_rested_are_forgotten() {
        let (limit, now) = (Limit::new(10), Instant::now());
        for number in 0..200_000_u32 {
            assert!(limit.take(std::net::Ipv4Addr::from_bits(number).into(), now + Duration::from_millis(number.into())));
        }
        assert!(limit.rested.lock().expect("no panic").len() <= REMEMBERED_MAX);
    }
}
