//! Who votes: the PoPs assigned to a bucket, per region, by rendezvous hash, sticky while live.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::bucket::Bucket;
use crate::pop::{Pop, PopNo};
use crate::region::Region;

/// Seats of a region where at least that many PoPs are registered; with fewer, one seat.
pub const SEATS_PER_REGION: usize = 3;

/// The seats of one region. `region` is `None` for the one list of all registered PoPs that
/// `check_regions: null` means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegionSeats {
    region: Option<Region>,
    seats: Vec<PopNo>,
}

impl RegionSeats {
    pub fn new(region: Option<Region>, seats: Vec<PopNo>) -> Self {
        Self { region, seats }
    }

    pub const fn region(&self) -> Option<Region> {
        self.region
    }

    pub fn seats(&self) -> &[PopNo] {
        &self.seats
    }
}

/// Everyone who may vote on a check, region by region. Seat numbers count through the regions in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub struct Electorate {
    regions: Vec<RegionSeats>,
    /// Follows from `regions`.
    small: Option<SmallRegions>,
}

/// An electorate as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Electorate")]
struct Listed {
    regions: Vec<RegionSeats>,
}

impl From<Listed> for Electorate {
    fn from(listed: Listed) -> Self {
        Self::new(listed.regions)
    }
}

impl From<Electorate> for Listed {
    fn from(electorate: Electorate) -> Self {
        Self { regions: electorate.regions }
    }
}

impl Default for Electorate {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// Where the regions of an electorate begin, as bits of one word of seats: all regions can then be
/// counted at once. Only for electorates of at most 64 seats with none, one or three a region, which
/// is what [`seat_region`] gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SmallRegions {
    /// The seat of each region of one.
    ones: u64,
    /// The first seat of each region of three.
    threes: u64,
}

impl SmallRegions {
    fn of(regions: &[RegionSeats]) -> Option<Self> {
        let (mut small, mut from) = (Self::default(), 0);
        for region in regions {
            let seats = region.seats.len();
            if from + seats > 64 {
                return None;
            }
            match seats {
                0 => {}
                1 => small.ones |= 1 << from,
                SEATS_PER_REGION => small.threes |= 1 << from,
                _ => return None,
            }
            from += seats;
        }
        Some(small)
    }

    /// Regions in which a majority of the seats is among `votes`, one bit a seat.
    pub(crate) const fn with_majority(self, votes: u64) -> u32 {
        let (second, third) = (votes >> 1, votes >> 2);
        let two_of_three = (votes & second) | (votes & third) | (second & third);
        ((votes & self.ones) | (two_of_three & self.threes)).count_ones()
    }
}

impl Electorate {
    pub fn new(regions: Vec<RegionSeats>) -> Self {
        let small = SmallRegions::of(&regions);
        Self { regions, small }
    }

    pub(crate) const fn small_regions(&self) -> Option<SmallRegions> {
        self.small
    }

    pub fn regions(&self) -> &[RegionSeats] {
        &self.regions
    }

    /// Number of seats in all.
    pub fn seats(&self) -> usize {
        self.regions.iter().map(|region| region.seats.len()).sum()
    }

    /// The seat of a PoP, if it has one.
    pub fn seat_of(&self, pop: PopNo) -> Option<usize> {
        self.regions.iter().flat_map(|region| &region.seats).position(|seat| *seat == pop)
    }
}

/// Which regions a pool asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CheckRegions {
    /// `check_regions: null`: all registered PoPs, one level.
    AllPops,
    /// The regions, sorted, without repeats; `ALL_REGIONS` is all 13.
    Regions(Vec<Region>),
}

/// Weight of a PoP for a bucket: the same on every replica and for ever.
fn weight(bucket: Bucket, pop: &Pop) -> u64 {
    let mut key = Vec::with_capacity(2 + pop.code.as_str().len());
    key.extend_from_slice(&bucket.number().to_le_bytes());
    key.extend_from_slice(pop.code.as_str().as_bytes());
    xxh3_64(&key)
}

/// Seats one region of one bucket.
///
/// `registered` are the PoPs with an unrevoked token (other regions are passed over), `dead` tells
/// of a PoP that has been silent for longer than the grace time, `held` is who sits there now.
/// Three seats where at least three are registered, else one. Silence never shrinks the number; a
/// seat moves only from a PoP that is dead or no longer registered to a live registered one.
#[must_use]
pub fn seat_region(bucket: Bucket, region: Region, registered: &[Pop], dead: impl Fn(PopNo) -> bool, held: &[PopNo]) -> Vec<PopNo> {
    let mut candidates: Vec<&Pop> = registered.iter().filter(|pop| pop.region == region).collect();
    candidates.sort_by_key(|pop| (std::cmp::Reverse(weight(bucket, pop)), pop.no));
    let seats = match candidates.len() {
        0 => 0,
        1 | 2 => 1,
        _ => SEATS_PER_REGION,
    };
    let is_candidate = |no: PopNo| candidates.iter().any(|pop| pop.no == no);
    // Holders first, the living before the dead; then the others by weight, the living before the dead.
    let mut holders: Vec<PopNo> = Vec::with_capacity(held.len());
    for no in held.iter().copied().filter(|no| is_candidate(*no)) {
        if !holders.contains(&no) {
            holders.push(no);
        }
    }
    let others = candidates.iter().map(|pop| pop.no).filter(|no| !holders.contains(no));
    let mut order: Vec<(bool, bool, PopNo)> = Vec::with_capacity(candidates.len());
    order.extend(holders.iter().map(|no| (dead(*no), false, *no)));
    order.extend(others.map(|no| (dead(no), true, no)));
    // A dead holder keeps its seat unless a live PoP takes it, so among the dead holders come first too.
    order.sort_by_key(|(dead, newcomer, _)| (*dead, *newcomer));
    let mut chosen: Vec<PopNo> = order.into_iter().take(seats).map(|(_, _, no)| no).collect();
    chosen.sort_unstable();
    chosen
}

/// The electorate of a check from the seats of its bucket. `seats_of` answers for one region;
/// `registered` are all registered PoPs.
#[must_use]
pub fn electorate(check_regions: &CheckRegions, registered: &[Pop], seats_of: impl Fn(Region) -> Vec<PopNo>) -> Electorate {
    match check_regions {
        CheckRegions::AllPops => {
            let mut all: Vec<PopNo> = registered.iter().map(|pop| pop.no).collect();
            all.sort_unstable();
            Electorate::new(vec![RegionSeats::new(None, all)])
        }
        CheckRegions::Regions(regions) => {
            Electorate::new(regions.iter().map(|region| RegionSeats::new(Some(*region), seats_of(*region))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
