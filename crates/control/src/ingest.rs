//! Rounds and deltas into the register: refused, ordered, translated and kept. Memory only, and pure.

use std::sync::Arc;

use quorate_core::evidence::BallotDetail;
use quorate_core::pop::PopNo;
use quorate_core::quorum::Guards;
use quorate_core::register::{Stamp, accepts};
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::{Change, Chunk, Window};

use crate::bucket::{Behind, PopVotes, Role, Slot, Vote};
use crate::manifests::Manifest;
use crate::plan::Plan;

/// What became of one bucket's part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Kept; `changed`: some vote is another one now, so that the verdict may be.
    Kept { changed: bool },
    /// Something newer is held already.
    Old,
    /// Cast under a version that is newer than what is known here.
    Ahead,
    /// Cast under a version that is not known any more.
    UnknownVersion,
    /// The bucket is not served here.
    NotServed,
    /// It does not fit the manifest that it names.
    Malformed,
}

fn told(detail: Detail) -> BallotDetail {
    BallotDetail { reason: detail.reason, response_code: detail.response_code, rtt_us: detail.rtt_us }
}

impl Slot {
    /// The whole state of the bucket as one PoP sees it.
    pub(crate) fn take_chunk(&mut self, pop: PopNo, stamp: Stamp, chunk: &Chunk, now_ms: u32) -> Taken {
        let mut register = match self.register_of(pop, chunk.manifest_version) {
            Ok(register) => register,
            Err(taken) => return taken,
        };
        if !register.accepts(stamp) {
            return Taken::Old;
        }
        let Ok(states) = chunk.states(register.manifest.checks.len()) else { return Taken::Malformed };
        let mut changed = false;
        for (position, state) in states.enumerate() {
            changed |= register.cast(position, state, None, now_ms);
        }
        Taken::Kept { changed }
    }

    /// Changed votes of one bucket, all of one message.
    pub(crate) fn take_delta(&mut self, pop: PopNo, stamp: Stamp, entries: &[Change], now_ms: u32) -> Taken {
        let Some(version) = entries.first().map(|change| change.manifest_version) else { return Taken::Kept { changed: false } };
        let mut register = match self.register_of(pop, version) {
            Ok(register) => register,
            Err(taken) => return taken,
        };
        let mut positions = Vec::with_capacity(entries.len());
        for change in entries {
            match usize::try_from(change.position) {
                Ok(position) if position < register.manifest.checks.len() && change.manifest_version == version => positions.push(position),
                Ok(_) | Err(_) => return Taken::Malformed,
            }
        }
        if !register.accepts(stamp) {
            return Taken::Old;
        }
        let mut changed = false;
        for (change, position) in entries.iter().zip(positions) {
            changed |= register.cast(position, change.detail.state, Some(told(change.detail)), now_ms);
        }
        Taken::Kept { changed }
    }

    /// What stands behind votes that are held already. It changes no vote: where the state differs it is passed over.
    pub(crate) fn take_window(&mut self, pop: PopNo, stamp: Stamp, window: &Window) -> Taken {
        let mut register = match self.register_of(pop, window.manifest_version) {
            Ok(register) => register,
            Err(taken) => return taken,
        };
        // The window belongs to the message whose chunk was just taken, or to one after it.
        if register.held.stamp.is_none_or(|held| held.epoch != stamp.epoch || held.seq > stamp.seq) {
            return Taken::Old;
        }
        let Ok(from) = usize::try_from(window.from) else { return Taken::Malformed };
        if from.checked_add(window.details.len()).is_none_or(|end| end > register.manifest.checks.len()) {
            return Taken::Malformed;
        }
        for (position, detail) in (from..).zip(&window.details) {
            register.tell(position, *detail);
        }
        Taken::Kept { changed: false }
    }

    /// Where votes of one PoP go that were cast under a version of its manifest.
    fn register_of(&mut self, pop: PopNo, version: u64) -> Result<Register<'_>, Taken> {
        let Some(plan) = self.plan.as_ref().filter(|_| self.role != Role::Absent) else { return Err(Taken::NotServed) };
        let unknown = if version > plan.config_seq { Taken::Ahead } else { Taken::UnknownVersion };
        let held = self.pops.get_mut(&pop).ok_or(unknown)?;
        let manifest = Arc::clone(held.manifests.get(version).ok_or(unknown)?);
        let is_in_force = version == plan.config_seq;
        let is_plan = is_in_force && manifest.checks.len() == plan.checks.len();
        Ok(Register { pop, plan, held, behind: &mut self.behind, manifest, is_in_force, is_plan })
    }
}

/// The votes of one PoP in one bucket, open for a message.
struct Register<'a> {
    pop: PopNo,
    plan: &'a Plan,
    held: &'a mut PopVotes,
    behind: &'a mut [Behind],
    /// Which the message counts its positions through.
    manifest: Arc<Manifest>,
    /// It is of the plan in force: the PoP is asked all of it.
    is_in_force: bool,
    /// It is all of the plan in force: positions are places.
    is_plan: bool,
}

impl Register<'_> {
    /// Whether a message is newer than what is held; it is what is held then.
    fn accepts(&mut self, stamp: Stamp) -> bool {
        let newer = accepts(Guards::ALL, self.held.stamp, stamp);
        if newer {
            self.held.stamp = Some(stamp);
        }
        newer
    }

    /// Where the plan in force has the check at a position; `None` where it has it no more, or the PoP is not asked it any more.
    fn place_of(&self, position: usize) -> Option<usize> {
        if self.is_plan {
            return Some(position);
        }
        let place = self.plan.find(self.manifest.checks[position].id)?;
        (self.is_in_force || self.plan.asks(self.pop, place)).then_some(place)
    }

    /// Keeps one vote; whether it is another one now.
    fn cast(&mut self, position: usize, state: VoteState, detail: Option<BallotDetail>, now_ms: u32) -> bool {
        let Some(place) = self.place_of(position) else { return false };
        let cast_under = self.manifest.checks[position].config_gen;
        let Some(held) = self.held.votes.get_mut(place) else { return false };
        let same = held.filter(|held| held.state == state && held.cast_under == cast_under);
        let kept = detail.or(same.and_then(|same| same.detail));
        *held = Some(Vote { cast_under, state, heard_ms: now_ms, detail: kept });
        self.behind[place].changed |= same.is_none();
        same.is_none()
    }

    /// Keeps what stands behind a vote, if it is that vote.
    fn tell(&mut self, position: usize, detail: Detail) {
        let Some(place) = self.place_of(position) else { return };
        let cast_under = self.manifest.checks[position].config_gen;
        let Some(vote) = self.held.votes.get_mut(place).and_then(Option::as_mut) else { return };
        if vote.state != detail.state || vote.cast_under != cast_under {
            return;
        }
        let news = told(detail);
        let said = |detail: Option<BallotDetail>| detail.map(|detail| (detail.reason, detail.response_code));
        self.behind[place].changed |= said(vote.detail) != said(Some(news));
        vote.detail = Some(news);
    }
}

#[cfg(test)]
mod tests;
