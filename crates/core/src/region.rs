//! The 13 regions that probes may come from.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A region of the world. On the wire its code, `WNAM`.
/// Source: api-compatible region codes of `check_regions` and `region_pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Region {
    Wnam = 1,
    Enam = 2,
    Weu = 3,
    Eeu = 4,
    Nsam = 5,
    Ssam = 6,
    Oc = 7,
    Me = 8,
    Naf = 9,
    Saf = 10,
    Sas = 11,
    Seas = 12,
    Neas = 13,
}

/// Why a text is not a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a region code; the codes are WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, SAS, SEAS and NEAS")]
pub struct UnknownRegion(pub String);

impl Region {
    /// Every region, in the order in which the API lists them.
    pub const ALL: [Self; 13] = [
        Self::Wnam,
        Self::Enam,
        Self::Weu,
        Self::Eeu,
        Self::Nsam,
        Self::Ssam,
        Self::Oc,
        Self::Me,
        Self::Naf,
        Self::Saf,
        Self::Sas,
        Self::Seas,
        Self::Neas,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Wnam => "WNAM",
            Self::Enam => "ENAM",
            Self::Weu => "WEU",
            Self::Eeu => "EEU",
            Self::Nsam => "NSAM",
            Self::Ssam => "SSAM",
            Self::Oc => "OC",
            Self::Me => "ME",
            Self::Naf => "NAF",
            Self::Saf => "SAF",
            Self::Sas => "SAS",
            Self::Seas => "SEAS",
            Self::Neas => "NEAS",
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Wnam => "Western North America",
            Self::Enam => "Eastern North America",
            Self::Weu => "Western Europe",
            Self::Eeu => "Eastern Europe",
            Self::Nsam => "Northern South America",
            Self::Ssam => "Southern South America",
            Self::Oc => "Oceania",
            Self::Me => "Middle East",
            Self::Naf => "Northern Africa",
            Self::Saf => "Southern Africa",
            Self::Sas => "Southern Asia",
            Self::Seas => "Southeast Asia",
            Self::Neas => "Northeast Asia",
        }
    }

    /// The number under which packed rows keep the region: 1 to 13.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        Self::ALL.into_iter().find(|region| region.code() == text).ok_or_else(|| UnknownRegion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_number_lead_back_to_the_region() {
        for region in Region::ALL {
            assert_eq!(region.code().parse(), Ok(region));
            assert_eq!(Region::from_number(region.number()), Some(region));
            assert_eq!(serde_json::to_value(region).expect("a unit variant"), region.code());
        }
        assert_eq!(Region::from_number(0), None);
        assert!("weu".parse::<Region>().is_err());
    }
}
