//! What a bucket holds: its checks in their wire form, in order of position.

pub(crate) mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use quorate_core::ids::CheckId;
use quorate_proto::convert::wire_hash;
use quorate_proto::v1::{CheckSpec, ManifestDelta};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) version: u64,
    pub(crate) hash: u64,
    pub(crate) entries: Vec<Entry>,
}

/// One check. The wire form is kept, since the hash is of it, and since a spec takes more room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: CheckId,
    pub(crate) wire: Arc<[u8]>,
}

/// Why a difference makes no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it starts from another version than the one held")]
    Base,
    #[error("its result has another hash")]
    Hash,
    #[error("a check id has not 16 bytes")]
    Id,
}

impl Manifest {
    /// What `delta` makes of `held`. A whole manifest needs nothing held, and is taken whatever its
    /// hash: where it differs, control knows fields that this release does not.
    pub(crate) fn apply(held: Option<&Self>, delta: &ManifestDelta) -> Result<Self, Refused> {
        let is_whole = delta.from_version == 0;
        let base = match held {
            _ if is_whole => &[][..],
            Some(held) if held.version == delta.from_version => &held.entries,
            Some(_) | None => return Err(Refused::Base),
        };
        let mut entries: BTreeMap<CheckId, Arc<[u8]>> = base.iter().map(|entry| (entry.id, entry.wire.clone())).collect();
        for id in &delta.remove {
            entries.remove(&CheckId::try_from(&id[..]).map_err(|_| Refused::Id)?);
        }
        for spec in &delta.add {
            entries.insert(CheckId::try_from(&spec.check_id[..]).map_err(|_| Refused::Id)?, spec.encode_to_vec().into());
        }
        let hash = wire_hash(entries.values());
        if hash != delta.hash && !is_whole {
            return Err(Refused::Hash);
        }
        Ok(Self { version: delta.to_version, hash, entries: entries.into_iter().map(|(id, wire)| Entry { id, wire }).collect() })
    }

    /// The same as a whole manifest, for the disk.
    pub(crate) fn to_delta(&self, bucket: u32) -> ManifestDelta {
        let spec = |entry: &Entry| CheckSpec::decode(&entry.wire[..]).expect("encoded by us");
        ManifestDelta {
            bucket,
            from_version: 0,
            to_version: self.version,
            nonce: 0,
            add: self.entries.iter().map(spec).collect(),
            remove: Vec::new(),
            hash: self.hash,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use quorate_core::check::Check;
    use quorate_proto::convert::{manifest_hash, sort_entries};

    use super::*;

    /// A whole manifest of these checks.
    pub(crate) fn whole(bucket: u32, version: u64, checks: &[Check]) -> ManifestDelta {
        let mut add: Vec<CheckSpec> = checks.iter().map(CheckSpec::from).collect();
        sort_entries(&mut add);
        ManifestDelta { bucket, to_version: version, hash: manifest_hash(&add), add, ..ManifestDelta::default() }
    }

    fn spec(id: u8, config_gen: u64) -> CheckSpec {
        CheckSpec { check_id: vec![id; 16].into(), config_gen, ..CheckSpec::default() }
    }

    #[test]
    fn a_difference_leads_from_one_version_to_the_next() {
        let first = ManifestDelta {
            to_version: 7,
            add: vec![spec(2, 1), spec(1, 1)],
            hash: manifest_hash(&[spec(1, 1), spec(2, 1)]),
            ..Default::default()
        };
        let held = Manifest::apply(None, &first).expect("a whole manifest");
        assert_eq!(held.entries.iter().map(|entry| entry.id.as_bytes()[0]).collect::<Vec<_>>(), [1, 2]);

        let result = [spec(2, 5), spec(3, 1)];
        let next = ManifestDelta {
            from_version: 7,
            to_version: 8,
            add: vec![spec(3, 1), spec(2, 5)],
            remove: vec![vec![1; 16].into()],
            hash: manifest_hash(&result),
            ..Default::default()
        };
        let moved = Manifest::apply(Some(&held), &next).expect("from the version held");
        assert_eq!((moved.version, moved.hash), (8, manifest_hash(&result)));
        assert_eq!(Manifest::apply(None, &moved.to_delta(3)), Ok(moved.clone()), "the disk gives back what it got");

        assert_eq!(Manifest::apply(Some(&moved), &next), Err(Refused::Base));
        assert_eq!(Manifest::apply(Some(&held), &ManifestDelta { hash: 1, ..next.clone() }), Err(Refused::Hash));
        assert_eq!(Manifest::apply(Some(&held), &ManifestDelta { remove: vec![vec![1].into()], ..next }), Err(Refused::Id));
        assert!(Manifest::apply(Some(&held), &ManifestDelta { hash: 1, ..first }).is_ok(), "a whole one is taken as it is");
    }
}
