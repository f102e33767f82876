//! Buckets: the unit of ownership, of manifest, of transaction and of distribution.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::PoolId;

/// Number of buckets; fixed for ever, since it is stored with every pool.
pub const BUCKETS: u16 = 1024;

/// A bucket, 0 to 1023. A pool and all its checks share one, so check to pool verdict is one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(u16);

impl Bucket {
    /// `None` outside 0..1024.
    pub const fn new(number: u16) -> Option<Self> {
        if number < BUCKETS { Some(Self(number)) } else { None }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 1024")]
    pub fn of(pool: PoolId) -> Self {
        Self((xxh3_64(pool.as_bytes()) % u64::from(BUCKETS)) as u16)
    }

    pub const fn number(self) -> u16 {
        self.0
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..BUCKETS).map(Self)
    }
}
