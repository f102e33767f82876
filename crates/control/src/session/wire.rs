//! Manifests in their wire form.

use std::sync::Arc;

use prost::Message as _;
use quorate_core::check::Check;
use quorate_proto::convert::manifest_hash;
use quorate_proto::v1;

use crate::manifests::{Difference, Manifest};

/// Hash of checks in order of position.
pub(crate) fn hash(checks: &[Arc<Check>]) -> u64 {
    let specs: Vec<v1::CheckSpec> = checks.iter().map(|check| (&**check).into()).collect();
    manifest_hash(&specs)
}

/// Bytes that a check takes in a message.
pub(crate) fn size(check: &Check) -> usize {
    let length = v1::CheckSpec::from(check).encoded_len();
    // Its tag, and its length in at most four bytes.
    length + 5
}

/// The step from one version to the next; from 0: the whole manifest.
pub(super) fn step(from_version: u64, to: &Manifest, difference: &Difference, bucket: u16, nonce: u64) -> v1::ManifestDelta {
    v1::ManifestDelta {
        bucket: bucket.into(),
        from_version,
        to_version: to.version,
        nonce,
        add: difference.add.iter().map(|check| (&**check).into()).collect(),
        remove: difference.remove.iter().map(|id| id.as_bytes().to_vec().into()).collect(),
        hash: to.hash(),
    }
}
