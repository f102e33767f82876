//! The worker token: one string that joins a worker to a control plane.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quorate_core::pop::PopCode;
use quorate_core::region::Region;
use serde::{Deserialize, Serialize};

/// What every worker token begins with, so that a leaked one is recognised.
pub const PREFIX: &str = "qwt_";

/// Who the worker is, the secret that proves it, and the authority of the control plane that it may trust.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    pub pop: PopCode,
    pub region: Region,
    pub city: String,
    /// ISO 3166-1 alpha-2, upper case: `GB`.
    pub country: String,
    /// Sent as `authorization: Bearer …`; the store keeps only its hash.
    pub secret: String,
    /// SHA-256 of the DER form of the control plane's CA certificate.
    #[serde(with = "base64_bytes")]
    pub ca_sha256: [u8; 32],
}

/// Why a text is not a worker token. Never repeats the text.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJoinToken {
    #[error("a worker token begins with {PREFIX}")]
    Prefix,
    #[error("a worker token is URL-safe base64 after its prefix; was it cut or wrapped?")]
    Encoding(#[source] base64::DecodeError),
    /// The position is told, the text is not: it may hold the secret.
    #[error("a worker token holds no valid identity (line {line}, column {column} of its content)")]
    Content { line: usize, column: usize },
}

impl JoinToken {
    /// `qwt_` and one word of letters, digits, `-` and `_`.
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("strings, a region and bytes are always JSON");
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    /// Surrounding white space, as files have it, is ignored.
    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidJoinToken::Prefix)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(InvalidJoinToken::Encoding)?;
        serde_json::from_slice(&json).map_err(|error| InvalidJoinToken::Content { line: error.line(), column: error.column() })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("pop", &self.pop)
            .field("region", &self.region)
            .field("city", &self.city)
            .field("country", &self.country)
            .finish_non_exhaustive()
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        bytes.try_into().map_err(|_| serde::de::Error::custom("a SHA-256 has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            pop: "lhr".parse().expect("a code"),
            region: Region::Weu,
            city: "London".to_owned(),
            country: "GB".to_owned(),
            secret: "correct-horse".to_owned(),
            ca_sha256: [0xab; 32],
        }
    }

    #[test]
    fn a_token_is_one_word_that_reads_back() {
        let text = token().encode();
        assert!(text.starts_with("qwt_") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(format!("{text}\n").parse::<JoinToken>().expect("its own text"), token());
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_secret() {
        assert!(!format!("{:?}", token()).contains("horse"));
        let json = serde_json::to_string(&token()).expect("JSON").replace("WEU", "EARTH");
        let error = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json)).parse::<JoinToken>().expect_err("no such region");
        assert!(matches!(error, InvalidJoinToken::Content { .. }));
        assert!(!format!("{error} {error:?}").contains("horse"));
    }

    #[test]
    fn another_text_is_refused() {
        assert!(matches!("hunter2".parse::<JoinToken>(), Err(InvalidJoinToken::Prefix)));
        assert!(matches!("qwt_!!".parse::<JoinToken>(), Err(InvalidJoinToken::Encoding(_))));
        assert!(matches!("qwt_e30".parse::<JoinToken>(), Err(InvalidJoinToken::Content { .. })));
    }
}
