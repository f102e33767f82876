//! Certificates of origins that end soon: told in the log once a day each, and counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use metrics::gauge;

use super::target::Host;

/// Whole days that are soon.
const SOON_DAYS: i32 = 14;
/// Origins remembered; with more than that ending soon, the log has said enough.
const REMEMBERED_MAX: usize = 10_000;

/// What was told last of each origin whose certificate ends soon.
#[derive(Debug, Default)]
pub(super) struct Expiry(Mutex<HashMap<Host, i32>>);

impl Expiry {
    /// Takes what a handshake has shown. Whether it was news.
    pub(super) fn note(&self, host: &Host, days_left: i32) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = if days_left > SOON_DAYS {
            told.remove(host).is_some()
        } else if told.get(host) == Some(&days_left) || (told.len() >= REMEMBERED_MAX && !told.contains_key(host)) {
            false
        } else {
            tracing::warn!(event = "certificate_ends", origin = %host, days_left, "the certificate of an origin ends soon");
            told.insert(host.clone(), days_left);
            true
        };
        if is_news {
            gauge!("quorate_worker_certificates_ending").set(u32::try_from(told.len()).unwrap_or(u32::MAX));
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_of_once_a_day_until_it_has_a_new_certificate() {
        let expiry = Expiry::default();
        let (one, other) = (Host::Name("one.example".into()), Host::Name("other.example".into()));
        for (host, days_left, is_news) in [
            (&one, 90, false),
            (&one, 15, false),
            (&one, 14, true),
            (&one, 14, false),
            (&other, 14, true),
            (&one, 13, true),
            (&one, -1, true),
            (&one, -1, false),
            (&one, 90, true),
            (&one, 90, false),
        ] {
            assert_eq!(expiry.note(host, days_left), is_news, "{host} with {days_left} days left");
        }
    }
}
