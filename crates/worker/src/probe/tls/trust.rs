//! Whether a certificate is believed: one function, whichever library shook hands.
//!
//! A chain that was believed for a name is believed again without its signatures being checked, for
//! as long as every certificate of it lasts, and at most [`REMEMBERED_FOR`].

#[cfg(test)]
mod fuzz;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509CheckFlags, X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext, X509VerifyResult};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};

/// After this long a chain is checked again, whatever its dates say.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);
/// Chains remembered; with more, all are forgotten and checked once more.
const REMEMBERED_MAX: usize = 32 * 1024;
/// OpenSSL's security levels of certificates: 1 refuses RSA below 1,024 bits, SHA-1 and weaker; 0 nothing.
const LEVEL: i32 = 1;
const LEVEL_OF_WEAK: i32 = 0;

/// The authorities that are trusted, and what was believed by them.
pub(super) struct Trust {
    authorities: X509Store,
    remembered: Mutex<HashMap<[u8; 32], Validity>>,
}

/// How long a chain is good. All in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// When it was checked, or the latest beginning of its certificates.
    from: i64,
    /// The earliest end of its certificates.
    pub(super) until: i64,
    /// When the server's own certificate ends.
    pub(super) leaf_until: i64,
    /// When it is checked again.
    again: i64,
}

/// Why a certificate is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is refused: {why}")]
pub(super) struct Refused {
    pub(super) why: X509VerifyResult,
    /// When the server's own certificate ends, as far as it can be read.
    pub(super) leaf_until: Option<i64>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    /// `weak`: also chains that lean on short keys or broken hashes.
    pub(super) fn new(authorities: &[X509], weak: bool) -> Result<Self, ErrorStack> {
        let mut param = X509VerifyParam::new()?;
        param.set_purpose(X509PurposeId::SSL_SERVER)?;
        param.set_auth_level(if weak { LEVEL_OF_WEAK } else { LEVEL });
        Ok(Self { authorities: store(authorities.iter().cloned(), &param)?, remembered: Mutex::default() })
    }

    /// Judges a chain, the server's own certificate first, for a host name or an address.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>], name: &str, now: UnixTime) -> Result<Validity, Refused> {
        self.remembered(digest(name, chain), now, || {
            let (leaf, others) = parsed(chain)?;
            let judged = self.check_chain(&leaf, &others, now).and_then(|validity| check_name(&leaf, name).map(|()| validity));
            judged.map_err(|refused| Refused { leaf_until: unix(leaf.not_after()).ok(), ..refused })
        })
    }

    /// What is known of a chain that nobody asks to be believed.
    pub(super) fn look(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Validity, Refused> {
        // No host has this name.
        self.remembered(digest("", &chain[..chain.len().min(1)]), now, || {
            let leaf_until = unix(parsed(chain)?.0.not_after())?;
            Ok(Validity { from: i64::MIN, until: i64::MAX, leaf_until, again: again(now) })
        })
    }

    fn remembered(&self, key: [u8; 32], now: UnixTime, check: impl FnOnce() -> Result<Validity, Refused>) -> Result<Validity, Refused> {
        let lock = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validity) = lock().get(&key).filter(|validity| validity.holds(now)) {
            return Ok(*validity);
        }
        let checked = check();
        let mut remembered = lock();
        match checked {
            Ok(validity) => {
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(key, validity);
            }
            Err(_) => {
                remembered.remove(&key);
            }
        }
        checked
    }

    fn check_chain(&self, leaf: &X509Ref, others: &Stack<X509>, now: UnixTime) -> Result<Validity, Refused> {
        let mut context = X509StoreContext::new()?;
        let checked = context.init(&self.authorities, leaf, others, |context| {
            if !context.verify_cert()? {
                return Ok(Err(context.error().into()));
            }
            let mut validity = Validity { from: seconds(now), until: i64::MAX, leaf_until: unix(leaf.not_after())?, again: again(now) };
            for certificate in context.chain().into_iter().flatten() {
                validity.from = validity.from.max(unix(certificate.not_before())?);
                validity.until = validity.until.min(unix(certificate.not_after())?);
            }
            Ok(Ok(validity))
        });
        checked?
    }
}

impl Validity {
    fn holds(&self, now: UnixTime) -> bool {
        (self.from..self.until.min(self.again)).contains(&seconds(now))
    }

    /// Whole days until the server's own certificate ends, negative once it has.
    pub(super) fn days_left(&self, now: UnixTime) -> i32 {
        days_left(self.leaf_until, now)
    }
}

impl Refused {
    /// As of a certificate that is believed.
    pub(super) fn days_left(&self, now: UnixTime) -> Option<i32> {
        self.leaf_until.map(|until| days_left(until, now))
    }
}

fn days_left(until: i64, now: UnixTime) -> i32 {
    let days = (until - seconds(now)).div_euclid(86_400);
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

impl From<X509VerifyResult> for Refused {
    fn from(why: X509VerifyResult) -> Self {
        Self { why, leaf_until: None }
    }
}

/// What cannot even be read or checked is not believed.
impl From<ErrorStack> for Refused {
    fn from(_: ErrorStack) -> Self {
        X509VerifyResult::APPLICATION_VERIFICATION.into()
    }
}

fn parsed(chain: &[CertificateDer<'_>]) -> Result<(X509, Stack<X509>), Refused> {
    let mut others = Stack::new()?;
    let mut certificates = chain.iter().map(|der| X509::from_der(der));
    let leaf = certificates.next().ok_or(Refused::from(X509VerifyResult::APPLICATION_VERIFICATION))??;
    for certificate in certificates {
        others.push(certificate?)?;
    }
    Ok((leaf, others))
}

/// The name is looked for by the same OpenSSL code as in a handshake of its own, in a chain of the one
/// certificate that has just been believed.
fn check_name(leaf: &X509, name: &str) -> Result<(), Refused> {
    let mut param = X509VerifyParam::new()?;
    param.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    param.set_auth_level(LEVEL_OF_WEAK);
    match name.parse::<IpAddr>() {
        Ok(address) => param.set_ip(address)?,
        Err(_) => param.set_host(name)?,
    }
    let (trusted, others) = (store([leaf.clone()], &param)?, Stack::new()?);
    let mut context = X509StoreContext::new()?;
    let error = context.init(&trusted, leaf, &others, |context| Ok((!context.verify_cert()?).then(|| context.error())))?;
    error.map_or(Ok(()), |error| Err(error.into()))
}

fn store(certificates: impl IntoIterator<Item = X509>, param: &X509VerifyParam) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates {
        store.add_cert(certificate)?;
    }
    store.set_param(param)?;
    Ok(store.build())
}

/// Servers choose what goes in: a cryptographic hash, each part with its length.
fn digest(name: &str, chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(name.as_bytes()).chain(chain.iter().map(AsRef::as_ref)) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn unix(time: &Asn1TimeRef) -> Result<i64, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

fn seconds(now: UnixTime) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn again(now: UnixTime) -> i64 {
    seconds(now).saturating_add_unsigned(REMEMBERED_FOR.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    const GOOD: Validity = Validity { from: 1_000, until: 2_000, leaf_until: 2_000, again: 1_600 };

    #[test]
    fn a_chain_is_believed_again_only_while_all_of_it_lasts_and_for_some_minutes() {
        let trust = Trust::new(&[], false).expect("OpenSSL");
        let checks = std::cell::Cell::new(0);
        let judge = |now, found: Result<Validity, Refused>| {
            let judged = trust.remembered([1; 32], at(now), || {
                checks.set(checks.get() + 1);
                found
            });
            (judged, checks.take())
        };
        let refused = Err(Refused::from(X509VerifyResult::APPLICATION_VERIFICATION));
        for (now, found, judged, checks) in [
            (1_000, Ok(GOOD), Ok(GOOD), 1),
            (1_599, refused, Ok(GOOD), 0),
            // A clock that is set back behind it has not seen it valid.
            (999, refused, refused, 1),
            (1_000, refused, refused, 1),
            (1_000, Ok(GOOD), Ok(GOOD), 1),
            (1_600, refused, refused, 1),
            (1_900, Ok(Validity { again: 2_500, ..GOOD }), Ok(Validity { again: 2_500, ..GOOD }), 1),
            (1_999, refused, Ok(Validity { again: 2_500, ..GOOD }), 0),
            (2_000, refused, refused, 1),
        ] {
            assert_eq!(judge(now, found), (judged, checks), "at {now}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let trust = Trust::new(&[], false).expect("OpenSSL");
        for number in 0..3 * REMEMBERED_MAX {
            let mut key = [0; 32];
            key[..size_of::<usize>()].copy_from_slice(&number.to_le_bytes());
            trust.remembered(key, at(1_000), || Ok(GOOD)).expect("believed");
        }
        assert!(trust.remembered.lock().expect("no panic").len() <= REMEMBERED_MAX);
    }

    #[test]
    fn a_name_and_its_chain_are_told_apart_from_all_others() {
        let der = |bytes: &'static [u8]| CertificateDer::from(bytes);
        let different = [
            digest("a", &[der(b"bc")]),
            digest("ab", &[der(b"c")]),
            digest("a", &[der(b"b"), der(b"c")]),
            digest("", &[der(b"a"), der(b"bc")]),
            digest("a", &[der(b"bd")]),
        ];
        assert_eq!(different.iter().collect::<std::collections::BTreeSet<_>>().len(), different.len());
    }
}
