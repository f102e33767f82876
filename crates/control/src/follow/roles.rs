//! This replica's part in each bucket: claims, hand-overs, and the map that workers get.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::ids::ReplicaId;
use quorate_core::timings::ms;
use quorate_proto::convert::{BucketMap, Replica as MapReplica};
use quorate_store::verdicts::{Member, Ownership, VerdictStore};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::bucket::Role;
use crate::error::{CallError, bounded};
use crate::members::Membership;
use crate::ownership::{is_well_connected, plan_claims, plan_rebalance, plan_release, standby};
use crate::registry::Registry;
use crate::shared::Shared;

/// Spacing of hand-overs, for whatever reason.
const HAND_OVER_EVERY: Duration = Duration::from_mins(1);
/// Bits of a map's version below the sum of the epochs: for changes that move no epoch.
const MAP_CHANGE_BITS: u32 = 20;

/// What the loop remembers from pass to pass.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// When the buckets of the pass before that others come first for may be taken.
    jitter_ends: Option<Instant>,
    handed_over: Option<Instant>,
    /// Map changes that moved no epoch.
    map_changes: u64,
}

impl Roles {
    /// Answers who owns what after the claims of this pass.
    pub(super) async fn pass<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>) -> Result<Vec<Ownership>, CallError> {
        let mut ownerships = bounded(shared.verdicts.ownerships()).await?;
        let membership = shared.membership.load_full();
        // Who does not know the living claims nothing and gives nothing away.
        if membership.is_current(ms(shared.timings.replica_dead_ms)) {
            self.claim(shared, &membership, &mut ownerships).await?;
            self.hand_over(shared, &membership, &mut ownerships).await?;
        }
        take_roles(shared, &membership.members, &ownerships);
        Ok(ownerships)
    }

    async fn claim<S: VerdictStore, R: Registry>(
        &mut self,
        shared: &Shared<S, R>,
        membership: &Membership,
        ownerships: &mut [Ownership],
    ) -> Result<(), CallError> {
        let dead_after = ms(shared.timings.replica_dead_ms);
        let may_bury = membership.is_steady(dead_after);
        let claims = plan_claims(shared.me.id, expected_workers(shared), &membership.members, ownerships, may_bury);
        let mut wanted = claims.now;
        match self.jitter_ends {
            _ if claims.later.is_empty() => self.jitter_ends = None,
            Some(end) if end <= Instant::now() => {
                self.jitter_ends = None;
                wanted.extend(claims.later);
            }
            Some(_) => {}
            None => {
                let jitter = rand::rng().random_range(0..=shared.timings.claim_jitter_ms);
                self.jitter_ends = Some(Instant::now() + ms(jitter));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let taken = bounded(shared.verdicts.claim(shared.me.id, &wanted, dead_after)).await?;
        tracing::info!(buckets = taken.len(), "this replica took over buckets that nobody alive owned");
        metrics::counter!("quorate_buckets_claimed_total").increment(taken.len().try_into().unwrap_or(u64::MAX));
        for row in taken {
            if let Some(known) = ownerships.iter_mut().find(|known| known.bucket == row.bucket) {
                *known = row;
            }
        }
        Ok(())
    }

    /// Gives buckets to whom they belong, or to whom the workers speak; at most once a minute.
    async fn hand_over<S: VerdictStore, R: Registry>(
        &mut self,
        shared: &Shared<S, R>,
        membership: &Membership,
        ownerships: &mut [Ownership],
    ) -> Result<(), CallError> {
        if self.handed_over.is_some_and(|last| last.elapsed() < HAND_OVER_EVERY) || shared.queue.is_overloaded() {
            return Ok(());
        }
        let me = shared.me.id;
        let sessions = shared.sessions.open();
        let expected = expected_workers(shared);
        let lease = ms(shared.timings.session_lease_ms);
        // The workers have had the time of a lease to come to a replica that has just started.
        let release =
            plan_release(me, sessions, expected, &membership.members).filter(|_| membership.alive_for(me).is_some_and(|age| age >= lease));
        let moves = if let Some(to) = release {
            let mine: Vec<Bucket> = ownerships.iter().filter(|row| row.owner == Some(me)).map(|row| row.bucket).collect();
            if !mine.is_empty() {
                tracing::warn!(sessions, workers.expected = expected, replica.id = %to, "this replica sees too few workers and gives its buckets to one that sees more");
            }
            vec![(to, mine)]
        } else {
            // Its votes are warm when the workers have known it for a lease.
            let is_ready = |member: &Member| {
                let warm = membership.alive_for(member.id).is_some_and(|age| age >= lease);
                member.alive && warm && is_well_connected(member, expected, &membership.members)
            };
            plan_rebalance(me, &membership.members, ownerships, is_ready)
        };
        for (to, buckets) in moves.into_iter().filter(|(_, buckets)| !buckets.is_empty()) {
            bounded(shared.verdicts.hand_over(me, Some(to), &buckets)).await?;
            self.handed_over = Some(Instant::now());
            tracing::info!(buckets = buckets.len(), replica.id = %to, "buckets were handed over");
            metrics::counter!("quorate_buckets_handed_over_total").increment(buckets.len().try_into().unwrap_or(u64::MAX));
            let gone: HashSet<Bucket> = buckets.into_iter().collect();
            for row in ownerships.iter_mut().filter(|row| gone.contains(&row.bucket)) {
                row.owner = Some(to);
                row.fence.epoch += 1;
            }
        }
        Ok(())
    }

    /// Tells workers where to send their votes, if that changed.
    pub(super) fn publish_map<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>, ownerships: &[Ownership]) {
        let membership = shared.membership.load_full();
        let members = &membership.members;
        // Epochs only grow, and every replica reads the same ones: so of two maps the newer has the higher sum.
        let epochs: u64 = ownerships.iter().map(|row| row.fence.epoch).sum();
        let changed = shared.map.send_if_modified(|held| {
            let version = |changes: u64| (epochs << MAP_CHANGE_BITS) + changes;
            let next = map(version(self.map_changes), shared.me.id, &shared.me.url, members, ownerships);
            match held {
                Some(held) if same_map(held, &next) => return false,
                Some(held) if held.version() >= next.version() => {
                    self.map_changes += 1;
                    *held = Arc::new(map(version(self.map_changes), shared.me.id, &shared.me.url, members, ownerships));
                }
                held => *held = Some(Arc::new(next)),
            }
            true
        });
        if changed {
            shared.manifests.send_replace(());
        }
    }
}

/// Workers that should have a session here.
fn expected_workers<S, R>(shared: &Shared<S, R>) -> u32 {
    u32::try_from(shared.registered.load().len()).unwrap_or(u32::MAX)
}

fn take_roles<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, members: &[Member], ownerships: &[Ownership]) {
    let me = shared.me.id;
    let (mut owned, mut warm) = (0_u32, 0_u32);
    for row in ownerships {
        let role = if row.owner == Some(me) {
            owned += 1;
            Role::Owner { epoch: row.fence.epoch }
        } else if standby(row.bucket, row.owner, members) == Some(me) {
            warm += 1;
            Role::Standby
        } else {
            Role::Absent
        };
        shared.board.lock(row.bucket).take_role(role);
    }
    metrics::gauge!("quorate_buckets_owned").set(owned);
    metrics::gauge!("quorate_buckets_standby").set(warm);
}

fn map(version: u64, me: ReplicaId, my_url: &str, members: &[Member], ownerships: &[Ownership]) -> BucketMap {
    let mut replicas: Vec<MapReplica> =
        members.iter().filter(|member| member.alive).map(|member| MapReplica { id: member.id, url: member.url.clone() }).collect();
    if !replicas.iter().any(|replica| replica.id == me) {
        replicas.push(MapReplica { id: me, url: my_url.to_owned() });
    }
    replicas.sort_by_key(|replica| replica.id);
    let mut owners = vec![None; usize::from(BUCKETS)];
    for row in ownerships {
        owners[usize::from(row.bucket.number())] = row.owner;
    }
    let owner = |bucket: Bucket| owners[usize::from(bucket.number())];
    BucketMap::new(version, replicas, owner, |bucket| standby(bucket, owner(bucket), members))
}

fn same_map(one: &BucketMap, other: &BucketMap) -> bool {
    one.replicas() == other.replicas()
        && Bucket::all().all(|bucket| one.owner(bucket) == other.owner(bucket) && one.standby(bucket) == other.standby(bucket))
}
