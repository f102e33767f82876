//! The order and the hash of a manifest.

use prost::Message as _;
use xxhash_rust::xxh3::Xxh3;

use crate::v1::CheckSpec;

/// Puts entries in the order of their positions: by check id.
pub fn sort_entries(entries: &mut [CheckSpec]) {
    entries.sort_unstable_by(|one, other| one.check_id.cmp(&other.check_id));
}

/// xxh3-64 over the entries in their wire form; they must be in order of position.
pub fn manifest_hash<'a>(entries: impl IntoIterator<Item = &'a CheckSpec>) -> u64 {
    wire_hash(entries.into_iter().map(CheckSpec::encode_to_vec))
}

/// The same hash, of entries that are in their wire form already.
pub fn wire_hash<W: AsRef<[u8]>>(entries: impl IntoIterator<Item = W>) -> u64 {
    let mut hash = Xxh3::new();
    entries.into_iter().for_each(|entry| hash.update(entry.as_ref()));
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_wire_form_in_order_of_position() {
        let entry = |id: u8, config_gen| CheckSpec { check_id: vec![id; 16].into(), config_gen, ..CheckSpec::default() };
        let mut entries = vec![entry(2, 1), entry(1, 1)];
        sort_entries(&mut entries);
        assert_eq!(entries[0].check_id[0], 1);
        let wire: Vec<u8> = entries.iter().flat_map(prost::Message::encode_to_vec).collect();
        assert_eq!(manifest_hash(&entries), xxhash_rust::xxh3::xxh3_64(&wire));
        assert_ne!(manifest_hash(&entries), manifest_hash(&[entry(1, 1), entry(2, 2)]));
    }
}
