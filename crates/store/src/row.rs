//! From columns to the domain and back. A value that cannot be is `Error::Corrupt`, never a guess.

use std::fmt::Display;
use std::str::FromStr;

use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, InvalidId, hex};

use crate::error::Error;

/// Names the row in errors: table and key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) key: &'a [u8],
}

impl Place<'_> {
    pub(crate) fn corrupt(self, problem: impl Display) -> Error {
        Error::Corrupt { table: self.table, row: hex(self.key), problem: problem.to_string() }
    }

    /// A number that has to fit a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(self, column: &str, value: impl Into<i64>) -> Result<T, Error> {
        let value = value.into();
        T::try_from(value).map_err(|_| self.corrupt(format_args!("{column} is {value}")))
    }

    pub(crate) fn id<T>(self, column: &str, bytes: &[u8]) -> Result<T, Error>
    where
        T: for<'b> TryFrom<&'b [u8], Error = InvalidId>,
    {
        T::try_from(bytes).map_err(|problem| self.corrupt(format_args!("{column}: {problem}")))
    }

    pub(crate) fn bucket(self, number: i16) -> Result<Bucket, Error> {
        Bucket::new(self.number("bucket", number)?).ok_or_else(|| self.corrupt(format_args!("bucket is {number}")))
    }

    pub(crate) fn text<T: FromStr<Err: Display>>(self, column: &str, text: &str) -> Result<T, Error> {
        text.parse().map_err(|problem| self.corrupt(format_args!("{column}: {problem}")))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(self, column: &str, value: serde_json::Value) -> Result<T, Error> {
        serde_json::from_value(value).map_err(|problem| self.corrupt(format_args!("{column}: {problem}")))
    }
}

/// What can change of an object, by field, for the audit log.
pub(crate) fn fields(settings: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(settings).expect("settings have string keys and no failing serializer")
}

/// Accounts as the database keeps them.
pub(crate) fn keys(accounts: &[AccountId]) -> Vec<&[u8]> {
    accounts.iter().map(|id| id.as_bytes().as_slice()).collect()
}

/// A count from SQL, which is never negative.
pub(crate) fn count(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(if value < 0 { 0 } else { u32::MAX })
}

/// A counter of ours as SQL's type. Counters start at 0 and grow by 1: 2^63 is out of reach.
pub(crate) fn big(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
