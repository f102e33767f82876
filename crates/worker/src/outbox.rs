//! Which votes have changed since each session last told: a set, so a vote that changes twice is
//! told once, as it stands then.

use std::collections::{HashMap, HashSet, VecDeque};

use quorate_core::bucket::Bucket;
use quorate_core::ids::CheckId;

/// Room that an empty outbox keeps: more than one flood of changes is seldom, and some would be left of each.
const IDLE_ROOM_MAX: usize = 1_024;

/// A session of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

#[derive(Debug, Default)]
pub(crate) struct Outboxes {
    open: HashMap<SessionId, Outbox>,
    next: u64,
}

/// At most one entry a check, the longest waiting first.
#[derive(Debug, Default)]
struct Outbox {
    order: VecDeque<(Bucket, CheckId)>,
    waiting: HashSet<(Bucket, CheckId)>,
}

impl Outboxes {
    pub(crate) fn open(&mut self) -> SessionId {
        let session = SessionId(self.next);
        self.next += 1;
        self.open.insert(session, Outbox::default());
        session
    }

    pub(crate) fn close(&mut self, session: SessionId) {
        self.open.remove(&session);
    }

    pub(crate) fn put(&mut self, bucket: Bucket, check: CheckId) {
        for outbox in self.open.values_mut() {
            if outbox.waiting.insert((bucket, check)) {
                outbox.order.push_back((bucket, check));
            }
        }
    }

    pub(crate) fn take(&mut self, session: SessionId) -> Option<(Bucket, CheckId)> {
        let outbox = self.open.get_mut(&session)?;
        let first = outbox.order.pop_front()?;
        outbox.waiting.remove(&first);
        if outbox.order.is_empty() && outbox.order.capacity() > IDLE_ROOM_MAX {
            *outbox = Outbox::default();
        }
        Some(first)
    }

    pub(crate) fn is_waiting(&self, session: SessionId) -> bool {
        self.open.get(&session).is_some_and(|outbox| !outbox.order.is_empty())
    }
}
