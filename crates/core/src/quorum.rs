//! Votes → verdict: a majority of a region's assigned PoPs decides the region, a majority of the
//! regions decides the check. Ties and missing votes decide nothing. Source: docs of the vendor,
//! "Health: global and regional"; ties and silence are our own rule (a change needs a majority for
//! the new state).

use smallvec::{SmallVec, smallvec};

use crate::electorate::Electorate;
use crate::vote::{Published, Verdict, VoteState};

/// The safety rules, each of which the model drops once to prove that it would notice.
/// Production uses [`Guards::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one rule that can be dropped alone")]
pub struct Guards {
    /// A commit needs the bucket's epoch to be mine.
    pub fence_epoch: bool,
    /// A commit needs the bucket's `config_seq` to be the one that I know.
    pub fence_config: bool,
    /// A commit needs a verdict that differs from the published one.
    pub only_changes: bool,
    /// The majority is of the assigned voters, not of the received votes.
    pub majority_of_assigned: bool,
    /// A vote counts only under the configuration that it was cast under.
    pub compare_generation: bool,
    /// An older message never replaces a newer one.
    pub compare_sequence: bool,
    /// A restarted worker takes a higher epoch.
    pub raise_epoch: bool,
    /// A new session starts with the full state, whatever was sent before.
    pub resend_unchanged: bool,
}

impl Guards {
    pub const ALL: Self = Self {
        fence_epoch: true,
        fence_config: true,
        only_changes: true,
        majority_of_assigned: true,
        compare_generation: true,
        compare_sequence: true,
        raise_epoch: true,
        resend_unchanged: true,
    };
}

/// Strict majority for one side of `n` assigned voters, else nothing.
#[must_use]
pub const fn majority(up: u32, down: u32, n: u32) -> Option<Verdict> {
    if 2 * up > n {
        Some(Verdict::Up)
    } else if 2 * down > n {
        Some(Verdict::Down)
    } else {
        None
    }
}

/// Votes of one check, one seat a voter, in the order of its [`Electorate`]. Only votes that count
/// are in it (see [`crate::register::counts`]); everything else is missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ballots {
    up: SmallVec<[u64; 1]>,
    down: SmallVec<[u64; 1]>,
}

impl Ballots {
    /// All votes missing.
    pub fn missing(seats: usize) -> Self {
        let words = seats.div_ceil(64).max(1);
        Self { up: smallvec![0; words], down: smallvec![0; words] }
    }

    /// Writes one seat. `Unknown` and `ConfigError` abstain, which is the same as missing.
    pub fn set(&mut self, seat: usize, state: VoteState) {
        let (word, bit) = (seat / 64, 1 << (seat % 64));
        self.up[word] &= !bit;
        self.down[word] &= !bit;
        match state {
            VoteState::Up => self.up[word] |= bit,
            VoteState::Down => self.down[word] |= bit,
            VoteState::Unknown | VoteState::ConfigError => {}
        }
    }

    /// Votes up and down in `len` seats from `from`.
    fn count(&self, from: usize, len: usize) -> (u32, u32) {
        (ones(&self.up, from, len), ones(&self.down, from, len))
    }
}

/// Ones among `len` bits from bit `from`.
fn ones(words: &[u64], from: usize, len: usize) -> u32 {
    let (mut at, end, mut sum) = (from, from + len, 0);
    while at < end {
        let (word, bit) = (at / 64, at % 64);
        let take = (64 - bit).min(end - at);
        let mask = if take == 64 { u64::MAX } else { (1 << take) - 1 };
        sum += (words[word] >> bit & mask).count_ones();
        at += take;
    }
    sum
}

/// How a region stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionTally {
    /// Assigned voters; 0 for a region without workers, which still counts among the regions.
    pub assigned: u32,
    pub up: u32,
    pub down: u32,
    pub verdict: Option<Verdict>,
}

impl RegionTally {
    pub const fn missing(&self) -> u32 {
        self.assigned - self.up - self.down
    }

    /// Fewest voters that would have to change to `verdict` for the region to say it. `None`: no voters, never.
    const fn votes_short_of(&self, verdict: Verdict) -> Option<u32> {
        if self.assigned == 0 {
            return None;
        }
        let votes = match verdict {
            Verdict::Up => self.up,
            Verdict::Down => self.down,
        };
        Some((self.assigned / 2 + 1).saturating_sub(votes))
    }
}

/// The tally of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// In the order of the electorate.
    pub regions: SmallVec<[RegionTally; 4]>,
    /// `None`: a tie, or votes are missing. Nothing published changes.
    pub verdict: Option<Verdict>,
}

/// What would turn a published verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flip {
    pub to: Verdict,
    /// Fewest PoPs that would have to change to the opposite vote.
    pub votes: u32,
    /// Fewest regions that would have to change.
    pub regions: u32,
}

fn region_tally(guards: Guards, up: u32, down: u32, assigned: u32) -> RegionTally {
    let of = if guards.majority_of_assigned { assigned } else { up + down };
    RegionTally { assigned, up, down, verdict: majority(up, down, of) }
}

/// Decides one check, without the evidence: the hot path.
#[must_use]
pub fn decide(guards: Guards, electorate: &Electorate, ballots: &Ballots) -> Option<Verdict> {
    if guards.majority_of_assigned
        && let Some(small) = electorate.small_regions()
    {
        #[expect(clippy::cast_possible_truncation, reason = "at most 13 regions")]
        let regions = electorate.regions().len() as u32;
        return majority(small.with_majority(ballots.up[0]), small.with_majority(ballots.down[0]), regions);
    }
    decide_one_by_one(guards, electorate, ballots)
}

/// The same for electorates of any shape, region by region.
fn decide_one_by_one(guards: Guards, electorate: &Electorate, ballots: &Ballots) -> Option<Verdict> {
    let (mut from, mut up, mut down, mut heard) = (0, 0, 0, 0);
    for region in electorate.regions() {
        let seats = region.seats().len();
        let (votes_up, votes_down) = ballots.count(from, seats);
        from += seats;
        heard += u32::from(votes_up + votes_down > 0);
        #[expect(clippy::cast_possible_truncation, reason = "an electorate has at most 65,536 seats")]
        match region_tally(guards, votes_up, votes_down, seats as u32).verdict {
            Some(Verdict::Up) => up += 1,
            Some(Verdict::Down) => down += 1,
            None => {}
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 13 regions")]
    let regions = if guards.majority_of_assigned { electorate.regions().len() as u32 } else { heard };
    majority(up, down, regions)
}

/// Decides one check and tells how: per region, and in all. Agrees with [`decide`].
#[must_use]
pub fn tally(electorate: &Electorate, ballots: &Ballots) -> Tally {
    let mut from = 0;
    let regions = electorate
        .regions()
        .iter()
        .map(|region| {
            let seats = region.seats().len();
            let (up, down) = ballots.count(from, seats);
            from += seats;
            #[expect(clippy::cast_possible_truncation, reason = "an electorate has at most 65,536 seats")]
            region_tally(Guards::ALL, up, down, seats as u32)
        })
        .collect();
    let mut tally = Tally { regions, verdict: None };
    tally.verdict = majority(tally.saying(Verdict::Up), tally.saying(Verdict::Down), tally.region_count());
    tally
}

impl Tally {
    #[expect(clippy::cast_possible_truncation, reason = "at most 13 regions")]
    fn region_count(&self) -> u32 {
        self.regions.len() as u32
    }

    fn saying(&self, verdict: Verdict) -> u32 {
        self.regions.iter().map(|region| u32::from(region.verdict == Some(verdict))).sum()
    }

    /// Whether missing votes make a majority impossible either way: in too few regions a majority of
    /// the assigned voters is present, whatever they say.
    pub fn quorum_lost(&self) -> bool {
        let can_decide = |region: &&RegionTally| 2 * (region.up + region.down) > region.assigned;
        2 * self.regions.iter().filter(can_decide).count() <= self.regions.len()
    }

    /// What would turn `published`: the cheapest set of voters that makes a majority of regions say
    /// the opposite. Before the first majority: the cheapest way to any verdict. `None`: impossible,
    /// because too many regions have no workers.
    pub fn flip(&self, published: Published) -> Option<Flip> {
        let to = |verdict: Verdict| {
            let mut costs: SmallVec<[u32; 16]> = self.regions.iter().filter_map(|region| region.votes_short_of(verdict)).collect();
            costs.sort_unstable();
            let needed = self.regions.len() / 2 + 1;
            let cheapest = costs.get(..needed)?;
            let regions = cheapest.iter().map(|cost| u32::from(*cost > 0)).sum();
            Some(Flip { to: verdict, votes: cheapest.iter().sum(), regions })
        };
        match published {
            Published::Up => to(Verdict::Down),
            Published::Down => to(Verdict::Up),
            Published::Unknown => [to(Verdict::Up), to(Verdict::Down)].into_iter().flatten().min_by_key(|flip| flip.votes),
        }
    }
}

/// What a committer knows, beside what the database says at that instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Epoch under which the bucket is owned.
    pub epoch: u64,
    /// Configuration of the bucket.
    pub config_seq: u64,
}

/// Whether a verdict may be published: I still own the bucket, under the configuration the votes
/// were cast under, and the verdict is a change. The store's transaction keeps the same rule.
#[must_use]
pub fn may_commit(guards: Guards, mine: Fence, stored: Fence, published: Published, verdict: Verdict) -> bool {
    (!guards.fence_epoch || mine.epoch == stored.epoch)
        && (!guards.fence_config || mine.config_seq == stored.config_seq)
        && (!guards.only_changes || published != Published::from(verdict))
}

#[cfg(test)]
mod tests;
