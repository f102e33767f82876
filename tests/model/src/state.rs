//! The state of the model's world: as small as it can be, because there are millions of it.

use quorate_core::register::Stamp;
use quorate_core::vote::{Published, Verdict, VoteState};

use crate::invariant::Broken;

/// PoPs of the region, all assigned.
pub const POPS: usize = 3;
/// Replicas of the control plane; workers send to both.
pub const REPLICAS: usize = 2;
/// Most messages that a world may send, and so the places for those of one PoP under way.
pub const MESSAGES_MAX: usize = 6;

/// The state of one worker as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    pub epoch: u8,
    pub seq: u8,
    pub config_gen: u8,
    pub vote: VoteState,
}

impl Message {
    pub fn stamp(self) -> Stamp {
        Stamp { epoch: self.epoch.into(), seq: self.seq.into() }
    }

    /// The same place in the order, with nothing to say.
    #[must_use]
    pub fn without_vote(self) -> Self {
        Self { config_gen: 0, vote: VoteState::Unknown, ..self }
    }
}

/// A worker, apart from what it would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    pub epoch: u8,
    /// Of the last message sent in this session.
    pub seq: u8,
    pub config_gen: u8,
    /// It has probed under this configuration since it started; before that it votes unknown.
    pub probed: bool,
}

/// What a replica's register holds of a PoP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    pub message: Message,
    /// The session lives.
    pub fresh: bool,
}

/// A PoP: its worker, what it would find if it probed, and where its messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pop {
    /// What the worker found when it last probed. What it would find now is open: anything.
    pub found: Verdict,
    pub worker: Worker,
    /// Configuration and vote last sent; kept only where that matters (a sparing worker).
    pub told: Option<(u8, VoteState)>,
    /// Really observed under the configuration in the database.
    pub observed_up: bool,
    pub observed_down: bool,
    /// Sent, oldest first, the free places last: each may arrive at any replica, at any time, any
    /// number of times. Never is a time too: there is no other loss.
    pub under_way: [Option<Message>; MESSAGES_MAX],
    pub held: [Option<Held>; REPLICAS],
}

/// A replica, apart from its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// Epoch under which it believes to own the bucket; 0: it does not.
    pub epoch: u8,
    /// Configuration that it knows; 0 while it owns nothing, for a takeover brings the newest.
    pub known: u8,
}

/// A change of the verdict, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event {
    pub seq: u8,
    pub old: Published,
    pub new: Published,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Database {
    /// Of the bucket's owner.
    pub epoch: u8,
    /// Configuration, of the check and of its bucket.
    pub config: u8,
    pub verdict: Published,
    pub verdict_seq: u8,
    pub last_event: Option<Event>,
    /// Who has committed since the last takeover.
    pub committer: Option<usize>,
}

/// What may still happen, or may happen at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// Messages that workers send.
    pub messages: u8,
    /// Times that a worker finds the origin otherwise than before.
    pub flips: u8,
    pub takeovers: u8,
    /// Crashes of a replica, which forgets its register.
    pub crashes: u8,
    /// Restarts of a worker.
    pub restarts: u8,
    pub config_changes: u8,
    /// Sessions that end while their worker lives on.
    pub expiries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub pops: [Pop; POPS],
    pub replicas: [Replica; REPLICAS],
    pub database: Database,
    pub left: Budget,
    pub broken: Broken,
}

impl State {
    /// Before anything was probed; replica 0 owns the bucket.
    pub fn initial(budget: Budget) -> Self {
        let pop = Pop {
            found: Verdict::Up,
            worker: Worker { epoch: 1, seq: 0, config_gen: 1, probed: false },
            told: None,
            observed_up: false,
            observed_down: false,
            under_way: [None; MESSAGES_MAX],
            held: [None; REPLICAS],
        };
        Self {
            pops: [pop; POPS],
            replicas: [Replica { epoch: 1, known: 1 }, Replica { epoch: 0, known: 0 }],
            database: Database { epoch: 1, config: 1, verdict: Published::Unknown, verdict_seq: 0, last_event: None, committer: None },
            left: budget,
            broken: Broken::default(),
        }
    }

    /// Who owns the bucket, and believes it.
    pub fn owner(&self) -> Option<usize> {
        (0..REPLICAS).find(|replica| self.replicas[*replica].epoch == self.database.epoch)
    }

    /// One of all the states that are the same but for the names of the PoPs and of the replicas.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.pops.sort_unstable();
        let mut other = self;
        other.replicas.reverse();
        for pop in &mut other.pops {
            pop.held.reverse();
        }
        other.database.committer = self.database.committer.map(|replica| REPLICAS - 1 - replica);
        other.pops.sort_unstable();
        self.min(other)
    }
}

impl Pop {
    /// Puts a message under way. `None` where no place is free.
    pub fn launch(&mut self, message: Message) -> Option<()> {
        *self.under_way.iter_mut().find(|place| place.is_none())? = Some(message);
        Some(())
    }

    /// Keeps of the messages under way what `keep` makes of them.
    pub fn sift(&mut self, keep: impl Fn(Message) -> Option<Message>) {
        let kept = self.under_way.into_iter().flatten().filter_map(keep);
        let mut places = [None; MESSAGES_MAX];
        for (place, message) in places.iter_mut().zip(kept) {
            *place = Some(message);
        }
        self.under_way = places;
    }
}
