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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_the_bucket_it_always_had() {
        let of = |text: &str| Bucket::of(text.parse().expect("an id")).number();
        // The bucket is stored with every pool: another hash would lose them.
        assert_eq!(of("00000000000000000000000000000000"), 360);
        assert_eq!(of("17b5962d775c646f3f9725cbc7a53df4"), 147);
        assert_eq!(Bucket::new(1023).map(Bucket::number), Some(1023));
        assert_eq!(Bucket::new(1024), None);
        assert_eq!(Bucket::all().count(), 1024);
    }
}
