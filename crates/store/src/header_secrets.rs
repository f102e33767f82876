//! Request headers that open something, such as Authorization: sealed before they are stored, under a key that is
//! not in the database. `marked` are the names that an object calls secret beside those that always are.
//!
//! A value whose key is lost is not an error of the whole: it reads as a header without values, which nobody can
//! write. Whoever probes with it has to say that it cannot ([`unreadable`]); whoever changes the object gives it anew.

mod keys;
mod stored;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::error::Error;

pub use keys::{HeaderKey, HeaderKeys, InvalidKey, KeyId};
pub use stored::{KeyUse, Resealed, key_changed, keys_in_use, reseal};

/// Headers whose values are secret whatever the operator says, in lower case.
pub const ALWAYS_SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What the API says instead of a value, to who may not know it.
pub const REDACTED: &str = "[redacted]";

/// Between two looks for a key that is not known.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// Names of headers with their values.
pub type Header = BTreeMap<String, Vec<String>>;

/// Reads the keys again, where they may have changed; `None` where it could not, which it has told by itself.
pub type Reload = Box<dyn Fn() -> Option<HeaderKeys> + Send + Sync>;

/// Seals and opens what is secret in headers.
#[derive(Clone)]
pub struct HeaderSecrets(Arc<Inner>);

struct Inner {
    keys: ArcSwap<HeaderKeys>,
    /// In lower case.
    names: Vec<String>,
    reload: Option<Reload>,
    /// When a key was last looked for that was not known.
    asked: Mutex<Option<Instant>>,
}

impl fmt::Debug for HeaderSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderSecrets").field("names", &self.0.names).finish_non_exhaustive()
    }
}

/// How a secret value lies in the database.
#[derive(Serialize, Deserialize)]
struct Sealed {
    key: KeyId,
    /// Base64 of nonce, ciphertext and tag.
    sealed: String,
}

impl HeaderSecrets {
    /// `names` are secret beside [`ALWAYS_SECRET`].
    pub fn new(keys: HeaderKeys, names: &[String], reload: Option<Reload>) -> Self {
        let always = ALWAYS_SECRET.iter().map(|name| (*name).to_owned());
        let names = names.iter().map(|name| name.to_ascii_lowercase()).chain(always).collect();
        Self(Arc::new(Inner { keys: ArcSwap::from_pointee(keys), names, reload, asked: Mutex::new(None) }))
    }

    /// Without a key: a secret header cannot be stored, and a stored one not be read.
    pub fn without_key() -> Self {
        Self::new(HeaderKeys::default(), &[], None)
    }

    /// Whether the values of that header are secret.
    pub fn is_secret(&self, name: &str, marked: &[String]) -> bool {
        self.0.names.iter().chain(marked).any(|secret| name.eq_ignore_ascii_case(secret))
    }

    /// The key that seals; `None`: there is none.
    pub fn current(&self) -> Option<KeyId> {
        self.0.keys.load().current().map(HeaderKey::id)
    }

    /// All keys by their ids, the one in use first.
    pub fn keys(&self) -> Vec<KeyId> {
        self.0.keys.load().all().iter().map(HeaderKey::id).collect()
    }

    /// Whether a stored header is as [`seal`](Self::seal) would make it now, apart from nonces.
    fn is_up_to_date(&self, stored: &Value, marked: &[String]) -> bool {
        let current = self.current();
        stored.as_object().into_iter().flatten().all(|(name, value)| match (self.is_secret(name, marked), value) {
            (false, Value::Array(_)) => true,
            (true, Value::Object(_)) => Sealed::deserialize(value).is_ok_and(|sealed| Some(sealed.key) == current),
            _ => false,
        })
    }

    /// The values that may be told to who may not know secrets.
    pub fn redact(&self, header: &mut Header, marked: &[String]) {
        for (name, values) in header {
            if self.is_secret(name, marked) {
                *values = vec![REDACTED.to_owned(); values.len()];
            }
        }
    }

    /// What the audit log may know of a header: a secret value by a keyed digest, which shows that it is another one
    /// and which nobody without the key can guess at.
    pub(crate) fn audited(&self, header: &Header, marked: &[String]) -> Value {
        let keys = self.0.keys.load();
        let told = |(name, values): (&String, &Vec<String>)| {
            let values = if self.is_secret(name, marked) {
                Value::from(keys.current().map_or_else(String::new, |key| key.fingerprint(values)))
            } else {
                Value::from(values.clone())
            };
            (name.clone(), values)
        };
        Value::Object(header.iter().map(told).collect())
    }

    /// A header as it is stored. `owner` names the object: what is sealed for one opens for no other.
    ///
    /// # Errors
    /// [`Error::NoHeaderKey`] where a value is secret and there is no key.
    pub(crate) fn seal(&self, owner: Owner<'_>, header: &Header, marked: &[String]) -> Result<Value, Error> {
        // Under the account's lock, as every change is: what was sealed under an older key before a rotation is committed
        // before the rotation comes to that account, so that nothing is left under a key that may then be forgotten.
        if header.keys().any(|name| self.is_secret(name, marked)) {
            self.look_again();
        }
        let keys = self.0.keys.load();
        let mut stored = Map::new();
        for (name, values) in header {
            let value = if self.is_secret(name, marked) {
                let key = keys.current().ok_or_else(|| Error::NoHeaderKey { name: name.clone() })?;
                let plain = serde_json::to_vec(values).expect("texts serialize");
                let sealed = Sealed { key: key.id(), sealed: BASE64.encode(key.seal(&owner.bound_to(name), plain)) };
                serde_json::to_value(sealed).expect("texts serialize")
            } else {
                Value::from(values.clone())
            };
            stored.insert(name.clone(), value);
        }
        Ok(Value::Object(stored))
    }

    /// The header behind what [`seal`](Self::seal) made. A value that cannot be opened reads as none.
    ///
    /// # Errors
    /// What is no such thing, in words.
    pub(crate) fn open(&self, owner: Owner<'_>, stored: Value) -> Result<Header, String> {
        let Value::Object(stored) = stored else { return Err("it is no object".to_owned()) };
        stored
            .into_iter()
            .map(|(name, value)| {
                let values = if value.is_array() {
                    serde_json::from_value(value).map_err(|problem| problem.to_string())?
                } else {
                    let sealed: Sealed = serde_json::from_value(value).map_err(|problem| problem.to_string())?;
                    self.open_one(owner, &name, &sealed).unwrap_or_default()
                };
                Ok((name, values))
            })
            .collect()
    }

    /// `None`: its key is not there, or it was not sealed for this place under that key.
    fn open_one(&self, owner: Owner<'_>, name: &str, sealed: &Sealed) -> Option<Vec<String>> {
        let bytes = BASE64.decode(&sealed.sealed).ok()?;
        let plain = self.with_key(sealed.key, |key| key.open(&owner.bound_to(name), bytes))??;
        serde_json::from_slice(&plain).ok()
    }

    /// Does something with that key. One that is not known may have come since: then the keys are read again.
    fn with_key<T>(&self, id: KeyId, work: impl FnOnce(&HeaderKey) -> T) -> Option<T> {
        let keys = self.0.keys.load();
        if let Some(key) = keys.find(id) {
            return Some(work(key));
        }
        // A lost key is asked for with every list of monitors: not each time of the disk.
        let may_look = {
            let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let may_look = asked.is_none_or(|at| at.elapsed() >= RELOAD_PAUSE);
            if may_look {
                *asked = Some(Instant::now());
            }
            may_look
        };
        if may_look {
            self.look_again();
        }
        self.0.keys.load().find(id).map(work)
    }

    fn look_again(&self) {
        let Some(reload) = &self.0.reload else { return };
        if let Some(keys) = reload() {
            self.0.keys.store(Arc::new(keys));
        }
    }
}

/// The first header of which a secret value could not be opened.
pub fn unreadable(header: &Header) -> Option<&str> {
    header.iter().find(|(_, values)| values.is_empty()).map(|(name, _)| name.as_str())
}

/// Whose header it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// The table.
    pub(crate) kind: &'static str,
    pub(crate) account: &'a [u8],
    pub(crate) id: &'a [u8],
}

impl Owner<'_> {
    /// What a sealed value is bound to. The parts before the name have one length for each kind.
    fn bound_to(self, name: &str) -> Vec<u8> {
        [self.kind.as_bytes(), b":", self.account, self.id, name.to_ascii_lowercase().as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: Owner<'_> = Owner { kind: "monitor", account: &[1; 16], id: &[2; 16] };

    fn keys(bytes: &[u8]) -> HeaderKeys {
        HeaderKeys::new(bytes.iter().map(|byte| HeaderKey::new([*byte; 32])).collect())
    }

    fn secrets(bytes: &[u8]) -> HeaderSecrets {
        HeaderSecrets::new(keys(bytes), &["X-Api-Key".to_owned()], None)
    }

    fn header() -> Header {
        let pair = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
        [pair("Accept", "*/*"), pair("AUTHORIZATION", "Bearer canary"), pair("x-api-key", "canary")].into()
    }

    #[test]
    fn what_is_secret_is_sealed_and_opens_again_and_the_rest_is_legible() {
        let secrets = secrets(&[7]);
        let stored = secrets.seal(OWNER, &header(), &[]).unwrap();
        assert!(!stored.to_string().contains("canary"), "{stored}");
        assert_eq!(stored["Accept"], json!(["*/*"]));
        assert_eq!(stored["x-api-key"]["key"], json!(secrets.current().unwrap()));
        assert_ne!(stored, secrets.seal(OWNER, &header(), &[]).unwrap(), "a nonce is used once");
        assert_eq!(secrets.open(OWNER, stored).unwrap(), header());
    }

    #[test]
    fn what_is_sealed_for_one_place_opens_at_no_other() {
        let secrets = secrets(&[7]);
        let stored = secrets.seal(OWNER, &header(), &[]).unwrap();
        for other in [Owner { id: &[3; 16], ..OWNER }, Owner { account: &[3; 16], ..OWNER }, Owner { kind: "healthcheck", ..OWNER }] {
            let opened = secrets.open(other, stored.clone()).unwrap();
            assert_eq!(opened["AUTHORIZATION"], Vec::<String>::new(), "{other:?}");
            assert_eq!(opened["Accept"], ["*/*"]);
        }
        let renamed = json!({"cookie": stored["AUTHORIZATION"]});
        assert_eq!(unreadable(&secrets.open(OWNER, renamed).unwrap()), Some("cookie"));
    }

    #[test]
    fn an_older_key_opens_and_a_lost_one_reads_as_no_value() {
        let stored = secrets(&[7]).seal(OWNER, &header(), &[]).unwrap();
        assert_eq!(secrets(&[8, 7]).open(OWNER, stored.clone()).unwrap(), header());
        let lost = secrets(&[8]).open(OWNER, stored).unwrap();
        assert_eq!(unreadable(&lost), Some("AUTHORIZATION"));
        assert_eq!(unreadable(&header()), None);
    }

    #[test]
    fn a_key_that_came_since_is_found() {
        let stored = secrets(&[8]).seal(OWNER, &header(), &[]).unwrap();
        let running = HeaderSecrets::new(keys(&[7]), &["x-api-key".to_owned()], Some(Box::new(|| Some(keys(&[8, 7])))));
        assert_eq!(running.open(OWNER, stored).unwrap(), header());
        assert_eq!(running.current(), secrets(&[8]).current());
    }

    #[test]
    fn what_is_sealed_after_a_rotation_is_sealed_under_the_new_key() {
        let running = HeaderSecrets::new(keys(&[7]), &[], Some(Box::new(|| Some(keys(&[8, 7])))));
        let stored = running.seal(OWNER, &header(), &[]).unwrap();
        assert_eq!(stored["AUTHORIZATION"]["key"], json!(secrets(&[8]).current().unwrap()));
    }

    #[test]
    fn without_a_key_nothing_secret_is_stored() {
        let none = HeaderSecrets::without_key();
        assert!(matches!(none.seal(OWNER, &header(), &[]), Err(Error::NoHeaderKey { name }) if name == "AUTHORIZATION"));
        let plain = Header::from([("Accept".to_owned(), vec!["*/*".to_owned()])]);
        assert_eq!(none.seal(OWNER, &plain, &[]).unwrap(), json!({"Accept": ["*/*"]}));
    }

    #[test]
    fn the_audit_log_sees_that_a_secret_is_another_one_and_not_which() {
        let secrets = secrets(&[7]);
        let mut other = header();
        other.insert("AUTHORIZATION".to_owned(), vec!["Bearer other".to_owned()]);
        let (one, two) = (secrets.audited(&header(), &[]), secrets.audited(&other, &[]));
        assert_ne!(one["AUTHORIZATION"], two["AUTHORIZATION"]);
        assert_eq!(one["x-api-key"], two["x-api-key"]);
        assert!(!one.to_string().contains("canary"), "{one}");
        assert_ne!(one["AUTHORIZATION"], HeaderSecrets::new(keys(&[8]), &[], None).audited(&header(), &[])["AUTHORIZATION"]);
    }

    #[test]
    fn what_an_object_marks_is_secret_too_in_whatever_spelling() {
        let (secrets, marked) = (secrets(&[7]), ["ACCEPT".to_owned()]);
        let stored = secrets.seal(OWNER, &header(), &marked).unwrap();
        assert_eq!(stored["Accept"]["key"], json!(secrets.current().unwrap()));
        assert_eq!(secrets.open(OWNER, stored.clone()).unwrap(), header());
        assert!(secrets.is_up_to_date(&stored, &marked) && !secrets.is_up_to_date(&stored, &[]));
        let mut told = header();
        secrets.redact(&mut told, &marked);
        assert_eq!(told["Accept"], [REDACTED]);
        assert!(!secrets.audited(&header(), &marked).to_string().contains("*/*"));
    }

    #[test]
    fn a_redacted_header_keeps_its_names() {
        let mut told = header();
        secrets(&[7]).redact(&mut told, &[]);
        assert_eq!(told["AUTHORIZATION"], [REDACTED]);
        assert_eq!((&told["x-api-key"][0], &told["Accept"][0]), (&REDACTED.to_owned(), &"*/*".to_owned()));
    }
}
