//! Manifests: what one PoP is asked to probe in one bucket, version by version.
//!
//! A manifest follows from the bucket's configuration at a `config_seq` and from the PoP alone, so
//! owner and standby give out the same one under the same version. The position of a check is its
//! index in the order of check ids; votes name positions, and the version says which manifest they
//! count through.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use quorate_core::check::Check;
use quorate_core::ids::CheckId;

/// Versions of a manifest whose positions can still be translated: the window of skew between a worker and control.
pub(crate) const VERSIONS_KEPT: usize = 4;

/// The checks of one PoP in one bucket.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The `config_seq` of the bucket.
    pub(crate) version: u64,
    /// Sorted by check id.
    pub(crate) checks: Vec<Arc<Check>>,
    hash: OnceLock<u64>,
}

/// From one manifest to the next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// New or changed, sorted by id.
    pub(crate) add: Vec<Arc<Check>>,
    pub(crate) remove: Vec<CheckId>,
}

impl Manifest {
    /// `checks` sorted by id.
    pub(crate) fn new(version: u64, checks: Vec<Arc<Check>>) -> Self {
        debug_assert!(checks.is_sorted_by_key(|check| check.id));
        Self { version, checks, hash: OnceLock::new() }
    }

    /// Hash of the content in its wire form, computed once.
    pub(crate) fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| crate::session::wire::hash(&self.checks))
    }

    /// What a holder of `from` lacks. Checks that are the same keep running.
    pub(crate) fn since(&self, from: &Self) -> Difference {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        let (mut new, mut old) = (self.checks.iter().peekable(), from.checks.iter().peekable());
        loop {
            match (new.peek(), old.peek()) {
                (Some(ours), Some(theirs)) if ours.id == theirs.id => {
                    if !Arc::ptr_eq(ours, theirs) && ours != theirs {
                        add.push(Arc::clone(ours));
                    }
                    new.next();
                    old.next();
                }
                (Some(ours), theirs) if theirs.is_none_or(|theirs| ours.id < theirs.id) => {
                    add.push(Arc::clone(ours));
                    new.next();
                }
                (_, Some(theirs)) => {
                    remove.push(theirs.id);
                    old.next();
                }
                (_, None) => break,
            }
        }
        Difference { add, remove }
    }
}

/// The latest manifests of one PoP in one bucket.
#[derive(Debug, Default)]
pub(crate) struct Versions(VecDeque<Arc<Manifest>>);

impl Versions {
    pub(crate) fn get(&self, version: u64) -> Option<&Arc<Manifest>> {
        self.0.iter().find(|manifest| manifest.version == version)
    }

    pub(crate) fn newest(&self) -> Option<&Arc<Manifest>> {
        self.0.back()
    }

    /// Keeps a newer one; the oldest beyond [`VERSIONS_KEPT`] is forgotten.
    pub(crate) fn push(&mut self, manifest: Arc<Manifest>) {
        if self.newest().is_some_and(|newest| newest.version >= manifest.version) {
            return;
        }
        self.0.push_back(manifest);
        if self.0.len() > VERSIONS_KEPT {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_core::check::Probe;
    use quorate_core::ids::PoolId;

    use super::*;

    /// Checks by letter: the letter is the id, its case the generation.
    fn manifest(version: u64, letters: &str) -> Manifest {
        let check = |letter: u8| {
            Arc::new(Check {
                id: CheckId::from_bytes([letter.to_ascii_lowercase(); 16]),
                config_gen: letter.is_ascii_uppercase().into(),
                pool_id: PoolId::from_bytes([1; 16]),
                sharing_key: [2; 16],
                address: "192.0.2.1".to_owned(),
                port: 80,
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
                retries: 0,
                consecutive_up: 0,
                consecutive_down: 0,
                probe: Probe::Tcp,
            })
        };
        Manifest::new(version, letters.bytes().map(check).collect())
    }

    #[test]
    fn a_difference_holds_what_is_new_or_changed_and_what_is_gone() {
        let rows = [
            // from, to, added, removed
            ("", "abc", "abc", ""),
            ("abc", "abc", "", ""),
            ("abc", "aBc", "B", ""),
            ("abc", "bd", "d", "ac"),
            ("ac", "abc", "b", ""),
            ("abc", "", "", "abc"),
            ("c", "ab", "ab", "c"),
            ("a", "bc", "bc", "a"),
        ];
        for (from, to, added, removed) in rows {
            let difference = manifest(2, to).since(&manifest(1, from));
            let letter = |id: CheckId| char::from(id.as_bytes()[0]);
            let told: String = difference
                .add
                .iter()
                .map(|check| if check.config_gen == 0 { letter(check.id) } else { letter(check.id).to_ascii_uppercase() })
                .collect();
            let gone: String = difference.remove.into_iter().map(letter).collect();
            assert_eq!((told.as_str(), gone.as_str()), (added, removed), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn four_versions_are_kept_and_an_older_one_never_comes_back() {
        let mut versions = Versions::default();
        for version in [1, 2, 2, 5, 3, 6, 7] {
            versions.push(Arc::new(manifest(version, "a")));
        }
        let known: Vec<u64> = (0..9).filter(|version| versions.get(*version).is_some()).collect();
        assert_eq!(known, [2, 5, 6, 7]);
        assert_eq!(versions.newest().map(|manifest| manifest.version), Some(7));
    }

    #[test]
    fn the_hash_is_of_the_content_and_not_of_the_version() {
        assert_eq!(manifest(1, "ab").hash(), manifest(2, "ab").hash());
        assert_ne!(manifest(1, "ab").hash(), manifest(1, "aB").hash());
    }
}
