//! HTTP requests that several checks make: a monitor's, but for the Host header, is that of all its
//! origins. Each is kept once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::{Arc, Weak};

use crate::probe::{Ask, HttpAsk, Target};

/// Requests beyond which those that nobody makes any more are looked for.
const SWEPT_FROM: usize = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// By hash. Of two with one hash, which nobody can bring about, the second is kept for itself.
    by_hash: HashMap<u64, Weak<HttpAsk>>,
    hasher: RandomState,
    swept_at: usize,
}

impl Asks {
    /// Lets the target have what others have, if one of them asks the same.
    pub(crate) fn share(&mut self, target: &mut Target) {
        let Ask::Http(ask) = &mut target.ask else { return };
        let known = self.by_hash.entry(hash(&self.hasher, ask)).or_default();
        match known.upgrade() {
            Some(known) if known == *ask => *ask = known,
            Some(_) => {}
            None => *known = Arc::downgrade(ask),
        }
        if self.by_hash.len() > self.swept_at.max(SWEPT_FROM) {
            self.by_hash.retain(|_, ask| ask.strong_count() > 0);
            self.swept_at = 2 * self.by_hash.len();
        }
    }
}

/// Of what differs between requests mostly; what is left is compared.
fn hash(hasher: &RandomState, ask: &HttpAsk) -> u64 {
    let mut hasher = hasher.build_hasher();
    (ask.tls, &ask.method, ask.path.as_str()).hash(&mut hasher);
    ask.host_header.as_ref().map(|header| &header.value).hash(&mut hasher);
    (&ask.codes, &ask.needle, &ask.zone, ask.follow_redirects, ask.allow_insecure).hash(&mut hasher);
    for (name, value) in &ask.headers {
        (name, value).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::checks::http_check;

    fn asked(target: &Target) -> *const HttpAsk {
        let Ask::Http(ask) = &target.ask else { unreachable!("HTTP") };
        Arc::as_ptr(ask)
    }

    #[test]
    fn equal_requests_are_kept_once_and_no_longer_than_they_are_made() {
        let mut asks = Asks::default();
        let mut target = |path: &str, header: &str| {
            let check = http_check("192.0.2.1", 80, |ask| {
                ask.path = path.to_owned();
                ask.headers = vec![("X-Key".to_owned(), header.to_owned())];
            });
            let mut target = Target::new(&check).expect("runnable");
            asks.share(&mut target);
            target
        };
        let (one, same, other, header) = (target("/a", "1"), target("/a", "1"), target("/b", "1"), target("/a", "2"));
        assert_eq!(asked(&one), asked(&same));
        assert!(asked(&one) != asked(&other) && asked(&one) != asked(&header));
        for number in 0..3 * SWEPT_FROM {
            target(&format!("/{number}"), "1");
        }
        assert!(asks.by_hash.len() <= SWEPT_FROM + 4, "{}", asks.by_hash.len());
    }
}
