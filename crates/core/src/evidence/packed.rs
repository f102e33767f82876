//! The packed row: the electorate of a check and its ballots in a few hundred bytes.
//!
//! Little endian. One byte of version, then regions until the end: number of the region (0: all
//! PoPs) u8, seats u32, and for each seat 14 bytes: number of the PoP u16 and its ballot: flags u8,
//! reason u8, `response_code` u16, `rtt_us` u32, `age_ms` u32. A row has one size whatever the votes say.
//!
//! Version 2, of a check under a monitor group, has the members between the version and the regions:
//! their number u8, and for each the id of its monitor (16 bytes) and flags u8. The ballot of a seat
//! is then followed by one of each member.

use super::{Ballot, BallotDetail, MemberBallots};
use crate::electorate::{Electorate, RegionSeats};
use crate::failure::FailureReason;
use crate::ids::MonitorId;
use crate::monitor_group::Voice;
use crate::pop::PopNo;
use crate::region::Region;
use crate::vote::VoteState;

const VERSION: u8 = 1;
const VERSION_OF_GROUPS: u8 = 2;
const POP_BYTES: usize = 2;
const BALLOT_BYTES: usize = 12;
const MEMBER_BYTES: usize = 17;

/// Flags of a member.
const MONITORING_ONLY: u8 = 1;
const MUST_BE_HEALTHY: u8 = 1 << 1;

/// Flags of a ballot; the two lowest bits are the vote's state.
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
    /// Under a monitor group: what its members say, by id of their monitors. At most 255.
    pub members: Vec<MemberBallots>,
}

/// Why bytes are no packed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed row of votes is damaged or of an unknown version")]
pub struct Damaged;

impl PackedVotes {
    /// The row as bytes. A seat without a ballot is written as missing; a ballot without a seat is left out.
    pub fn encode(&self) -> Vec<u8> {
        let regions = self.electorate.regions();
        let members = &self.members[..self.members.len().min(u8::MAX.into())];
        let seat_bytes = seat_bytes(members.len());
        let mut bytes = Vec::with_capacity(2 + MEMBER_BYTES * members.len() + 5 * regions.len() + seat_bytes * self.electorate.seats());
        if members.is_empty() {
            bytes.push(VERSION);
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "cut to 255")]
            bytes.extend_from_slice(&[VERSION_OF_GROUPS, members.len() as u8]);
            for member in members {
                write_voice(&mut bytes, member.voice);
            }
        }
        let mut seats = 0..;
        for region in regions {
            bytes.push(region.region().map_or(0, Region::number));
            #[expect(clippy::cast_possible_truncation, reason = "an electorate has at most 65,536 seats")]
            bytes.extend_from_slice(&(region.seats().len() as u32).to_le_bytes());
            for (pop, seat) in region.seats().iter().zip(&mut seats) {
                bytes.extend_from_slice(&pop.0.to_le_bytes());
                let of = |ballots: &[Ballot]| ballots.get(seat).copied().unwrap_or(Ballot::Missing);
                write_ballot(&mut bytes, of(&self.ballots));
                for member in members {
                    write_ballot(&mut bytes, of(&member.ballots));
                }
            }
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (voices, mut rest) = read_head(bytes)?;
        let mut members: Vec<MemberBallots> = voices.into_iter().map(|voice| MemberBallots { voice, ballots: Vec::new() }).collect();
        let (mut regions, mut ballots) = (Vec::new(), Vec::new());
        while let Some((&[number, a, b, c, d], after)) = rest.split_first_chunk() {
            let region = match number {
                0 => None,
                number => Some(Region::from_number(number).ok_or(Damaged)?),
            };
            let seat_bytes = seat_bytes(members.len());
            let length =
                usize::try_from(u32::from_le_bytes([a, b, c, d])).ok().and_then(|seats| seats.checked_mul(seat_bytes)).ok_or(Damaged)?;
            let (seats, after) = after.split_at_checked(length).ok_or(Damaged)?;
            let mut numbers = Vec::with_capacity(length / seat_bytes);
            for seat in seats.chunks_exact(seat_bytes) {
                let (pop, cast) = seat.split_first_chunk::<POP_BYTES>().ok_or(Damaged)?;
                numbers.push(PopNo(u16::from_le_bytes(*pop)));
                let (cast, _) = cast.as_chunks::<BALLOT_BYTES>();
                let (own, of_members) = cast.split_first().ok_or(Damaged)?;
                ballots.push(read_ballot(*own)?);
                for (member, cast) in members.iter_mut().zip(of_members) {
                    member.ballots.push(read_ballot(*cast)?);
                }
            }
            regions.push(RegionSeats::new(region, numbers));
            rest = after;
        }
        if rest.is_empty() { Ok(Self { electorate: Electorate::new(regions), ballots, members }) } else { Err(Damaged) }
    }
}

const fn seat_bytes(members: usize) -> usize {
    POP_BYTES + BALLOT_BYTES * (1 + members)
}

/// The members, and what follows them.
fn read_head(bytes: &[u8]) -> Result<(Vec<Voice>, &[u8]), Damaged> {
    match bytes {
        [VERSION, rest @ ..] => Ok((Vec::new(), rest)),
        // A row without members is written under the first version.
        [VERSION_OF_GROUPS, count, rest @ ..] if *count > 0 => {
            let (voices, rest) = rest.split_at_checked(usize::from(*count) * MEMBER_BYTES).ok_or(Damaged)?;
            let voices = voices.as_chunks::<MEMBER_BYTES>().0.iter().map(read_voice).collect::<Result<_, _>>()?;
            Ok((voices, rest))
        }
        _ => Err(Damaged),
    }
}

const fn flag(present: bool, flag: u8) -> u8 {
    if present { flag } else { 0 }
}

fn write_voice(bytes: &mut Vec<u8>, voice: Voice) {
    bytes.extend_from_slice(voice.monitor.as_bytes());
    bytes.push(flag(voice.monitoring_only, MONITORING_ONLY) | flag(voice.must_be_healthy, MUST_BE_HEALTHY));
}

fn read_voice(bytes: &[u8; MEMBER_BYTES]) -> Result<Voice, Damaged> {
    let (monitor, flags) = bytes.split_last_chunk::<1>().ok_or(Damaged)?;
    let [flags] = *flags;
    if flags & !(MONITORING_ONLY | MUST_BE_HEALTHY) != 0 {
        return Err(Damaged);
    }
    Ok(Voice {
        monitor: MonitorId::try_from(monitor).map_err(|_| Damaged)?,
        monitoring_only: flags & MONITORING_ONLY != 0,
        must_be_healthy: flags & MUST_BE_HEALTHY != 0,
    })
}

fn write_ballot(bytes: &mut Vec<u8>, ballot: Ballot) {
    let (flags, detail, age_ms) = match ballot {
        Ballot::Missing => (0, None, 0),
        Ballot::Cast { state, detail, age_ms } => (CAST | state.bits(), detail, age_ms),
    };
    let code = detail.and_then(|detail| detail.response_code);
    let rtt_us = detail.and_then(|detail| detail.rtt_us);
    bytes.push(flags | flag(detail.is_some(), DETAIL) | flag(code.is_some(), CODE) | flag(rtt_us.is_some(), RTT));
    bytes.push(detail.and_then(|detail| detail.reason).map_or(0, FailureReason::wire));
    bytes.extend_from_slice(&code.unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&rtt_us.unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(&age_ms.to_le_bytes());
}

fn read_ballot(bytes: [u8; BALLOT_BYTES]) -> Result<Ballot, Damaged> {
    let [flags, reason, code_low, code_high, r0, r1, r2, r3, a0, a1, a2, a3] = bytes;
    if flags & CAST == 0 {
        // A missing ballot has nothing to say; anything but zeros here was never written by us.
        return if bytes == [0; BALLOT_BYTES] { Ok(Ballot::Missing) } else { Err(Damaged) };
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
    Ok(Ballot::Cast { state: VoteState::from_bits(flags), detail, age_ms: u32::from_le_bytes([a0, a1, a2, a3]) })
}
