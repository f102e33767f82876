//! Health checks in the store: what a change does to the check behind them.

use quorate_core::bucket::Bucket;
use quorate_core::event::Subject;
use quorate_core::healthcheck::{Healthcheck, HealthcheckKind, HealthcheckSettings, HealthcheckStatus, HttpConfig};
use quorate_core::ids::ReplicaId;
use quorate_core::monitor_group::Monitoring;
use quorate_core::pool::PoolState;
use quorate_store::events::{self, EventFilter};
use quorate_store::verdicts::{PgVerdicts, PoolConfig, VerdictStore};
use quorate_store::{Error, healthchecks, worker_tokens, zones};

use crate::support::{self, Database};
use crate::verdicts::{flip_all, own};

pub(crate) fn settings(name: &str) -> HealthcheckSettings {
    HealthcheckSettings {
        name: name.to_owned(),
        address: "www.example.com".to_owned(),
        kind: HealthcheckKind::Http,
        description: String::new(),
        check_regions: None,
        interval: 60,
        retries: 2,
        timeout: 5,
        consecutive_fails: 1,
        consecutive_successes: 1,
        suspended: false,
        http: Some(HttpConfig::default()),
        tcp: None,
    }
}

/// As the owner of its bucket sees it.
async fn loaded(world: &Database, healthcheck: &Healthcheck) -> (u64, Option<PoolConfig>) {
    let store = PgVerdicts::new(world.db.clone());
    let bucket = store.load(&[Bucket::of(healthcheck.id.pool())]).await.unwrap().remove(0);
    let config = bucket.pools.into_iter().find(|config| config.pool.id == healthcheck.id.pool());
    (bucket.config_seq, config)
}

#[tokio::test]
async fn a_health_check_is_a_pool_to_its_owner_and_its_changes_renew_what_they_must() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let mut op = world.db.operator().await.unwrap();
    let new = worker_tokens::NewPop {
        code: "syd".parse().unwrap(),
        region: quorate_core::region::Region::Oc,
        city: "Sydney".to_owned(),
        country: "AU".to_owned(),
    };
    worker_tokens::create(&mut op, &quorate_store::tokens::Pepper([7; 32]), new).await.unwrap();
    op.commit().await.unwrap();

    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let made = healthchecks::create(&mut tenant, account, zone, &settings("shop")).await.unwrap();
    tenant.commit().await.unwrap();
    let (seq, config) = loaded(&world, &made).await;
    let config = config.expect("it is in its bucket");
    assert_eq!((config.subject, config.state, config.checks[0].config_gen), (Subject::Healthcheck, PoolState::Unknown, 1));
    assert_eq!(config.pool, made.pool());
    assert_eq!(config.pool.settings.check_regions.0.as_deref(), Some(&["OC".to_owned()][..]), "of the only PoP");
    assert_eq!(config.monitoring, Monitoring::Monitor(made.settings.monitor()));

    let change = async |settings: &HealthcheckSettings| {
        let mut tenant = world.db.tenant(&[account]).await.unwrap();
        let changed = healthchecks::replace(&mut tenant, account, zone, made.id, settings).await.unwrap().expect("it exists");
        tenant.commit().await.unwrap();
        let (seq, config) = loaded(&world, &changed).await;
        (changed, seq, config.expect("it exists").checks[0].config_gen)
    };
    let (same, unmoved, generation) = change(&made.settings).await;
    assert_eq!((&same, unmoved, generation), (&made, seq, 1));
    let (_, moved, generation) = change(&HealthcheckSettings { description: "x".to_owned(), ..settings("shop") }).await;
    assert!(moved > seq && generation == 1, "{moved} {generation}");
    let (_, _, generation) = change(&HealthcheckSettings { suspended: true, ..settings("shop") }).await;
    assert_eq!(generation, 1);
    let (_, _, generation) = change(&settings("shop")).await;
    assert_eq!(generation, 2, "resumed");
    let (_, _, generation) = change(&HealthcheckSettings { timeout: 9, ..settings("shop") }).await;
    assert_eq!(generation, 3);

    let store = PgVerdicts::new(world.db.clone());
    let me = ReplicaId::random(&mut rand::rng());
    own(&store, me).await;
    flip_all(&store, me, made.id.pool()).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let standings = healthchecks::standings(&mut tenant, account, std::slice::from_ref(&made)).await.unwrap();
    assert_ne!(standings[&made.check_id].status, HealthcheckStatus::Unknown);
    let of_pools = events::list(&world.db.reader(&[account]), &EventFilter::default(), 0, 10).await.unwrap().1;
    let filter = EventFilter { subject: Subject::Healthcheck, ..EventFilter::default() };
    let of_healthchecks = events::list(&world.db.reader(&[account]), &filter, 0, 10).await.unwrap().1;
    assert_eq!((of_pools, of_healthchecks > 0), (0, true));

    assert!(healthchecks::delete(&mut tenant, account, zone, made.id).await.unwrap());
    assert!(!healthchecks::delete(&mut tenant, account, zone, made.id).await.unwrap());
    tenant.commit().await.unwrap();
    assert_eq!(loaded(&world, &made).await.1, None);
}

#[tokio::test]
async fn a_zone_with_health_checks_is_not_deleted_and_one_too_many_is_refused() {
    let world = Database::new().await;
    let account = support::account_with(&world.db, quorate_store::accounts::Limits { healthchecks: 1, ..support::LIMITS }).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let made = healthchecks::create(&mut tenant, account, zone, &settings("shop")).await.unwrap();
    let refused = healthchecks::create(&mut tenant, account, zone, &settings("spare")).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { resource: "health checks", limit: 1, count: 1 })), "{refused:?}");
    tenant.commit().await.unwrap();
    let mut op = world.db.operator().await.unwrap();
    let Err(Error::Referenced { referrers }) = zones::delete(&mut op, zone).await else { panic!("the zone is in use") };
    assert_eq!(referrers.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!(r#"healthcheck "shop" ({}) in zone"#, made.id)]);
}
