//! The packed row: the electorate of a check and its ballots in a few hundred bytes.
//!
//! Little endian. One byte of version, then regions until the end: number of the region (0: all
//! PoPs) u8, seats u32, and for each seat 14 bytes: number of the PoP u16, flags u8, reason u8,
//! `response_code` u16, `rtt_us` u32, `age_ms` u32. A row has one size whatever the votes say.

use super::{Ballot, BallotDetail};
use crate::electorate::{Electorate, RegionSeats};
use crate::failure::FailureReason;
use crate::pop::PopNo;
use crate::region::Region;
use crate::vote::VoteState;

const VERSION: u8 = 1;
const SEAT_BYTES: usize = 14;

/// Flags of a seat; the two lowest bits are the vote's state.
const STATE: u8 = 0b11;
const CAST: u8 = 1 << 2;
const DETAIL: u8 = 1 << 3;
const CODE: u8 = 1 << 4;
const RTT: u8 = 1 << 5;
const KNOWN_FLAGS: u8 = STATE | CAST | DETAIL | CODE | RTT;

/// A packed row: the electorate of a check with each seat's ballot, as stored for the quorum view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedVotes {
    pub electorate: Electorate,
    /// One a seat, in the electorate's order.
    pub ballots: Vec<Ballot>,
}

/// Why bytes are no packed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed row of votes is damaged or of an unknown version")]
pub struct Damaged;

impl PackedVotes {
    /// The row as bytes. A seat without a ballot is written as missing; a ballot without a seat is left out.
    pub fn encode(&self) -> Vec<u8> {
        let regions = self.electorate.regions();
        let mut bytes = Vec::with_capacity(1 + 5 * regions.len() + SEAT_BYTES * self.electorate.seats());
        bytes.push(VERSION);
        let mut ballots = self.ballots.iter().copied();
        for region in regions {
            bytes.push(region.region().map_or(0, Region::number));
            #[expect(clippy::cast_possible_truncation, reason = "an electorate has at most 65,536 seats")]
            bytes.extend_from_slice(&(region.seats().len() as u32).to_le_bytes());
            for seat in region.seats() {
                write_seat(&mut bytes, *seat, ballots.next().unwrap_or(Ballot::Missing));
            }
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (&[version], mut rest) = bytes.split_first_chunk().ok_or(Damaged)?;
        if version != VERSION {
            return Err(Damaged);
        }
        let (mut regions, mut ballots) = (Vec::new(), Vec::new());
        while let Some((&[number, a, b, c, d], after)) = rest.split_first_chunk() {
            let region = match number {
                0 => None,
                number => Some(Region::from_number(number).ok_or(Damaged)?),
            };
            let length =
                usize::try_from(u32::from_le_bytes([a, b, c, d])).ok().and_then(|seats| seats.checked_mul(SEAT_BYTES)).ok_or(Damaged)?;
            let (seats, after) = after.split_at_checked(length).ok_or(Damaged)?;
            let mut numbers = Vec::with_capacity(seats.len() / SEAT_BYTES);
            for seat in seats.as_chunks::<SEAT_BYTES>().0 {
                let (number, ballot) = read_seat(*seat)?;
                numbers.push(number);
                ballots.push(ballot);
            }
            regions.push(RegionSeats::new(region, numbers));
            rest = after;
        }
        if rest.is_empty() { Ok(Self { electorate: Electorate::new(regions), ballots }) } else { Err(Damaged) }
    }
}

fn write_seat(bytes: &mut Vec<u8>, pop: PopNo, ballot: Ballot) {
    let (flags, detail, age_ms) = match ballot {
        Ballot::Missing => (0, None, 0),
        Ballot::Cast { state, detail, age_ms } => (CAST | state.bits(), detail, age_ms),
    };
    let code = detail.and_then(|detail| detail.response_code);
    let rtt_us = detail.and_then(|detail| detail.rtt_us);
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    bytes.extend_from_slice(&pop.0.to_le_bytes());
    bytes.push(flags | flag(detail.is_some(), DETAIL) | flag(code.is_some(), CODE) | flag(rtt_us.is_some(), RTT));
    bytes.push(detail.and_then(|detail| detail.reason).map_or(0, FailureReason::wire));
    bytes.extend_from_slice(&code.unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&rtt_us.unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&age_ms.to_le_bytes());
}

fn read_seat(seat: [u8; SEAT_BYTES]) -> Result<(PopNo, Ballot), Damaged> {
    let [pop_low, pop_high, flags, reason, code_low, code_high, r0, r1, r2, r3, a0, a1, a2, a3] = seat;
    let pop = PopNo(u16::from_le_bytes([pop_low, pop_high]));
    if flags & CAST == 0 {
        // A missing ballot has nothing to say; anything but zeros here was never written by us.
        return if seat[2..] == [0; SEAT_BYTES - 2] { Ok((pop, Ballot::Missing)) } else { Err(Damaged) };
    }
    let reason = match reason {
        0 => None,
        number => Some(FailureReason::from_wire(number).ok_or(Damaged)?),
    };
    let response_code = (flags & CODE != 0).then(|| u16::from_le_bytes([code_low, code_high]));
    let rtt_us = (flags & RTT != 0).then(|| u32::from_le_bytes([r0, r1, r2, r3]));
    let has_detail = flags & DETAIL != 0;
    if flags & !KNOWN_FLAGS != 0 || (!has_detail && (reason.is_some() || response_code.is_some() || rtt_us.is_some())) {
        return Err(Damaged);
    }
    let detail = has_detail.then_some(BallotDetail { reason, response_code, rtt_us });
    Ok((pop, Ballot::Cast { state: VoteState::from_bits(flags), detail, age_ms: u32::from_le_bytes([a0, a1, a2, a3]) }))
}
