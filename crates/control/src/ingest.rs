//! Rounds and deltas into the register: refused, ordered, translated and kept. Memory only, and pure.

use std::sync::Arc;

use quorate_core::evidence::BallotDetail;
use quorate_core::pop::PopNo;
use quorate_core::quorum::Guards;
use quorate_core::register::{Stamp, accepts};
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::{Change, Chunk, Window};

use crate::bucket::{Role, Slot, Vote};
use crate::manifests::Manifest;

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
        let manifest = match self.understand(pop, stamp, chunk.manifest_version) {
            Ok(manifest) => manifest,
            Err(taken) => return taken,
        };
        let Ok(states) = chunk.states(manifest.checks.len()) else { return Taken::Malformed };
        let mut changed = false;
        for (position, state) in states.enumerate() {
            changed |= self.cast(pop, &manifest, position, state, None, now_ms);
        }
        self.took(pop, stamp);
        Taken::Kept { changed }
    }

    /// Changed votes of one bucket, all of one message.
    pub(crate) fn take_delta(&mut self, pop: PopNo, stamp: Stamp, entries: &[Change], now_ms: u32) -> Taken {
        let Some(version) = entries.first().map(|change| change.manifest_version) else { return Taken::Kept { changed: false } };
        let manifest = match self.understand(pop, stamp, version) {
            Ok(manifest) => manifest,
            Err(taken) => return taken,
        };
        let mut positions = Vec::with_capacity(entries.len());
        for change in entries {
            match usize::try_from(change.position) {
                Ok(position) if position < manifest.checks.len() && change.manifest_version == version => positions.push(position),
                Ok(_) | Err(_) => return Taken::Malformed,
            }
        }
        let mut changed = false;
        for (change, position) in entries.iter().zip(positions) {
            changed |= self.cast(pop, &manifest, position, change.detail.state, Some(told(change.detail)), now_ms);
        }
        self.took(pop, stamp);
        Taken::Kept { changed }
    }

    /// What stands behind votes that are held already. It changes no vote: where the state differs it is passed over.
    pub(crate) fn take_window(&mut self, pop: PopNo, stamp: Stamp, window: &Window) -> Taken {
        let held = self.pops.get(&pop).and_then(|held| held.stamp);
        // The window belongs to the message whose chunk was just taken, or to one after it.
        if held.is_none_or(|held| held.epoch != stamp.epoch || held.seq > stamp.seq) {
            return Taken::Old;
        }
        let manifest = match self.manifest_of(pop, window.manifest_version) {
            Ok(manifest) => manifest,
            Err(taken) => return taken,
        };
        let Ok(from) = usize::try_from(window.from) else { return Taken::Malformed };
        if from.checked_add(window.details.len()).is_none_or(|end| end > manifest.checks.len()) {
            return Taken::Malformed;
        }
        for (position, detail) in (from..).zip(&window.details) {
            let Some(index) = self.place_of(&manifest, position) else { continue };
            let cast_under = manifest.checks[position].config_gen;
            let Some(vote) = self.pops.get_mut(&pop).and_then(|held| held.votes.get_mut(index)?.as_mut()) else { continue };
            if vote.state == detail.state && vote.cast_under == cast_under {
                let news = told(*detail);
                let said = |detail: Option<BallotDetail>| detail.map(|detail| (detail.reason, detail.response_code));
                if said(vote.detail) != said(Some(news)) {
                    self.behind[index].changed = true;
                }
                vote.detail = Some(news);
            }
        }
        Taken::Kept { changed: false }
    }

    fn understand(&self, pop: PopNo, stamp: Stamp, version: u64) -> Result<Arc<Manifest>, Taken> {
        let manifest = self.manifest_of(pop, version)?;
        let held = self.pops.get(&pop).and_then(|held| held.stamp);
        if accepts(Guards::ALL, held, stamp) { Ok(manifest) } else { Err(Taken::Old) }
    }

    fn manifest_of(&self, pop: PopNo, version: u64) -> Result<Arc<Manifest>, Taken> {
        let Some(plan) = self.plan.as_ref().filter(|_| self.role != Role::Absent) else { return Err(Taken::NotServed) };
        let known = self.pops.get(&pop).and_then(|held| held.manifests.get(version));
        known.cloned().ok_or(if version > plan.config_seq { Taken::Ahead } else { Taken::UnknownVersion })
    }

    /// Where the plan in force has the check at a position of a manifest; `None` where it is gone.
    fn place_of(&self, manifest: &Manifest, position: usize) -> Option<usize> {
        let plan = self.plan.as_ref()?;
        plan.find(manifest.checks[position].id)
    }

    /// Keeps one vote; whether it is another one now.
    fn cast(
        &mut self,
        pop: PopNo,
        manifest: &Manifest,
        position: usize,
        state: VoteState,
        detail: Option<BallotDetail>,
        now_ms: u32,
    ) -> bool {
        let Some(index) = self.place_of(manifest, position) else { return false };
        let cast_under = manifest.checks[position].config_gen;
        // An older version may name a check that the PoP is not asked any more.
        if self.plan.as_ref().is_none_or(|plan| !plan.asks(pop, index)) {
            return false;
        }
        let Some(held) = self.pops.get_mut(&pop).and_then(|held| held.votes.get_mut(index)) else { return false };
        let same = held.filter(|held| held.state == state && held.cast_under == cast_under);
        let kept = detail.or(same.and_then(|same| same.detail));
        *held = Some(Vote { cast_under, state, heard_ms: now_ms, detail: kept });
        if same.is_none() {
            self.behind[index].changed = true;
        }
        same.is_none()
    }

    fn took(&mut self, pop: PopNo, stamp: Stamp) {
        if let Some(held) = self.pops.get_mut(&pop) {
            held.stamp = Some(stamp);
        }
    }
}

#[cfg(test)]
mod tests;
