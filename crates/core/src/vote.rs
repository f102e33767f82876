//! A vote: what one PoP says of one check, and the detail behind it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::FailureReason;

/// The state of one check in one worker, as it stands in a round: 2 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum VoteState {
    /// Not probed under this configuration, or the last finished probe is too old. Abstains.
    #[default]
    Unknown = 0b00,
    Up = 0b01,
    Down = 0b10,
    /// The worker cannot run the check. Abstains, and says why.
    ConfigError = 0b11,
}

impl VoteState {
    /// Reads the two lowest bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b01 => Self::Up,
            0b10 => Self::Down,
            0b11 => Self::ConfigError,
            _ => Self::Unknown,
        }
    }

    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// What stands behind a vote: 8 bytes on the wire, up or down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detail {
    pub state: VoteState,
    pub reason: Option<FailureReason>,
    /// HTTP status or SMTP reply code, if one was read.
    pub response_code: Option<u16>,
    /// Round trip of the probe in microseconds; `None` where none was measured.
    pub rtt_us: Option<u32>,
}

impl Detail {
    /// Little endian: reason u8, state u8, `response_code` u16, `rtt_us` u32; 0 stands for none.
    pub fn pack(self) -> u64 {
        let reason = self.reason.map_or(0, FailureReason::wire);
        u64::from(reason)
            | u64::from(self.state.bits()) << 8
            | u64::from(self.response_code.unwrap_or(0)) << 16
            | u64::from(self.rtt_us.unwrap_or(0)) << 32
    }

    /// Reads what [`pack`](Self::pack) wrote. `None` for a reason or state that does not exist.
    #[expect(clippy::cast_possible_truncation, reason = "each field is cut to its own width")]
    pub fn unpack(packed: u64) -> Option<Self> {
        let reason = match packed as u8 {
            0 => None,
            number => Some(FailureReason::from_wire(number)?),
        };
        let state = (packed >> 8) as u8;
        if state > 0b11 {
            return None;
        }
        Some(Self {
            state: VoteState::from_bits(state),
            reason,
            response_code: Some((packed >> 16) as u16).filter(|code| *code != 0),
            rtt_us: Some((packed >> 32) as u32).filter(|rtt| *rtt != 0),
        })
    }
}

/// The verdict as published: what steering and the API go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Published {
    /// Before the first majority, and never again after it.
    #[default]
    Unknown = 0,
    Up = 1,
    Down = 2,
}

impl Published {
    /// `true` up, `false` down, `None` before the first majority.
    pub const fn healthy(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Up => Some(true),
            Self::Down => Some(false),
        }
    }

    pub const fn number(self) -> i16 {
        self as i16
    }

    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Up),
            2 => Some(Self::Down),
            _ => None,
        }
    }
}

/// What a majority decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Up,
    Down,
}

impl Verdict {
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl From<Verdict> for Published {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Down => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_detail_reads_back_and_nonsense_is_refused() {
        let detail = Detail {
            state: VoteState::Down,
            reason: Some(FailureReason::ResponseCodeMismatch),
            response_code: Some(503),
            rtt_us: Some(12_100),
        };
        assert_eq!(Detail::unpack(detail.pack()), Some(detail));
        assert_eq!(Detail::unpack(0), Some(Detail::default()));
        assert_eq!(Detail::unpack(19), None, "no reason has the number 19");
        assert_eq!(Detail::unpack(4 << 8), None, "a state has two bits");
    }
}
