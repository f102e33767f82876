//! Votes: the 2-bit bitmap of a round, the window of detail, and the entry of a delta.

use bytes::{BufMut as _, Bytes, BytesMut};
use quorate_core::bucket::Bucket;
use quorate_core::vote::{Detail, VoteState};

use super::{Malformed, bucket, detail};
use crate::v1;

/// Bytes of one packed [`Detail`] in a window.
pub const WINDOW_ENTRY_BYTES: usize = 8;

/// The states of all checks of one bucket, cast under one version of its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub bucket: Bucket,
    pub manifest_version: u64,
    bits: Bytes,
}

impl Chunk {
    /// `states` in order of position.
    pub fn pack(bucket: Bucket, manifest_version: u64, states: impl ExactSizeIterator<Item = VoteState>) -> Self {
        let mut bits = BytesMut::zeroed(states.len().div_ceil(4));
        for (position, state) in states.enumerate() {
            bits[position / 4] |= state.bits() << (position % 4 * 2);
        }
        Self { bucket, manifest_version, bits: bits.freeze() }
    }

    /// The states of a manifest of `positions` checks, in order of position.
    ///
    /// # Errors
    /// `Length` where the chunk was cast under a manifest of another size.
    pub fn states(&self, positions: usize) -> Result<impl ExactSizeIterator<Item = VoteState> + '_, Malformed> {
        let expected = positions.div_ceil(4);
        if self.bits.len() != expected {
            return Err(Malformed::Length { field: "bits", bytes: self.bits.len(), expected });
        }
        Ok((0..positions).map(|position| VoteState::from_bits(self.bits[position / 4] >> (position % 4 * 2))))
    }
}

impl From<&Chunk> for v1::RoundChunk {
    fn from(chunk: &Chunk) -> Self {
        Self {
            bucket: chunk.bucket.number().into(),
            manifest_version: chunk.manifest_version,
            bits: chunk.bits.clone(),
            crc: crc32fast::hash(&chunk.bits),
        }
    }
}

impl TryFrom<v1::RoundChunk> for Chunk {
    type Error = Malformed;

    fn try_from(chunk: v1::RoundChunk) -> Result<Self, Malformed> {
        if crc32fast::hash(&chunk.bits) != chunk.crc {
            return Err(Malformed::Checksum);
        }
        Ok(Self { bucket: bucket(chunk.bucket)?, manifest_version: chunk.manifest_version, bits: chunk.bits })
    }
}

/// Full detail of the positions from `from` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub bucket: Bucket,
    pub manifest_version: u64,
    pub from: u32,
    pub details: Vec<Detail>,
}

impl From<&Window> for v1::DetailWindow {
    fn from(window: &Window) -> Self {
        let mut entries = BytesMut::with_capacity(window.details.len() * WINDOW_ENTRY_BYTES);
        window.details.iter().for_each(|detail| entries.put_u64_le(detail.pack()));
        Self {
            bucket: window.bucket.number().into(),
            manifest_version: window.manifest_version,
            from: window.from,
            entries: entries.freeze(),
        }
    }
}

impl TryFrom<v1::DetailWindow> for Window {
    type Error = Malformed;

    fn try_from(window: v1::DetailWindow) -> Result<Self, Malformed> {
        let (entries, rest) = window.entries.as_chunks::<WINDOW_ENTRY_BYTES>();
        if !rest.is_empty() {
            let expected = entries.len() * WINDOW_ENTRY_BYTES;
            return Err(Malformed::Length { field: "entries", bytes: window.entries.len(), expected });
        }
        Ok(Self {
            bucket: bucket(window.bucket)?,
            manifest_version: window.manifest_version,
            from: window.from,
            details: entries.iter().map(|entry| detail(u64::from_le_bytes(*entry))).collect::<Result<_, _>>()?,
        })
    }
}

/// One changed vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub bucket: Bucket,
    pub manifest_version: u64,
    pub position: u32,
    pub detail: Detail,
}

impl From<&Change> for v1::DeltaEntry {
    fn from(change: &Change) -> Self {
        Self {
            bucket: change.bucket.number().into(),
            manifest_version: change.manifest_version,
            position: change.position,
            detail: change.detail.pack(),
        }
    }
}

impl TryFrom<&v1::DeltaEntry> for Change {
    type Error = Malformed;

    fn try_from(entry: &v1::DeltaEntry) -> Result<Self, Malformed> {
        Ok(Self {
            bucket: bucket(entry.bucket)?,
            manifest_version: entry.manifest_version,
            position: entry.position,
            detail: detail(entry.detail)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_core::failure::FailureReason;

    use super::*;

    const BUCKET: Bucket = Bucket::new(9).expect("below 1024");

    #[test]
    fn position_0_stands_in_the_two_lowest_bits_of_byte_0() {
        let states = [VoteState::Up, VoteState::Down, VoteState::ConfigError, VoteState::Unknown, VoteState::Down];
        let wire = v1::RoundChunk::from(&Chunk::pack(BUCKET, 3, states.into_iter()));
        assert_eq!(wire.bits[..], [0b00_11_10_01, 0b10]);
        let chunk = Chunk::try_from(wire).expect("well formed");
        assert_eq!(chunk.states(5).expect("5 positions").collect::<Vec<_>>(), states);
        assert!(chunk.states(4).is_err() && chunk.states(9).is_err());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut wire = v1::RoundChunk::from(&Chunk::pack(BUCKET, 3, [VoteState::Up].into_iter()));
        wire.bits = vec![0b10].into();
        assert_eq!(Chunk::try_from(wire), Err(Malformed::Checksum));
    }

    #[test]
    fn a_window_and_a_change_read_back_and_nonsense_is_named() {
        let down =
            Detail { state: VoteState::Down, reason: Some(FailureReason::HttpTimeout), response_code: None, rtt_us: Some(5_000_000) };
        let window = Window { bucket: BUCKET, manifest_version: 3, from: 64, details: vec![down, Detail::default()] };
        let mut wire = v1::DetailWindow::from(&window);
        assert_eq!(wire.entries.len(), 16);
        assert_eq!(Window::try_from(wire.clone()), Ok(window));
        wire.entries.truncate(15);
        assert_eq!(Window::try_from(wire), Err(Malformed::Length { field: "entries", bytes: 15, expected: 8 }));

        let change = Change { bucket: BUCKET, manifest_version: 3, position: 1, detail: down };
        let mut wire = v1::DeltaEntry::from(&change);
        assert_eq!(Change::try_from(&wire), Ok(change));
        wire.detail = 0xff;
        assert_eq!(Change::try_from(&wire), Err(Malformed::Detail { packed: 0xff }));
    }

    proptest! {
        #[test]
        fn any_states_read_back(bits in proptest::collection::vec(0_u8..4, 0..200)) {
            let states: Vec<VoteState> = bits.into_iter().map(VoteState::from_bits).collect();
            let chunk = Chunk::try_from(v1::RoundChunk::from(&Chunk::pack(BUCKET, 1, states.iter().copied()))).expect("well formed");
            prop_assert_eq!(chunk.states(states.len()).expect("the same size").collect::<Vec<_>>(), states);
        }
    }
}
