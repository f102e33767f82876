//! What a request says to prove who it is: a bearer token, or the pair of e-mail address and key of older clients.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use quorate_store::tokens;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Malformed};

/// Bytes of a bearer token; ours have 61.
const SECRET_BYTES_MAX: usize = 256;
/// Bytes of an e-mail address.
const EMAIL_BYTES_MAX: usize = 254;

/// In the form of credentials, and not yet known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials<'a> {
    Bearer(&'a str),
    Key { email: &'a str, key: &'a str },
}

impl<'a> Credentials<'a> {
    /// A token wins over a pair.
    ///
    /// # Errors
    /// None, or half of a pair, or a form that no credential has.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, ApiError> {
        if headers.contains_key(AUTHORIZATION) {
            return bearer(headers).map(Self::Bearer).ok_or(ApiError::MalformedCredentials(Malformed::Authorization));
        }
        let (Some(email), Some(key)) = (headers.get("x-auth-email"), headers.get("x-auth-key")) else {
            return Err(ApiError::NoCredentials);
        };
        let email = email.to_str().ok().map(str::trim).filter(|email| is_email(email));
        let key = key.to_str().ok().map(str::trim).filter(|key| tokens::is_well_formed_key(key));
        match (email, key) {
            (Some(email), Some(key)) => Ok(Self::Key { email, key }),
            (None, _) => Err(ApiError::MalformedCredentials(Malformed::Email)),
            (Some(_), None) => Err(ApiError::MalformedCredentials(Malformed::Key)),
        }
    }

    /// Whether they can be right: a token has a checksum.
    pub(super) fn is_well_formed(&self) -> bool {
        match self {
            Self::Bearer(secret) => tokens::is_well_formed(secret),
            Self::Key { .. } => true,
        }
    }

    /// What an unknown one is answered.
    pub(super) const fn unknown(&self) -> ApiError {
        match self {
            Self::Bearer(_) => ApiError::InvalidToken { expired: false },
            Self::Key { .. } => ApiError::UnknownKey,
        }
    }

    /// A name for them in a cache.
    pub(super) fn digest(&self) -> [u8; 32] {
        match self {
            Self::Bearer(secret) => Sha256::digest(secret.as_bytes()).into(),
            Self::Key { email, key } => Sha256::digest(format!("{key} {}", email.to_ascii_lowercase())).into(),
        }
    }
}

/// The bearer token of the Authorization header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| (1..=SECRET_BYTES_MAX).contains(&secret.len()) && secret.bytes().all(legal))
}

/// Something, an at sign, something; the pair says whether it is anybody's.
fn is_email(text: &str) -> bool {
    text.len() <= EMAIL_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "1234567890abcdef1234567890abcdef12345";

    fn check(pairs: &[(&'static str, &'static str)], expected: &str) {
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect();
        let found = match Credentials::of(&headers) {
            Ok(Credentials::Bearer(secret)) => secret.to_owned(),
            Ok(Credentials::Key { email, key }) => format!("{email} {key}"),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(found, expected, "{pairs:?}");
    }

    #[test]
    fn a_bearer_token_is_a_credential() {
        check(&[("authorization", "Bearer qrt_x")], "qrt_x");
        check(&[("authorization", "bearer  qrt_x")], "qrt_x");
        for malformed in ["Bearer", "Bearer ", "Basic YTpi", "qrt_x", "Bearer a b", "Bearer a\"b"] {
            check(&[("authorization", malformed)], "MalformedCredentials(Authorization)");
        }
    }

    #[test]
    fn an_address_and_a_key_are_one_and_neither_is_one_alone() {
        check(&[], "NoCredentials");
        check(&[("x-auth-key", KEY)], "NoCredentials");
        check(&[("x-auth-email", "ops@example.com")], "NoCredentials");
        check(&[("x-auth-email", "ops@example.com"), ("x-auth-key", KEY)], &format!("ops@example.com {KEY}"));
        check(&[("x-auth-email", "nobody"), ("x-auth-key", KEY)], "MalformedCredentials(Email)");
        check(&[("x-auth-email", "ops@example.com"), ("x-auth-key", "qrt_x")], "MalformedCredentials(Key)");
        check(&[("x-auth-email", "ops@example.com"), ("x-auth-key", KEY), ("authorization", "Bearer qrt_x")], "qrt_x");
    }

    #[test]
    fn an_address_is_the_same_in_whatever_case() {
        let [one, two] = ["Ops@Example.com", "ops@example.com"].map(|email| Credentials::Key { email, key: KEY }.digest());
        assert_eq!(one, two);
        assert_ne!(one, Credentials::Bearer(KEY).digest());
    }
}
