//! How often one may ask: each token within its quota, and each address that is not known yet within a smaller one,
//! before the database is asked who it is. In memory, each process by itself.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue};
use quorate_core::ids::TokenId;

use crate::error::ApiError;

/// Requests between two looks for tokens and addresses that have been quiet, which are then forgotten.
const SWEEP_EVERY: u32 = 10_000;
/// Addresses remembered at once; beyond them all strangers are refused until the quiet ones are forgotten.
const STRANGERS_MAX: usize = 100_000;

/// Quotas; 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of one token in `window`: so many at once, and then as many as come back evenly over the window.
    pub requests: u32,
    pub window: Duration,
    /// Requests of one address (IPv6: one /64) a second that come without a token that is known: without one, with a wrong
    /// one, or with one that has to be looked up. Twice as many at once.
    pub strangers_per_second: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { requests: 1200, window: Duration::from_mins(5), strangers_per_second: 100 }
    }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, MonotonicClock, StateInformationMiddleware>;

/// Where a token stands in its quota after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    remaining: u32,
    limits: RateLimits,
}

/// Where the request of that extension leaves what it cost, for the headers of its answer. A request pays once, however often
/// it is asked who it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<OnceLock<Standing>>);

impl Meter {
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.0.get().copied()
    }
}

impl Standing {
    /// Tells it in the headers of the answer: `Ratelimit: "default";r=1199;t=1`, `Ratelimit-Policy: "default";q=1200;w=300`.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Self { remaining, limits } = self;
        let window = limits.window.as_secs();
        // Seconds until the whole quota is there again.
        let full_in = (u64::from(limits.requests - remaining) * window).div_ceil(u64::from(limits.requests));
        for (name, text) in [
            ("ratelimit", format!("\"default\";r={remaining};t={full_in}")),
            ("ratelimit-policy", format!("\"default\";q={};w={window}", limits.requests)),
        ] {
            headers.insert(name, HeaderValue::try_from(text).expect("digits and quotes are legal in a header"));
        }
    }
}

pub(crate) struct Limiters {
    limits: RateLimits,
    tokens: Option<Limiter<TokenId>>,
    strangers: Option<Limiter<IpAddr>>,
    /// Requests since the last sweep.
    unswept: AtomicU32,
}

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiters").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn limiter<K: std::hash::Hash + Eq + Clone>(quota: Option<Quota>) -> Option<Limiter<K>> {
    quota.map(|quota| RateLimiter::dashmap_with_clock(quota, MonotonicClock).with_middleware())
}

impl Limiters {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let of_token = NonZeroU32::new(limits.requests)
            .and_then(|requests| Some(Quota::with_period(limits.window.checked_div(requests.get())?)?.allow_burst(requests)));
        let of_stranger = NonZeroU32::new(limits.strangers_per_second)
            .map(|requests| Quota::per_second(requests).allow_burst(requests.saturating_mul(NonZeroU32::MIN.saturating_add(1))));
        Self { limits, tokens: limiter(of_token), strangers: limiter(of_stranger), unswept: AtomicU32::new(0) }
    }

    /// Counts a request of a token, once.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub(crate) fn request_of(&self, token: TokenId, meter: &Meter) -> Result<(), ApiError> {
        let Some(limiter) = self.tokens.as_ref().filter(|_| meter.standing().is_none()) else { return Ok(()) };
        self.sweep();
        let (remaining, wait) = match limiter.check_key(&token) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(MonotonicClock.now()))),
        };
        // Nobody else has this request's meter.
        let _first = meter.0.set(Standing { remaining, limits: self.limits });
        wait.map_or(Ok(()), |wait| Err(ApiError::TooManyRequests { wait }))
    }

    /// Counts a request from an address whose token is not known.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub(crate) fn stranger(&self, address: IpAddr) -> Result<(), ApiError> {
        let Some(limiter) = &self.strangers else { return Ok(()) };
        self.sweep();
        if limiter.len() >= STRANGERS_MAX {
            limiter.retain_recent();
            if limiter.len() >= STRANGERS_MAX {
                return Err(ApiError::TooManyRequests { wait: Duration::from_secs(1) });
            }
        }
        let checked = limiter.check_key(&network(address));
        checked.map(|_| ()).map_err(|not_until| ApiError::TooManyRequests { wait: not_until.wait_time_from(MonotonicClock.now()) })
    }

    fn sweep(&self) {
        if self.unswept.fetch_add(1, Ordering::Relaxed) + 1 < SWEEP_EVERY {
            return;
        }
        self.unswept.store(0, Ordering::Relaxed);
        if let Some(tokens) = &self.tokens {
            tokens.retain_recent();
        }
        if let Some(strangers) = &self.strangers {
            strangers.retain_recent();
        }
    }
}

/// Who holds an IPv6 address holds its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, strangers_per_second: u32) -> Limiters {
        Limiters::new(RateLimits { requests, window: Duration::from_mins(5), strangers_per_second })
    }

    #[test]
    fn a_token_has_its_quota_at_once_and_the_next_hears_when_to_come_again() {
        let limiters = limits(3, 0);
        let (mine, other) = (TokenId::from_bytes([1; 16]), TokenId::from_bytes([2; 16]));
        for remaining in [2, 1, 0] {
            let meter = Meter::default();
            limiters.request_of(mine, &meter).expect("within the quota");
            limiters.request_of(mine, &meter).expect("the same request");
            assert_eq!(meter.standing().map(|standing| standing.remaining), Some(remaining));
        }
        let meter = Meter::default();
        let Err(ApiError::TooManyRequests { wait }) = limiters.request_of(mine, &meter) else { panic!("over the quota") };
        assert!((Duration::from_secs(99)..=Duration::from_secs(100)).contains(&wait), "{wait:?}");
        let mut headers = HeaderMap::new();
        meter.standing().expect("it was counted").tell(&mut headers);
        assert_eq!(headers["ratelimit"], "\"default\";r=0;t=300");
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=3;w=300");
        limiters.request_of(other, &Meter::default()).expect("another's quota is its own");
    }

    #[test]
    fn an_unlimited_token_has_no_headers() {
        let limiters = limits(0, 0);
        let meter = Meter::default();
        for _ in 0..10_000 {
            limiters.request_of(TokenId::from_bytes([1; 16]), &meter).expect("no limit");
        }
        assert_eq!(meter.standing(), None);
    }

    #[test]
    fn a_stranger_is_an_address_and_in_ipv6_a_network() {
        let limiters = limits(0, 1);
        let admitted = |address: &str| (0..9).filter(|_| limiters.stranger(address.parse().expect("an address")).is_ok()).count();
        assert_eq!(admitted("192.0.2.1"), 2, "twice the rate at once");
        assert_eq!(admitted("192.0.2.2"), 2);
        assert_eq!((admitted("2001:db8::1"), admitted("2001:db8::2"), admitted("2001:db8:0:1::1")), (2, 0, 2));
    }
}
