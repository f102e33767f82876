//! Identifiers. On the wire: 32 lower-case hexadecimal characters, no dashes; inside: 128 random bits.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rand::Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is exactly 32 lower-case hexadecimal characters")]
pub struct InvalidId;

/// What an identifier looks like on the wire, as a JSON schema.
#[must_use]
pub fn schema() -> Schema {
    json_schema!({"type": "string", "pattern": "^[0-9a-f]{32}$"})
}

/// Bytes as lower-case hexadecimal: ids, digests, hashes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn parse_hex(text: &str) -> Result<[u8; 16], InvalidId> {
    let mut bytes = [0; 16];
    if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return Err(InvalidId);
    }
    hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId)?;
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new identifier, drawn from `rng`.
            pub fn random(rng: &mut impl Rng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// As on the wire.
            pub fn digits(&self) -> [u8; 32] {
                let mut digits = [0; 32];
                hex::encode_to_slice(self.0, &mut digits).expect("two digits a byte");
                digits
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                bytes.try_into().map(Self).map_err(|_| InvalidId)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/// Identifies an account, the tenant that owns everything else.
    AccountId);
id!(/// Identifies a zone, a domain of an account.
    ZoneId);
id!(/// Identifies a monitor.
    MonitorId);
id!(/// Identifies a monitor group.
    MonitorGroupId);
id!(/// Identifies a pool.
    PoolId);
id!(/// Identifies a load balancer.
    LoadBalancerId);
id!(/// Identifies a check: one origin of one pool, from its insertion to its removal.
    CheckId);
id!(/// Identifies a health check that stands by itself.
    HealthcheckId);
id!(/// Identifies a preview: probes that are made once.
    PreviewId);
id!(/// Identifies an API token; the secret is another thing.
    TokenId);
id!(/// Identifies a replica of the control plane: one process from start to end.
    ReplicaId);

impl CheckId {
    /// The probe of one member of a monitor group for this check: an id of its own, the same wherever it
    /// is made. Both ids are random, so their exclusive or is as good as a third one.
    #[must_use]
    pub fn of_member(self, monitor: MonitorId) -> Self {
        let mut bytes = self.0;
        bytes.iter_mut().zip(monitor.0).for_each(|(byte, other)| *byte ^= other);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_lower_case_hexadecimal_characters_are_an_id() {
        let text = "17b5962d775c646f3f9725cbc7a53df4";
        assert_eq!(text.parse::<PoolId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for bad in [
            "",
            "17B5962D775C646F3F9725CBC7A53DF4",
            "17b5962d775c646f3f9725cbc7a53df",
            "17b5962d-775c-646f-3f97-25cbc7a53df4",
            "gggggggggggggggggggggggggggggggg",
        ] {
            assert_eq!(bad.parse::<PoolId>(), Err(InvalidId), "{bad}");
        }
    }
}
