//! Points of presence: where a worker probes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::region::Region;

/// Short code of a PoP, unique in the installation: 1 to 32 of `a-z`, `0-9` and `-`; `lhr`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PopCode(String);

/// Why a text is not a PoP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PoP code is 1 to 32 of a-z, 0-9 and '-'")]
pub struct InvalidPopCode;

impl PopCode {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PopCode {
    type Err = InvalidPopCode;

    fn from_str(text: &str) -> Result<Self, InvalidPopCode> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(legal) { Ok(Self(text.to_owned())) } else { Err(InvalidPopCode) }
    }
}

impl TryFrom<String> for PopCode {
    type Error = InvalidPopCode;

    fn try_from(text: String) -> Result<Self, InvalidPopCode> {
        text.parse()
    }
}

impl From<PopCode> for String {
    fn from(code: PopCode) -> Self {
        code.0
    }
}

impl fmt::Display for PopCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number of a PoP in this installation, given once by the store and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PopNo(pub u16);

/// A registered PoP: one with an unrevoked worker token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pop {
    pub no: PopNo,
    pub code: PopCode,
    pub region: Region,
    /// `London`.
    pub city: String,
    /// ISO 3166-1 alpha-2, upper case: `GB`.
    pub country: String,
}

impl Pop {
    /// The name under which people know the PoP, and the key of `pop_health`: `London, GB`.
    pub fn place(&self) -> String {
        format!("{}, {}", self.city, self.country)
    }
}
