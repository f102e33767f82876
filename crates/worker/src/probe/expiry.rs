//! Certificates of origins that end soon: told in the log once a day each, and counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::time::Instant;

use super::target::Host;

/// Whole days that are soon.
const SOON_DAYS: i32 = 14;
/// Origins remembered; with more than that ending soon, the log has said enough.
const REMEMBERED_MAX: usize = 10_000;
const DAY: Duration = Duration::from_hours(24);

/// Who shows a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    pub(super) host: Host,
    pub(super) port: u16,
    /// That the certificate is asked for.
    pub(super) name: Host,
}

/// What was told last of each certificate that ends soon.
#[derive(Debug, Default)]
pub(super) struct Expiry(Mutex<HashMap<Shown, Told>>);

#[derive(Debug)]
struct Told {
    days_left: i32,
    at: Instant,
    /// Whether the one that was seen last ends soon: several may be shown in turns.
    is_soon: bool,
}

impl Expiry {
    /// Takes what a handshake has shown. Whether it was told.
    pub(super) fn note(&self, shown: impl FnOnce() -> Shown, days_left: i32, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if days_left > SOON_DAYS && all.is_empty() {
            return false;
        }
        let shown = shown();
        let is_soon = days_left <= SOON_DAYS;
        let is_full = all.len() >= REMEMBERED_MAX;
        let (has_changed, is_a_day_old, tells) = match all.get_mut(&shown) {
            Some(told) => {
                let was_soon = std::mem::replace(&mut told.is_soon, is_soon);
                let is_a_day_old = now.saturating_duration_since(told.at) >= DAY;
                (was_soon != is_soon, is_a_day_old, is_soon && (is_a_day_old || days_left < told.days_left))
            }
            None => (false, false, is_soon && !is_full),
        };
        if !is_soon && is_a_day_old {
            all.remove(&shown);
        }
        if tells {
            let Shown { host, port, name } = &shown;
            tracing::warn!(event = "certificate_ends", origin = %host, port, name = %name, days_left, "the certificate of an origin ends soon");
            all.insert(shown, Told { days_left, at: now, is_soon });
        }
        if tells || has_changed {
            gauge!("quorate_worker_certificates_ending")
                .set(u32::try_from(all.values().filter(|told| told.is_soon).count()).unwrap_or(u32::MAX));
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_of_once_a_day_until_it_has_a_new_certificate() {
        let (expiry, start) = (Expiry::default(), Instant::now());
        let note = |name: &str, days_left, hours| {
            let host = Host::Name("shop.example".into());
            let shown = || Shown { host, port: 443, name: Host::Name(name.into()) };
            expiry.note(shown, days_left, start + Duration::from_hours(hours))
        };
        for (name, days_left, hours, is_told) in [
            ("one.example", 90, 0, false),
            ("one.example", 15, 0, false),
            ("one.example", 14, 0, true),
            ("one.example", 14, 1, false),
            ("other.example", 14, 1, true),
            ("one.example", 13, 2, true),
            // Two servers behind one name, in turns.
            ("one.example", 14, 3, false),
            ("one.example", 13, 3, false),
            ("one.example", 90, 3, false),
            ("one.example", 13, 3, false),
            ("one.example", 13, 26, true),
            ("one.example", -1, 26, true),
            ("one.example", -1, 27, false),
            ("one.example", -2, 50, true),
            // A new one; a day later nothing is remembered of the old one.
            ("one.example", 90, 51, false),
            ("one.example", 90, 75, false),
            ("one.example", 14, 75 + 76 * 24, true),
        ] {
            assert_eq!(note(name, days_left, hours), is_told, "{name} with {days_left} days left after {hours} h");
        }
    }
}
