//! Who owns which bucket.

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::ids::ReplicaId;

use super::{Malformed, sixteen};
use crate::v1;

/// A replica of the control plane, and where workers dial it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    pub id: ReplicaId,
    /// `https://control-1:8081`
    pub url: String,
}

/// The owner and the standby of every bucket, as of a version; a higher version is newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketMap {
    version: u64,
    replicas: Vec<Replica>,
    /// By bucket: index into `replicas`.
    owner: Vec<Option<usize>>,
    standby: Vec<Option<usize>>,
}

impl BucketMap {
    /// The map in which `owner` and `standby` say who has a bucket. A replica that is not in
    /// `replicas` is nobody.
    pub fn new(
        version: u64,
        replicas: Vec<Replica>,
        owner: impl Fn(Bucket) -> Option<ReplicaId>,
        standby: impl Fn(Bucket) -> Option<ReplicaId>,
    ) -> Self {
        let index = |id: ReplicaId| replicas.iter().position(|replica| replica.id == id);
        let by_bucket = |of: &dyn Fn(Bucket) -> Option<ReplicaId>| Bucket::all().map(|bucket| of(bucket).and_then(index)).collect();
        let (owner, standby) = (by_bucket(&owner), by_bucket(&standby));
        Self { version, replicas, owner, standby }
    }

    pub const fn version(&self) -> u64 {
        self.version
    }

    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    pub fn owner(&self, bucket: Bucket) -> Option<&Replica> {
        self.find(&self.owner, bucket)
    }

    pub fn standby(&self, bucket: Bucket) -> Option<&Replica> {
        self.find(&self.standby, bucket)
    }

    /// Whether votes of `bucket` go to `replica`.
    pub fn serves(&self, replica: ReplicaId, bucket: Bucket) -> bool {
        [self.owner(bucket), self.standby(bucket)].into_iter().flatten().any(|known| known.id == replica)
    }

    fn find(&self, by_bucket: &[Option<usize>], bucket: Bucket) -> Option<&Replica> {
        self.replicas.get((*by_bucket.get(usize::from(bucket.number()))?)?)
    }
}

impl From<&BucketMap> for v1::BucketMap {
    fn from(map: &BucketMap) -> Self {
        let indices = |by_bucket: &[Option<usize>]| {
            let wire = |index: &Option<usize>| index.and_then(|index| u32::try_from(index + 1).ok()).unwrap_or(0);
            by_bucket.iter().map(wire).collect()
        };
        Self {
            version: map.version,
            replicas: map
                .replicas
                .iter()
                .map(|replica| v1::Replica { replica_id: replica.id.as_bytes().to_vec().into(), url: replica.url.clone() })
                .collect(),
            owner: indices(&map.owner),
            standby: indices(&map.standby),
        }
    }
}

impl TryFrom<v1::BucketMap> for BucketMap {
    type Error = Malformed;

    fn try_from(map: v1::BucketMap) -> Result<Self, Malformed> {
        let replicas: Vec<Replica> = map
            .replicas
            .into_iter()
            .map(|replica| Ok(Replica { id: ReplicaId::from_bytes(sixteen("replica_id", &replica.replica_id)?), url: replica.url }))
            .collect::<Result<_, Malformed>>()?;
        let indices = |field: &'static str, by_bucket: Vec<u32>| {
            if by_bucket.len() != usize::from(BUCKETS) {
                return Err(Malformed::Length { field, bytes: by_bucket.len(), expected: BUCKETS.into() });
            }
            let known = |index: u32| match usize::try_from(index).unwrap_or(usize::MAX) {
                0 => Ok(None),
                index if index <= replicas.len() => Ok(Some(index - 1)),
                _ => Err(Malformed::Range { field, value: index.into(), low: 0, high: replicas.len() as u64 }),
            };
            by_bucket.into_iter().map(known).collect::<Result<Vec<_>, _>>()
        };
        let (owner, standby) = (indices("owner", map.owner)?, indices("standby", map.standby)?);
        Ok(Self { version: map.version, replicas, owner, standby })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> BucketMap {
        let replica = |number: u8| Replica { id: ReplicaId::from_bytes([number; 16]), url: format!("https://control-{number}:8081") };
        let id = |number: u8| Some(ReplicaId::from_bytes([number; 16]));
        BucketMap::new(
            7,
            vec![replica(1), replica(2)],
            |bucket| if bucket.number().is_multiple_of(2) { id(1) } else { id(2) },
            |bucket| if bucket.number() == 4 { id(2) } else { id(9) },
        )
    }

    #[test]
    fn a_map_reads_back_and_knows_owner_and_standby() {
        let wire = v1::BucketMap::from(&map());
        assert_eq!(wire.owner[..2], [1, 2]);
        let read = BucketMap::try_from(wire).expect("well formed");
        assert_eq!(read, map());
        let bucket = |number| Bucket::new(number).expect("below 1024");
        let (one, two) = (ReplicaId::from_bytes([1; 16]), ReplicaId::from_bytes([2; 16]));
        assert_eq!(read.owner(bucket(4)).map(|replica| replica.id), Some(one));
        assert_eq!(read.standby(bucket(5)), None, "an unknown replica is nobody");
        assert!(read.serves(two, bucket(4)) && read.serves(one, bucket(4)) && !read.serves(two, bucket(6)));
    }

    #[test]
    fn a_map_that_points_nowhere_or_is_short_is_refused() {
        let mut wire = v1::BucketMap::from(&map());
        wire.owner[3] = 3;
        assert_eq!(BucketMap::try_from(wire), Err(Malformed::Range { field: "owner", value: 3, low: 0, high: 2 }));
        let mut wire = v1::BucketMap::from(&map());
        wire.standby.pop();
        assert_eq!(BucketMap::try_from(wire), Err(Malformed::Length { field: "standby", bytes: 1023, expected: 1024 }));
    }
}
