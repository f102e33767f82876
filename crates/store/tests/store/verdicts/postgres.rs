//! The contract in Postgres, through a proxy that can swallow an answer.

use quorate_core::bucket::Bucket;
use quorate_core::evidence::PackedVotes;
use quorate_core::ids::{AccountId, CheckId};
use quorate_core::pool::Pool;
use quorate_core::pop::Pop;
use quorate_core::region::Region;
use quorate_store::tokens::Pepper;
use quorate_store::verdicts::{PgVerdicts, VerdictStore as _};
use quorate_store::worker_tokens::{self, NewPop};
use quorate_store::{Db, health, pools, schema};
use sqlx::{ConnectOptions, Executor, Row};

use super::{World, cases};
use crate::support::proxy::Proxy;
use crate::support::{self, Database};

struct PgWorld {
    database: Database,
    proxy: Proxy,
    /// Of the owner, through the proxy.
    owner: Db,
    store: PgVerdicts,
    account: AccountId,
}

impl PgWorld {
    async fn replace(&self, pool: &Pool, change: impl FnOnce(&mut Pool)) -> Pool {
        let mut changed = pool.clone();
        change(&mut changed);
        support::replace_pool(&self.database.db, self.account, pool.id, &changed.settings).await
    }
}

impl World for PgWorld {
    type Store = PgVerdicts;

    async fn new() -> Self {
        let database = Database::new().await;
        let proxy = Proxy::in_front_of(&database.admin_options());
        let url = proxy.options(&database.admin_options()).to_url_lossy();
        let owner = Db::connect(&schema::service_url(url.as_str(), None).unwrap()).await.unwrap();
        let account = support::account(&database.db).await.id;
        Self { store: PgVerdicts::new(owner.clone()), database, proxy, owner, account }
    }

    fn store(&self) -> &PgVerdicts {
        &self.store
    }

    async fn add_pool(&self, origins: usize) -> Pool {
        let name = format!("pool-{:032x}", rand::random::<u128>());
        support::pool(&self.database.db, self.account, &name, origins).await
    }

    async fn describe(&self, pool: &Pool) {
        self.replace(pool, |pool| pool.settings.description.push('!')).await;
    }

    async fn readdress(&self, pool: &Pool) -> Pool {
        self.replace(pool, |pool| "192.0.2.99".clone_into(&mut pool.settings.origins[0].address)).await
    }

    async fn remove_pool(&self, pool: &Pool) {
        let mut tenant = self.database.db.tenant(&[self.account]).await.unwrap();
        assert!(pools::delete(&mut tenant, self.account, pool.id).await.unwrap());
        tenant.commit().await.unwrap();
    }

    async fn register_pop(&self, code: &str, region: Region) -> Pop {
        let mut op = self.owner.operator().await.unwrap();
        let new = NewPop { code: code.parse().unwrap(), region, city: "London".to_owned(), country: "GB".to_owned() };
        let (pop, _) = worker_tokens::create(&mut op, &Pepper([1; 32]), new).await.unwrap();
        op.commit().await.unwrap();
        pop
    }

    fn lose_next_answer(&self) {
        self.proxy.swallow_next_answer();
    }

    async fn recorded(&self) -> Vec<(Option<CheckId>, Option<u64>, Option<bool>)> {
        let rows = self
            .database
            .admin()
            .await
            .fetch_all("select check_id, verdict_seq, origin_healthy from health_event order by event_id")
            .await
            .unwrap();
        rows.iter()
            .map(|row| {
                let check = row.get::<Option<Vec<u8>>, _>(0).map(|id| CheckId::try_from(id.as_slice()).unwrap());
                let seq = row.get::<Option<i64>, _>(1).map(|seq| u64::try_from(seq).unwrap());
                (check, seq, row.get(2))
            })
            .collect()
    }

    async fn votes_of(&self, pool: &Pool) -> Vec<Option<PackedVotes>> {
        let mut tenant = self.database.db.tenant(&[self.account]).await.unwrap();
        let health = health::of_pool(&mut tenant, self.account, pool.id).await.unwrap().expect("the pool is there");
        let of = |id: CheckId| health.checks.iter().find(|check| check.check_id == id).expect("the check is there");
        pool.origins
            .iter()
            .map(|origin| {
                let check = of(origin.check_id);
                assert_eq!(check.votes.is_some(), check.as_of.is_some());
                check.votes.clone()
            })
            .collect()
    }
}

cases::contract!(PgWorld);

#[tokio::test]
async fn a_pool_whose_rows_cannot_be_read_is_named_and_the_others_of_the_load_are_there() {
    let world = PgWorld::new().await;
    let (eu, us) = (world.add_pool(1).await, world.add_pool(2).await);
    let wanted = [Bucket::of(eu.id), Bucket::of(us.id)];
    let load = async || world.store.load(&wanted).await.unwrap();
    assert!(load().await.iter().all(|bucket| bucket.unreadable.is_empty()));

    // A value of a later release, which this one does not know.
    let spoil = format!(
        "alter table check_state drop constraint check_state_reason_range; update check_state set reason = 77 where check_id = '\\x{}'",
        us.origins[1].check_id
    );
    world.database.admin().await.execute(sqlx::AssertSqlSafe(spoil)).await.unwrap();
    let loaded = load().await;
    let (pools, unreadable): (Vec<_>, Vec<_>) = loaded.into_iter().map(|bucket| (bucket.pools, bucket.unreadable)).unzip();
    let read: Vec<_> = pools.into_iter().flatten().map(|config| config.pool.id).collect();
    let named: Vec<_> = unreadable.into_iter().flatten().map(|pool| (pool.pool_id, pool.problem)).collect();
    assert_eq!(read, [eu.id]);
    assert_eq!(named, [(us.id, format!("row {} of check_state is not valid: reason is 77", us.origins[1].check_id))]);
}
