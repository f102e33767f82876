//! The text of a token: `qrt_`, 8 characters that find its row, 43 that prove it, 6 that catch typing
//! errors. All base 62, so that it is one word everywhere.

use quorate_core::ids::hex;
use rand::Rng;

const PREFIX: &str = "qrt_";
const LOOKUP_CHARS: usize = 8;
/// 43 characters of base 62 hold 256 bits.
const PROOF_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new token from `rng`.
pub(super) fn draw(rng: &mut impl Rng) -> String {
    let mut text = PREFIX.to_owned();
    let length = PREFIX.len() + LOOKUP_CHARS + PROOF_CHARS;
    while text.len() < length {
        let mut byte = [0];
        rng.fill_bytes(&mut byte);
        // 248 = 4 × 62: bytes above are drawn again, so that every character is as likely as any other.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0] % 62)]));
        }
    }
    let sum = checksum(&text);
    text + &sum
}

/// The part that finds the row of a well-formed token.
pub(super) fn lookup(text: &str) -> &str {
    &text[PREFIX.len()..PREFIX.len() + LOOKUP_CHARS]
}

pub(super) fn is_well_formed(text: &str) -> bool {
    text.len() == PREFIX.len() + LOOKUP_CHARS + PROOF_CHARS + CHECKSUM_CHARS
        && text.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && text.split_at_checked(text.len() - CHECKSUM_CHARS).is_some_and(|(body, sum)| checksum(body) == sum)
}

/// Characters of a key: what the oldest clients check for.
const KEY_CHARS: usize = 37;
/// The first find its row; the other 29 hold 116 random bits, which nobody guesses.
const KEY_LOOKUP_CHARS: usize = 8;

/// A new key that belongs to an e-mail address.
pub(super) fn draw_key(rng: &mut impl Rng) -> String {
    let mut bytes = [0; KEY_CHARS.div_ceil(2)];
    rng.fill_bytes(&mut bytes);
    let mut key = hex(&bytes);
    key.truncate(KEY_CHARS);
    key
}

/// The part that finds the row of a well-formed key.
pub(super) fn key_lookup(key: &str) -> &str {
    &key[..KEY_LOOKUP_CHARS]
}

pub(super) fn is_well_formed_key(text: &str) -> bool {
    text.len() == KEY_CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// CRC-32 in base 62: 6 characters hold its 32 bits.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest as usize % ALPHABET.len()];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_form_that_old_clients_check_for() {
        let key = draw_key(&mut rand::rng());
        assert!(is_well_formed_key(&key), "{key}");
        assert_ne!(key, draw_key(&mut rand::rng()));
        assert_eq!(key_lookup(&key), &key[..8]);
        for other in ["", &key[1..], &format!("{key}0"), &key.replace(|c: char| c.is_ascii_digit(), "g"), &draw(&mut rand::rng())] {
            assert!(!is_well_formed_key(other), "{other}");
        }
    }

    #[test]
    fn a_typing_error_in_a_token_is_seen_without_the_database() {
        let token = draw(&mut rand::rng());
        assert_eq!(token.len(), 61);
        assert!(is_well_formed(&token));
        assert_eq!(lookup(&token), &token[4..12]);
        for place in 4..token.len() {
            let mut typed = token.clone().into_bytes();
            typed[place] = if typed[place] == b'x' { b'y' } else { b'x' };
            let typed = String::from_utf8(typed).unwrap();
            assert!(!is_well_formed(&typed), "{typed}");
        }
        for other in ["", "qrt_", "Bearer", "qrt_ü", &token[1..], &format!("{token}0"), &token.replace("qrt_", "qwt_")] {
            assert!(!is_well_formed(other), "{other}");
        }
    }
}
