//! The contract in memory.

use std::sync::atomic::{AtomicU16, Ordering};

use quorate_core::evidence::PackedVotes;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::{Origin, Pool};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_store::verdicts::{CommitError, Fault, MemoryVerdicts, VerdictStore};

use super::{World, cases, fence, load_pool, own, replica, tick};
use crate::support;

struct MemoryWorld {
    store: MemoryVerdicts,
    monitor: MonitorId,
    next_pop: AtomicU16,
}

impl World for MemoryWorld {
    type Store = MemoryVerdicts;

    async fn new() -> Self {
        let store = MemoryVerdicts::default();
        let monitor = MonitorId::from_bytes([1; 16]);
        store.put_monitor(monitor, MonitorSettings::default());
        Self { store, monitor, next_pop: AtomicU16::new(0) }
    }

    fn store(&self) -> &MemoryVerdicts {
        &self.store
    }

    async fn add_pool(&self, origins: usize) -> Pool {
        let settings = support::pool_settings("eu", Some(self.monitor), origins);
        let now = "2026-11-25T00:00:00Z".parse().unwrap();
        let pool = Pool {
            id: PoolId::random(&mut rand::rng()),
            account_id: AccountId::from_bytes([1; 16]),
            origins: settings
                .origins
                .iter()
                .map(|settings| Origin {
                    check_id: CheckId::random(&mut rand::rng()),
                    config_gen: 1,
                    settings: settings.clone(),
                    disabled_at: None,
                })
                .collect(),
            settings,
            disabled_at: None,
            created_on: now,
            modified_on: now,
        };
        self.store.put_pool(pool.clone());
        pool
    }

    async fn describe(&self, pool: &Pool) {
        self.store.put_pool(pool.clone());
    }

    async fn readdress(&self, pool: &Pool) -> Pool {
        let mut pool = pool.clone();
        "192.0.2.99".clone_into(&mut pool.settings.origins[0].address);
        pool.origins[0].settings = pool.settings.origins[0].clone();
        pool.origins[0].config_gen += 1;
        self.store.put_pool(pool.clone());
        pool
    }

    async fn remove_pool(&self, pool: &Pool) {
        self.store.remove_pool(pool.id);
    }

    async fn register_pop(&self, code: &str, region: Region) -> Pop {
        let no = PopNo(self.next_pop.fetch_add(1, Ordering::SeqCst));
        let pop = Pop { no, code: code.parse().unwrap(), region, city: "London".to_owned(), country: "GB".to_owned() };
        self.store.register_pop(pop.clone());
        pop
    }

    fn lose_next_answer(&self) {
        self.store.fail_next_commit(Fault::LoseAnswerWritten);
    }

    async fn recorded(&self) -> Vec<(Option<CheckId>, Option<u64>, Option<bool>)> {
        let events = self.store.events().into_iter();
        events
            .map(|event| {
                let healthy = event.body.origins.iter().find(|origin| origin.changed).and_then(|origin| origin.healthy);
                (event.check_id, event.verdict_seq, healthy)
            })
            .collect()
    }

    async fn votes_of(&self, pool: &Pool) -> Vec<Option<PackedVotes>> {
        pool.origins.iter().map(|origin| self.store.votes_of(origin.check_id)).collect()
    }
}

cases::contract!(MemoryWorld);

#[tokio::test]
async fn a_commit_can_be_made_to_fail_before_it_is_written() {
    let world = MemoryWorld::new().await;
    let pool = world.add_pool(1).await;
    let me = replica(1).id;
    own(&world.store, me).await;
    let (_, config) = load_pool(&world.store, pool.id).await;
    let tick = tick(me, fence(&world.store, quorate_core::bucket::Bucket::of(pool.id)).await, &config, 0);
    world.store.fail_next_commit(Fault::Refuse);
    world.store.fail_next_commit(Fault::LoseAnswerUnwritten);
    assert!(matches!(world.store.commit(&tick).await, Err(CommitError::Refused(_))));
    assert!(matches!(world.store.commit(&tick).await, Err(CommitError::Unknown(_))));
    assert!(world.recorded().await.is_empty());
    world.store.commit(&tick).await.unwrap();
}
