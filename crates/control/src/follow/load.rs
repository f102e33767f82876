//! Bringing the plans of the buckets served here up to date. What cannot be loaded is told and tried
//! again, later and later, and keeps nothing else from being loaded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::ids::PoolId;
use quorate_store::verdicts::{BucketConfig, Ownership, VerdictStore};
use tokio::time::Instant;

use crate::bucket::Role;
use crate::error::{CallError, bounded, chain};
use crate::plan::Plan;
use crate::registry::Registry;
use crate::shared::Shared;

/// Buckets in one load: bounds the memory of an answer.
const LOADED_AT_ONCE: usize = 128;
/// Pause after the first failure of one bucket; it doubles with each that follows.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// What the loads of earlier passes have taught.
#[derive(Debug)]
pub(super) struct Loading {
    /// Buckets that could not be loaded each alone.
    failing: HashMap<Bucket, Failing>,
    /// Pools that were left out, by bucket.
    unreadable: BTreeMap<Bucket, Vec<PoolId>>,
    /// Fewer where the database did not answer for so many in time.
    at_once: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    failures: u32,
    again_at: Instant,
}

impl Default for Loading {
    fn default() -> Self {
        Self { failing: HashMap::new(), unreadable: BTreeMap::new(), at_once: LOADED_AT_ONCE }
    }
}

impl Loading {
    /// Loads what moved. The first error is answered, after all the rest was loaded: unless the database
    /// is away, when the rest waits for the next pass.
    pub(super) async fn pass<S: VerdictStore, R: Registry>(
        &mut self,
        shared: &Shared<S, R>,
        ownerships: &[Ownership],
    ) -> Result<(), CallError> {
        let mut outcome = Ok(());
        let mut wanted = self.wanted(shared, ownerships);
        while let Some(buckets) = wanted.pop_front() {
            match bounded(shared.verdicts.load(&buckets)).await {
                Ok(configs) => {
                    self.at_once = LOADED_AT_ONCE.min(self.at_once * 2);
                    for bucket in &buckets {
                        self.failing.remove(bucket);
                    }
                    for config in configs {
                        self.install(shared, config);
                    }
                    // Workers may begin while the rest is loaded.
                    shared.manifests.send_replace(());
                }
                // Too many at once, or a database that hangs: the rest would wait for as long.
                Err(error @ CallError::Silent(_)) => {
                    match buckets.as_slice() {
                        [bucket] => self.failed(shared, *bucket, &error),
                        _ => self.at_once = buckets.len() / 2,
                    }
                    return Err(error);
                }
                Err(CallError::Store(error)) if error.is_outage() => return Err(error.into()),
                // Some of them are at fault, and the others are found by halves.
                Err(_) if buckets.len() > 1 => {
                    let (one, other) = buckets.split_at(buckets.len() / 2);
                    wanted.push_front(other.to_vec());
                    wanted.push_front(one.to_vec());
                }
                Err(error) => {
                    self.failed(shared, buckets[0], &error);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    /// The buckets to load, chunk by chunk: first those that wait for a decision, and last, each alone,
    /// those that failed before.
    fn wanted<S, R>(&mut self, shared: &Shared<S, R>, ownerships: &[Ownership]) -> VecDeque<Vec<Bucket>> {
        let now = Instant::now();
        let (mut owned, mut warm, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for row in ownerships {
            let slot = shared.board.lock(row.bucket);
            // A lower number than the plan's: the database was restored.
            let current = slot.plan.as_ref().is_some_and(|plan| plan.config_seq == row.fence.config_seq);
            if slot.role == Role::Absent || (current && !slot.stale) {
                continue;
            }
            match self.failing.get(&row.bucket) {
                Some(failing) if failing.again_at > now => {}
                Some(_) => again.push(vec![row.bucket]),
                None if slot.role == Role::Standby => warm.push(row.bucket),
                None => owned.push(row.bucket),
            }
        }
        owned.append(&mut warm);
        owned.chunks(self.at_once.max(1)).map(<[Bucket]>::to_vec).chain(again).collect()
    }

    fn install<S, R>(&mut self, shared: &Shared<S, R>, mut config: BucketConfig) {
        let bucket = config.bucket;
        self.tell_unreadable(&mut config);
        let registered = shared.registered.load_full();
        let mut slot = shared.board.lock(bucket);
        if slot.role == Role::Absent {
            return;
        }
        let plan = Plan::new(config, &registered, slot.plan.as_ref());
        slot.install(plan);
        shared.queue.push(bucket, &mut slot);
    }

    /// Says once which pools were left out.
    fn tell_unreadable(&mut self, config: &mut BucketConfig) {
        let before = self.unreadable.remove(&config.bucket).unwrap_or_default();
        let pools = std::mem::take(&mut config.unreadable);
        for pool in pools.iter().filter(|pool| !before.contains(&pool.pool_id)) {
            tracing::error!(
                pool.id = %pool.pool_id,
                bucket = config.bucket.number(),
                problem = pool.problem,
                "a pool cannot be read by this release; it is not probed, and what is published of it stays"
            );
        }
        if !pools.is_empty() {
            self.unreadable.insert(config.bucket, pools.into_iter().map(|pool| pool.pool_id).collect());
        }
        let count: usize = self.unreadable.values().map(Vec::len).sum();
        metrics::gauge!("quorate_pools_unreadable").set(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn failed<S, R>(&mut self, shared: &Shared<S, R>, bucket: Bucket, error: &CallError) {
        shared.board.lock(bucket).unloadable = true;
        let failing = self.failing.entry(bucket).or_insert(Failing { failures: 0, again_at: Instant::now() });
        if failing.failures == 0 {
            tracing::error!(
                bucket = bucket.number(),
                error = chain(error),
                "a bucket cannot be loaded; nothing of it is decided until it can"
            );
        }
        failing.again_at = Instant::now() + RETRY_AFTER.saturating_mul(2_u32.saturating_pow(failing.failures)).min(RETRY_AFTER_MAX);
        failing.failures = failing.failures.saturating_add(1);
    }
}
