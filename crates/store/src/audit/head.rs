//! A signed head of a chain: one word that can be kept anywhere, such as in a log, and shows later whether the chain still
//! has what it had.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use quorate_core::ids::{AccountId, hex};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::Head;
use crate::tokens::Pepper;

/// Begins every word, so that it is found in whatever text.
const PREFIX: &str = "qah1.";
/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;
/// Says to what the pepper is put here.
const DERIVATION: &str = "quorate: the key that signs heads of the audit log";

/// Signs heads. It follows from the token pepper, so every replica has it and the database has not.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}

impl SigningKey {
    /// The key of an installation.
    pub fn of(pepper: &Pepper) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&pepper.digest(DERIVATION)).expect("a seed has 32 bytes"))
    }

    /// What checks its signatures, 64 hexadecimal characters.
    pub fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// Names it: the first 8 hexadecimal characters of SHA-256 of the public key.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.0.public_key().as_ref())[..4])
    }

    pub(super) fn sign(&self, account_id: AccountId, head: Head, signed_on: Timestamp) -> SignedHead {
        let unsigned = SignedHead { account_id, head, signed_on, key_id: self.id(), signature: [0; SIGNATURE_BYTES] };
        let signature = self.0.sign(unsigned.told().as_bytes());
        SignedHead { signature: signature.as_ref().try_into().expect("Ed25519 signatures have 64 bytes"), ..unsigned }
    }

    /// Whether this key signed it.
    pub(super) fn signed(&self, head: &SignedHead) -> bool {
        let public = UnparsedPublicKey::new(&ED25519, self.0.public_key().as_ref());
        public.verify(head.told().as_bytes(), &head.signature).is_ok()
    }
}

/// Where a chain ended, and who says so.
///
/// In words `qah1.<account>.<rows>.<hash of the last>.<microseconds since 1970>.<key id>.<signature>`; signed is all before the
/// last dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    pub account_id: AccountId,
    pub head: Head,
    pub signed_on: Timestamp,
    pub key_id: String,
    pub signature: [u8; SIGNATURE_BYTES],
}

impl SignedHead {
    /// What is signed.
    fn told(&self) -> String {
        let Self { account_id, head, signed_on, key_id, .. } = self;
        format!("{PREFIX}{account_id}.{}.{}.{}.{key_id}", head.seq, hex(&head.hash), signed_on.as_microsecond())
    }

    /// All that are in a text, whatever else is.
    pub fn find_all(text: &str) -> Vec<Self> {
        let word = |at: usize| {
            let rest = &text[at..];
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '.')).unwrap_or(rest.len());
            rest[..end].trim_end_matches('.').parse().ok()
        };
        text.match_indices(PREFIX).filter_map(|(at, _)| word(at)).collect()
    }
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.told(), hex(&self.signature))
    }
}

/// What is no signed head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signed head has the form qah1.<account>.<rows>.<hash>.<time>.<key>.<signature>")]
pub struct InvalidHead;

impl FromStr for SignedHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let parts: Vec<&str> = text.strip_prefix(PREFIX).ok_or(InvalidHead)?.split('.').collect();
        let [account, seq, hash, micros, key_id, signature] = parts[..] else { return Err(InvalidHead) };
        Ok(Self {
            account_id: account.parse().map_err(|_| InvalidHead)?,
            head: Head { seq: seq.parse().map_err(|_| InvalidHead)?, hash: bytes(hash)? },
            signed_on: micros.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok()).ok_or(InvalidHead)?,
            key_id: key_id.to_owned(),
            signature: bytes(signature)?,
        })
    }
}

/// So many bytes from twice as many hexadecimal characters.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], InvalidHead> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(InvalidHead);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| InvalidHead)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidHead)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::of(&Pepper([byte; 32]))
    }

    fn signed() -> SignedHead {
        let time = "2026-11-26T04:00:00.123456Z".parse().expect("a time");
        key(7).sign(AccountId::from_bytes([0xab; 16]), Head { seq: 42, hash: [3; 32] }, time)
    }

    #[test]
    fn a_head_is_one_word_that_is_found_in_any_text() {
        let head = signed();
        let word = head.to_string();
        assert_eq!(word.parse(), Ok(head.clone()));
        let log = format!("12:00 INFO head={word} told\n{{\"head\":\"{word}\"}} and qah1.half {word}.");
        assert_eq!(SignedHead::find_all(&log), [head.clone(), head.clone(), head]);
        assert_eq!(SignedHead::find_all("qah1. qah1.a.b.c.d.e.f"), []);
    }

    #[test]
    fn only_the_key_that_signed_it_says_so_and_only_of_what_was_signed() {
        let head = signed();
        assert!(key(7).signed(&head) && !key(8).signed(&head));
        let others = [
            SignedHead { account_id: AccountId::from_bytes([1; 16]), ..head.clone() },
            SignedHead { head: Head { seq: 41, ..head.head }, ..head.clone() },
            SignedHead { head: Head { hash: [4; 32], ..head.head }, ..head.clone() },
            SignedHead { signed_on: Timestamp::UNIX_EPOCH, ..head.clone() },
            SignedHead { key_id: key(8).id(), ..head.clone() },
        ];
        for other in others {
            assert!(!key(7).signed(&other), "{other}");
        }
    }

    #[test]
    fn the_signature_is_one_that_anyone_can_check_with_the_public_key() {
        let word = signed().to_string();
        let (told, signature) = word.rsplit_once('.').expect("a signature");
        let public: [u8; 32] = bytes(&key(7).public()).expect("64 characters");
        let signature: [u8; 64] = bytes(signature).expect("128 characters");
        UnparsedPublicKey::new(&ED25519, &public).verify(told.as_bytes(), &signature).expect("ours");
    }
}
