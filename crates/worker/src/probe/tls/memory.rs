//! What is remembered of one target between its handshakes: which library it takes, and a session to
//! resume. It lives and dies with the target, so nothing crosses names, zones or `allow_insecure`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{ServerName, UnixTime};
use tokio::time::Instant;

use super::Library;
use super::trust::Validity;

/// How long a server is left with the library that speaks everything, before the cheap one is tried again.
const BROAD_FOR: Duration = Duration::from_mins(10);

/// Of one target.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Between two probes.
    interval: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    broad_until: Option<Instant>,
    /// The server was proved who it is by a full handshake; `None` before, or where that was too long ago.
    proof: Option<Proof>,
    /// Sessions are kept at all.
    resumes: bool,
    /// The last handshake has resumed one.
    has_resumed: bool,
    // Boxed: most targets have one of them or none.
    tls13: Option<Box<Tls13ClientSessionValue>>,
    tls12: Option<Box<Tls12ClientSessionValue>>,
    group: Option<NamedGroup>,
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    /// When the next full handshake is due.
    until: Instant,
    validity: Validity,
}

impl Memory {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, known: Mutex::default() }
    }

    pub(crate) fn library(&self) -> Library {
        if self.lock().broad_until.is_some_and(|until| Instant::now() < until) { Library::Broad } else { Library::Modern }
    }

    /// The cheap library has not come to a word.
    pub(crate) fn needs_broad(&self) {
        let mut known = self.lock();
        *known = Known { broad_until: Some(Instant::now() + BROAD_FOR), ..Known::default() };
    }

    /// Before a handshake: drops a session that may not be resumed any more. Sessions are resumed for `resume_for` after a
    /// full handshake, and never beyond the end of the certificate that it showed.
    pub(super) fn prepare(&self, resume_for: Duration, now: UnixTime) {
        let mut known = self.lock();
        // One that is too old at the next probe is not worth its room.
        known.resumes = resume_for > self.interval;
        let ended = |validity: Validity| i64::try_from(now.as_secs()).is_ok_and(|now| validity.until <= now);
        if known.proof.is_none_or(|proof| proof.until <= Instant::now() || ended(proof.validity)) {
            known.forget();
        }
    }

    /// A full handshake has shown a certificate.
    pub(super) fn proved(&self, resume_for: Duration, validity: Validity) {
        self.lock().proof = Some(Proof { until: Instant::now() + resume_for, validity });
    }

    pub(super) fn shook_hands(&self, has_resumed: bool) {
        self.lock().has_resumed = has_resumed;
    }

    /// Drops the session if the last handshake has resumed it. Whether it had.
    pub(super) fn forgets_resumed(&self) -> bool {
        let mut known = self.lock();
        let has_resumed = std::mem::take(&mut known.has_resumed);
        if has_resumed {
            known.forget();
        }
        has_resumed
    }

    /// What the last full handshake has shown.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.lock().proof.map(|proof| proof.validity)
    }

    /// After a failure the next handshake is a full one.
    pub(super) fn forget(&self) {
        self.lock().forget();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self) {
        (self.proof, self.tls13, self.tls12) = (None, None, None);
    }
}

/// A target has one name, so nothing is found by it.
impl ClientSessionStore for Memory {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.lock().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        let mut known = self.lock();
        known.tls12 = known.resumes.then(|| Box::new(value));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().tls12.as_deref().cloned()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.lock().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut known = self.lock();
        known.tls13 = known.resumes.then(|| Box::new(value));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().tls13.take().map(|session| *session)
    }
}
