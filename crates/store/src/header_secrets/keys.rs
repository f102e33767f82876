//! Keys that seal headers: 256 bit each, the first in use, the others to open what was sealed before.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use quorate_core::ids::hex;

/// Hexadecimal characters of a key.
const KEY_CHARS: usize = 64;

/// Names a key without telling it: the first 8 hexadecimal characters of a digest of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        bytes(text).map(Self).ok_or_else(|| format!("{text:?} is no key id, which has 8 hexadecimal characters"))
    }
}

/// One key.
#[derive(Clone)]
pub struct HeaderKey([u8; 32]);

impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderKey({})", self.id())
    }
}

impl HeaderKey {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn random(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The key itself, as a file of keys holds it.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    pub fn id(&self) -> KeyId {
        let digest = Sha256::new().chain_update(b"quorate header key id").chain_update(self.0).finalize();
        KeyId([digest[0], digest[1], digest[2], digest[3]])
    }

    fn aead(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("the key has the length that the cipher asks for"))
    }

    /// Nonce, ciphertext and tag.
    pub(super) fn seal(&self, bound_to: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
        // 96 random bits: with four thousand million values under one key the chance of one used twice is 2^-33.
        let mut nonce = [0; NONCE_LEN];
        rand::rng().fill_bytes(&mut nonce);
        self.aead()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut plain)
            .expect("a header is far shorter than the cipher's limit");
        [&nonce[..], &plain].concat()
    }

    /// `None`: sealed under another key, for another place, or damaged.
    pub(super) fn open(&self, bound_to: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        Some(self.aead().open_in_place(nonce, Aad::from(bound_to), rest).ok()?.to_vec())
    }

    /// A digest of values that only this key can make.
    pub(super) fn fingerprint(&self, values: &[String]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"quorate header fingerprint");
        for value in values {
            mac.update(value.len().to_string().as_bytes());
            mac.update(b":");
            mac.update(value.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }
}

/// What cannot be a list of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {place} has to be {KEY_CHARS} hexadecimal characters")]
pub struct InvalidKey {
    /// From 1.
    place: usize,
}

/// The keys of an installation: the first seals.
#[derive(Clone, Debug, Default)]
pub struct HeaderKeys(Vec<HeaderKey>);

impl HeaderKeys {
    pub const fn new(keys: Vec<HeaderKey>) -> Self {
        Self(keys)
    }

    pub fn current(&self) -> Option<&HeaderKey> {
        self.0.first()
    }

    pub fn find(&self, id: KeyId) -> Option<&HeaderKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// The first is the one in use.
    pub fn all(&self) -> &[HeaderKey] {
        &self.0
    }
}

/// Keys in hexadecimal, between white space or commas.
impl FromStr for HeaderKeys {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
        words
            .enumerate()
            .map(|(place, word)| bytes(word).map(HeaderKey).ok_or(InvalidKey { place: place + 1 }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Exactly that many bytes from hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_keys_is_read_as_written_and_what_is_none_is_named() {
        let (one, two) = ("0f".repeat(32), "aB".repeat(32));
        let keys: HeaderKeys = format!("{one},\n {two}\n").parse().unwrap();
        assert_eq!(keys.all().iter().map(HeaderKey::reveal).collect::<Vec<_>>(), [one.clone(), two.to_lowercase()]);
        assert_eq!(keys.current().map(HeaderKey::id), Some(HeaderKey::new([0x0f; 32]).id()));
        assert_eq!("".parse::<HeaderKeys>().unwrap().all().len(), 0);
        for bad in ["abc", &"g".repeat(64), &"é".repeat(32), &one[1..]] {
            let problem = format!("{one} {bad}").parse::<HeaderKeys>().unwrap_err();
            assert_eq!(problem, InvalidKey { place: 2 });
            assert!(!problem.to_string().contains(bad), "{problem}");
        }
    }

    #[test]
    fn a_key_is_named_and_never_printed() {
        let key = HeaderKey::new([7; 32]);
        assert_eq!(format!("{key:?}"), format!("HeaderKey({})", key.id()));
        assert_eq!(key.id().to_string().parse(), Ok(key.id()));
        assert!(!format!("{:?}", HeaderKeys::new(vec![key.clone()])).contains(&key.reveal()[..8]));
    }

    #[test]
    fn what_was_damaged_does_not_open() {
        let key = HeaderKey::random(&mut rand::rng());
        let sealed = key.seal(b"here", b"canary".to_vec());
        assert_eq!(key.open(b"here", sealed.clone()).as_deref(), Some(&b"canary"[..]));
        assert_eq!(key.open(b"there", sealed.clone()), None);
        for place in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1;
            assert_eq!(key.open(b"here", damaged), None, "byte {place}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(b"here", sealed[..length].to_vec()), None, "{length} bytes");
        }
    }
}
