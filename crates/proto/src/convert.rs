//! Wire to domain and back. What comes in is untrusted, so every such direction is fallible; what
//! goes out is valid by its type.

mod buckets;
mod check;
mod hello;
mod manifest;
mod one_off;
mod timings;
mod votes;

pub use buckets::{BucketMap, Replica};
pub use hello::{HeldManifest, Hello};
pub use manifest::{manifest_hash, sort_entries, wire_hash};
pub use one_off::{ProbeAnswer, probe_request};
pub use votes::{Change, Chunk, WINDOW_ENTRY_BYTES, Window};

use quorate_core::bucket::Bucket;
use quorate_core::vote::Detail;

/// Why a message, or a part of it, has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{field} has {bytes} bytes and must have {expected}")]
    Length { field: &'static str, bytes: usize, expected: usize },
    #[error("{field} {value} is not in range [{low}, {high}]")]
    Range { field: &'static str, value: u64, low: u64, high: u64 },
    #[error("{field} is malformed: {detail}")]
    Text { field: &'static str, detail: String },
    /// The bits of a chunk and their checksum disagree.
    #[error("bits do not match their checksum")]
    Checksum,
    /// A packed detail names a reason or a state that does not exist.
    #[error("detail {packed:#018x} names a reason or a state that does not exist")]
    Detail { packed: u64 },
}

/// A number of the wire as the narrower type that the domain has for it.
pub(crate) fn narrow<T>(field: &'static str, value: u32, low: u32, high: u32) -> Result<T, Malformed>
where
    T: TryFrom<u32>,
{
    let out_of_range = || Malformed::Range { field, value: value.into(), low: low.into(), high: high.into() };
    if !(low..=high).contains(&value) {
        return Err(out_of_range());
    }
    T::try_from(value).map_err(|_| out_of_range())
}

pub(crate) fn bucket(number: u32) -> Result<Bucket, Malformed> {
    let last = quorate_core::bucket::BUCKETS - 1;
    let number = narrow::<u16>("bucket", number, 0, last.into())?;
    Bucket::new(number).ok_or(Malformed::Range { field: "bucket", value: number.into(), low: 0, high: last.into() })
}

/// Exactly 16 bytes.
pub(crate) fn sixteen(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], Malformed> {
    bytes.try_into().map_err(|_| Malformed::Length { field, bytes: bytes.len(), expected: 16 })
}

pub(crate) fn detail(packed: u64) -> Result<Detail, Malformed> {
    Detail::unpack(packed).ok_or(Malformed::Detail { packed })
}
