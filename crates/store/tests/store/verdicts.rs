//! One contract, two implementations: every rule of the verdict path holds in Postgres and in memory.

mod cases;
mod memory;
mod postgres;

use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::event::{EventBody, EventOrigin, EventPool};
use quorate_core::evidence::PackedVotes;
use quorate_core::failure::{self, FailureReason};
use quorate_core::ids::{CheckId, PoolId, ReplicaId};
use quorate_core::pool::{Pool, PoolState};
use quorate_core::pop::Pop;
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict};
use quorate_store::verdicts::{CheckChange, Committed, Member, NewEvent, PoolChange, PoolConfig, Replica, Tick, VerdictStore};

/// Nobody is dead within it.
pub(crate) const LONG: Duration = Duration::from_hours(1);
/// Everybody is dead after it.
pub(crate) const NONE: Duration = Duration::ZERO;

/// What a case needs of the world beside the store itself.
pub(crate) trait World {
    type Store: VerdictStore;

    /// An empty one.
    async fn new() -> Self;
    fn store(&self) -> &Self::Store;
    async fn add_pool(&self, origins: usize) -> Pool;
    /// Changes something that no vote depends on.
    async fn describe(&self, pool: &Pool);
    /// Changes the address of the first origin.
    async fn readdress(&self, pool: &Pool) -> Pool;
    async fn remove_pool(&self, pool: &Pool);
    async fn register_pop(&self, code: &str, region: Region) -> Pop;
    /// The answer of the next commit gets lost after it was written.
    fn lose_next_answer(&self);
    /// Events in the order of their ids: check and verdict number, and whether the origin is healthy.
    async fn recorded(&self) -> Vec<(Option<CheckId>, Option<u64>, Option<bool>)>;
    async fn votes_of(&self, pool: &Pool) -> Vec<Option<PackedVotes>>;
}

pub(crate) fn replica(number: u8) -> Replica {
    Replica { id: ReplicaId::from_bytes([number; 16]), url: format!("https://127.0.0.1:{number}"), version: "0.1.0".to_owned() }
}

/// Beats once and claims everything that nobody alive owns.
pub(crate) async fn own(store: &impl VerdictStore, me: ReplicaId) {
    beat(store, &Replica { id: me, ..replica(1) }).await;
    let all: Vec<Bucket> = Bucket::all().collect();
    store.claim(me, &all, LONG).await.unwrap();
}

pub(crate) async fn beat(store: &impl VerdictStore, me: &Replica) -> Vec<Member> {
    store.heartbeat(me, 3, LONG).await.unwrap()
}

pub(crate) async fn load_pool(store: &impl VerdictStore, id: PoolId) -> (u64, PoolConfig) {
    let bucket = store.load(&[Bucket::of(id)]).await.unwrap().remove(0);
    let config = bucket.pools.into_iter().find(|config| config.pool.id == id).expect("the pool is in its bucket");
    (bucket.config_seq, config)
}

pub(crate) async fn fence(store: &impl VerdictStore, bucket: Bucket) -> Fence {
    let all = store.ownerships().await.unwrap();
    assert_eq!(all.len(), 1_024);
    all[usize::from(bucket.number())].fence
}

/// The tick that turns one check of a pool, and the pool with it.
pub(crate) fn tick(me: ReplicaId, fence: Fence, config: &PoolConfig, origin: usize) -> Tick {
    let check = &config.checks[origin];
    let verdict = if check.verdict == Published::Up { Verdict::Down } else { Verdict::Up };
    let up = verdict == Verdict::Up;
    let reason = (!up).then_some(FailureReason::TcpTimeout);
    let state = if up { PoolState::Healthy } else { PoolState::Critical };
    let pool = &config.pool;
    let pools = if state == config.state {
        vec![]
    } else {
        vec![PoolChange { account_id: pool.account_id, pool_id: pool.id, expected_seq: config.state_seq, state }]
    };
    let origins = pool.origins.iter().enumerate().map(|(index, held)| EventOrigin {
        name: held.settings.name.clone(),
        address: held.settings.address.clone(),
        ip: held.settings.address.clone(),
        enabled: true,
        healthy: if index == origin { Some(up) } else { config.checks[index].verdict.healthy() },
        failure_reason: failure::text_of(reason).to_owned(),
        failure_code: failure::code_of(reason).to_owned(),
        response_code: None,
        changed: index == origin,
        monitors: Vec::new(),
        evidence: None,
    });
    let body = EventBody {
        subject: config.subject,
        pool: EventPool {
            id: pool.id,
            name: pool.settings.name.clone(),
            healthy: Some(up),
            changed: !pools.is_empty(),
            minimum_origins: pool.settings.minimum_origins,
        },
        origins: origins.collect(),
    };
    Tick {
        bucket: Bucket::of(pool.id),
        replica: me,
        fence,
        checks: vec![CheckChange {
            account_id: pool.account_id,
            check_id: check.check_id,
            config_gen: check.config_gen,
            expected_seq: check.verdict_seq,
            verdict,
            reason,
            response_code: None,
        }],
        pools,
        events: vec![NewEvent { account_id: pool.account_id, pool_id: pool.id, check_id: Some(check.check_id), body }],
    }
}

/// Turns one check, as its owner does.
pub(crate) async fn flip(store: &impl VerdictStore, me: ReplicaId, id: PoolId, origin: usize) -> Committed {
    let (_, config) = load_pool(store, id).await;
    let fence = fence(store, Bucket::of(id)).await;
    store.commit(&tick(me, fence, &config, origin)).await.unwrap()
}

/// Turns every check of a pool.
pub(crate) async fn flip_all(store: &impl VerdictStore, me: ReplicaId, id: PoolId) {
    let (_, config) = load_pool(store, id).await;
    for origin in 0..config.checks.len() {
        flip(store, me, id, origin).await;
    }
}
