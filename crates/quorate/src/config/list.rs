//! Lists that may be written as a list or as one comma-separated text, as environment variables have to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        OneOrMany::Many(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(|error| de::Error::custom(format!("{text:?}: {error}")))).collect()
}
