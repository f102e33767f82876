//! How often this worker asks one address, whoever wants to know: a worker must not be the weapon of
//! those who may configure it. Counted at connect, by resolved address, so that neither many names
//! nor redirects get around it.
//!
//! Where more is wanted than there is room, those of lowest rank get it, with every probe and at every
//! worker; the others abstain, with every probe. So no vote flickers, and workers agree about who votes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use quorate_core::check::Check;
use tokio::time::Instant;

/// Probes in a thousand seconds.
type Rate = u64;

/// Between two looks for claims that nobody uses any more.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// An address at its cap is told of once in this time.
const TOLD_EVERY: Duration = Duration::from_hours(1);
/// Addresses at their cap that are told of; with more than that the log has said enough.
const TOLD_MAX: usize = 1_000;

/// On whose account a probe asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    /// Nobody's that comes again: behind all others.
    Once,
    /// A job's.
    Job {
        /// Equal at every worker, and nobody's choice: a hash of what is asked.
        rank: [u8; 16],
        rate: Rate,
        /// A claim that was not used for so long is given up. Each attempt uses it.
        lease_ms: u32,
    },
}

impl Asker {
    pub(crate) fn job(rank: [u8; 16], check: &Check) -> Self {
        let lease = 2 * check.interval + check.timeout;
        Self::Job { rank, rate: rate(check.interval), lease_ms: u32::try_from(lease.as_millis()).unwrap_or(u32::MAX) }
    }
}

/// The order of those who want to ask an address: first connections of attempts before those that
/// redirects lead to, jobs before what is asked once, and then by rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// 1 and up, within the attempt.
    connection: u8,
    who: Who,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Job([u8; 16]),
    Once(u64),
}

/// What one asker takes of an address, until it is given up.
#[derive(Clone, Copy, Debug)]
struct Claim {
    place: Place,
    rate: Rate,
    until: Instant,
}

#[derive(Debug)]
pub(super) struct Limit {
    /// For each address.
    rate_max: Rate,
    claims: Mutex<Claims>,
}

#[derive(Debug)]
struct Claims {
    /// In order of place.
    by_address: HashMap<IpAddr, Vec<Claim>>,
    told: HashMap<IpAddr, Instant>,
    /// Of those who ask once.
    once: u64,
    swept: Instant,
}

impl Limit {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let claims = Claims { by_address: HashMap::new(), told: HashMap::new(), once: 0, swept: now };
        Self { rate_max: Rate::from(per_second.max(1)) * 1_000, claims: Mutex::new(claims) }
    }

    /// Whether the address may be asked once more now, for the `connection`th time in an attempt; that
    /// counts. Attempts after a time-out do not: each takes its timeout.
    pub(super) fn take(&self, address: IpAddr, asker: &Asker, connection: u8, now: Instant) -> bool {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.sweep(now);
        let (who, rate, lease) = match *asker {
            Asker::Job { rank, rate, lease_ms } => (Who::Job(rank), rate, Duration::from_millis(lease_ms.into())),
            Asker::Once => {
                claims.once += 1;
                (Who::Once(claims.once), 1_000, Duration::from_secs(1))
            }
        };
        let place = Place { connection, who };
        let is_let = claims.take(address, Claim { place, rate, until: now + lease }, self.rate_max, now);
        if !is_let {
            counter!("quorate_worker_probes_capped_total").increment(1);
            claims.tell(address, self.rate_max / 1_000, now);
        }
        is_let
    }
}

impl Claims {
    fn take(&mut self, address: IpAddr, wanted: Claim, rate_max: Rate, now: Instant) -> bool {
        // Most addresses are one check's.
        let claims = self.by_address.entry(address).or_insert_with(|| Vec::with_capacity(1));
        let found = claims.binary_search_by_key(&wanted.place, |claim| claim.place);
        let (Ok(at) | Err(at)) = found;
        let mut room = rate_max.checked_sub(wanted.rate);
        for ahead in claims[..at].iter().filter(|ahead| ahead.until > now) {
            room = room.and_then(|room| room.checked_sub(ahead.rate));
            if room.is_none() {
                break;
            }
        }
        match (room, found) {
            (Some(_), Ok(at)) => {
                claims[at] = wanted;
                true
            }
            (Some(_), Err(at)) => {
                claims.insert(at, wanted);
                // Those behind who have to make room have just used it.
                claims.iter().filter(|claim| claim.until > now).map(|claim| claim.rate).sum::<Rate>() <= rate_max
            }
            // Whoever comes behind may have what this one does not use.
            (None, Ok(at)) => {
                claims.remove(at);
                false
            }
            (None, Err(_)) => false,
        }
    }

    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.by_address.retain(|_, claims| {
            claims.retain(|claim| claim.until > now);
            !claims.is_empty()
        });
        self.told.retain(|_, at| now.saturating_duration_since(*at) < TOLD_EVERY);
    }

    fn tell(&mut self, address: IpAddr, per_second: u64, now: Instant) {
        if self.told.contains_key(&address) || self.told.len() >= TOLD_MAX {
            return;
        }
        self.told.insert(address, now);
        tracing::warn!(
            event = "address_capped",
            %address,
            per_second,
            "an address is to be asked more often than it may be: checks that find no room abstain with \"Monitor Config Error\""
        );
    }
}

pub(crate) fn rate(interval: Duration) -> Rate {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(Rate::MAX).max(1);
    (1_000_000 / interval_ms).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn job(rank: u8, interval_s: u64) -> Asker {
        let interval = Duration::from_secs(interval_s);
        Asker::Job { rank: [rank; 16], rate: rate(interval), lease_ms: u32::try_from(3 * interval.as_millis()).expect("short") }
    }

    fn limit(per_second: u32) -> (Limit, Instant) {
        let now = Instant::now();
        (Limit::new(per_second, now), now)
    }

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    /// Which of `jobs` are let through, asked in this order.
    fn let_through(limit: &Limit, jobs: &[u8], now: Instant) -> Vec<u8> {
        let mut through: Vec<u8> = jobs.iter().copied().filter(|rank| limit.take(address(1), &job(*rank, 1), 1, now)).collect();
        through.sort_unstable();
        through
    }

    #[test]
    fn those_of_lowest_rank_have_the_room_in_whatever_order_they_come() {
        let (limit, start) = limit(2);
        assert_eq!(let_through(&limit, &[9, 5, 7], start), [5, 9], "whoever comes first, before anybody else is known");
        for second in 1..100 {
            let mut jobs = [9, 5, 7, 8];
            jobs.rotate_left(second % 4);
            let told = let_through(&limit, &jobs, start + SECOND * u32::try_from(second).expect("small"));
            assert_eq!(told, [5, 7], "in second {second}");
        }
        let later = start + SECOND * 103;
        assert_eq!(let_through(&limit, &[9, 8], later), [8, 9], "nobody else has asked for three intervals");
    }

    #[test]
    fn slow_checks_take_their_part_of_the_room() {
        let (limit, now) = limit(1);
        let through = (0..100).filter(|rank| limit.take(address(1), &job(*rank, 60), 1, now)).count();
        assert_eq!(through, 62, "1,000 in a thousand seconds, 16 for each check");
        assert!(!limit.take(address(1), &job(200, 1), 1, now));
        assert!(limit.take(address(2), &job(200, 1), 1, now), "each address for itself");
    }

    #[test]
    fn what_redirects_lead_to_takes_no_room_of_first_connections() {
        let (limit, now) = limit(3);
        let circle = (1..=11).filter(|connection| limit.take(address(1), &job(1, 1), *connection, now)).count();
        assert_eq!(circle, 3);
        assert_eq!(let_through(&limit, &[2, 3], now), Vec::<u8>::new(), "it is used already");
        assert_eq!(let_through(&limit, &[2, 3], now), [2, 3]);
        let circle: Vec<u8> = (1..=11).filter(|connection| limit.take(address(1), &job(1, 1), *connection, now)).collect();
        assert_eq!(circle, [1]);
    }

    #[test]
    fn what_is_asked_once_has_what_is_left_and_adds_up() {
        let (limit, now) = limit(3);
        assert_eq!(let_through(&limit, &[1], now), [1]);
        let once = |now| (0..9).filter(|_| limit.take(address(1), &Asker::Once, 1, now)).count();
        assert_eq!((once(now), once(now), once(now + SECOND)), (2, 0, 2));
    }

    #[test]
    fn what_nobody_uses_any_more_is_forgotten() {
        let (limit, start) = limit(10);
        for number in 0..100_000 {
            assert!(limit.take(address(number), &job(1, 1), 1, start + Duration::from_millis(number.into())));
        }
        let claims = limit.claims.lock().expect("no panic");
        assert!(claims.by_address.len() <= 64_000, "{}: what came in the last minute and a lease", claims.by_address.len());
    }
}
