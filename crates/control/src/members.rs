//! The heartbeat: telling the others that this replica lives, and learning who else does. It has a
//! database connection of its own, so that nothing else can cost ownership.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ids::ReplicaId;
use quorate_core::timings::ms;
use quorate_store::verdicts::{Member, VerdictStore};
use tokio::time::Instant;

use crate::error::chain;
use crate::reconcile::Rhythm;
use crate::registry::Registry;
use crate::shared::Shared;

/// The replicas as this one last heard of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    pub(crate) members: Vec<Member>,
    /// When a heartbeat last succeeded.
    heard: Option<Instant>,
    /// Since when every heartbeat has succeeded.
    steady_since: Option<Instant>,
    /// Since when each other replica has been seen alive without a break.
    alive_since: HashMap<ReplicaId, Instant>,
}

impl Membership {
    /// After a heartbeat succeeded.
    fn after_success(&self, members: Vec<Member>, now: Instant) -> Self {
        let since = |member: &Member| (member.id, self.alive_since.get(&member.id).copied().unwrap_or(now));
        let alive_since = members.iter().filter(|member| member.alive).map(since).collect();
        Self { members, heard: Some(now), steady_since: Some(self.steady_since.unwrap_or(now)), alive_since }
    }

    /// After one failed.
    fn after_failure(&self) -> Self {
        Self { steady_since: None, ..self.clone() }
    }

    /// Whether the last success is younger than `limit`.
    pub(crate) fn is_current(&self, limit: Duration) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < limit)
    }

    /// Whether every heartbeat of the last `grace` succeeded. Before that nobody may be thought dead:
    /// where the database was away, everybody looks so.
    pub(crate) fn is_steady(&self, grace: Duration) -> bool {
        self.steady_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// How long a replica has been alive without a break, as seen from here.
    pub(crate) fn alive_for(&self, replica: ReplicaId) -> Option<Duration> {
        self.alive_since.get(&replica).map(Instant::elapsed)
    }
}

/// Beats until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let timings = &shared.timings;
    let dead_after = ms(timings.replica_dead_ms);
    let mut rhythm = Rhythm::steady(shared.tasks.stop(), ms(timings.replica_heartbeat_ms));
    let mut failing = false;
    while rhythm.next().await {
        let beat = shared.verdicts.heartbeat(&shared.me, shared.sessions.open(), dead_after);
        // One that takes longer than the others wait is as good as none.
        let answer = tokio::time::timeout(dead_after, beat).await;
        let before = shared.membership.load();
        let problem = match answer {
            Ok(Ok(members)) => {
                let changed = before.members != members || before.heard.is_none();
                shared.membership.store(Arc::new(before.after_success(members, Instant::now())));
                if changed {
                    shared.follow.poke();
                }
                if failing {
                    tracing::info!("the heartbeat reaches the database again");
                }
                failing = false;
                continue;
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} ms", timings.replica_dead_ms),
        };
        shared.membership.store(Arc::new(before.after_failure()));
        metrics::counter!("quorate_heartbeat_failures_total").increment(1);
        if !failing {
            tracing::warn!(
                error = problem,
                "the heartbeat does not reach the database; verdicts are kept and nothing is published meanwhile"
            );
        }
        failing = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(8);

    fn member(number: u8, alive: bool) -> Member {
        Member { id: ReplicaId::from_bytes([number; 16]), url: String::new(), alive, sessions: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failed_heartbeat_starts_the_grace_time_again() {
        let mut membership = Membership::default();
        assert!(!membership.is_current(GRACE) && !membership.is_steady(GRACE));
        let beat = |membership: &Membership| membership.after_success(vec![member(1, true)], Instant::now());
        for _ in 0..5 {
            membership = beat(&membership);
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(membership.is_steady(GRACE) && membership.is_current(GRACE));
        membership = membership.after_failure();
        assert!(!membership.is_steady(GRACE) && membership.is_current(GRACE));
        membership = beat(&membership);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(!membership.is_steady(GRACE));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(membership.is_steady(GRACE) && !membership.is_current(GRACE), "the last one is old by now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_is_known_since_it_was_last_seen_to_come_alive() {
        let other = member(2, true).id;
        let mut membership = Membership::default().after_success(vec![member(2, true)], Instant::now());
        tokio::time::advance(GRACE).await;
        membership = membership.after_success(vec![member(2, true)], Instant::now());
        assert_eq!(membership.alive_for(other), Some(GRACE));
        membership = membership.after_success(vec![member(2, false)], Instant::now());
        assert_eq!(membership.alive_for(other), None);
        membership = membership.after_success(vec![member(2, true)], Instant::now());
        assert_eq!(membership.alive_for(other), Some(Duration::ZERO));
    }
}
