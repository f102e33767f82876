//! What the tests share: a database each, and objects to fill it with.

pub(crate) mod database;
pub(crate) mod proxy;

use quorate_core::ids::{AccountId, MonitorId, PoolId};
use quorate_core::load_balancer::LoadBalancerSettings;
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::{CheckRegionsSetting, OriginSettings, Pool, PoolSettings, Weight};
use quorate_store::accounts::{self, Account, Limits};
use quorate_store::zones::{self, Zone};
use quorate_store::{Db, monitors, pools};

pub(crate) use database::Database;

pub(crate) const LIMITS: Limits = Limits {
    load_balancers: 20,
    pools: 200,
    origins: 2_000,
    monitors: 30,
    healthchecks: 20,
    max_origins_per_pool: 20,
    minimum_monitor_interval: 10,
};

pub(crate) async fn account(db: &Db) -> Account {
    account_with(db, LIMITS).await
}

pub(crate) async fn account_with(db: &Db, limits: Limits) -> Account {
    let mut op = db.operator().await.unwrap();
    let account = accounts::create(&mut op, "shop", limits).await.unwrap();
    op.commit().await.unwrap();
    account
}

pub(crate) async fn zone(db: &Db, account: AccountId, name: &str) -> Zone {
    let mut op = db.operator().await.unwrap();
    let zone = zones::create(&mut op, account, name).await.unwrap();
    op.commit().await.unwrap();
    zone
}

pub(crate) async fn monitor(db: &Db, account: AccountId) -> MonitorId {
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let monitor = monitors::create(&mut tenant, account, &MonitorSettings::default()).await.unwrap();
    tenant.commit().await.unwrap();
    monitor.id
}

/// A pool under a monitor of its own.
pub(crate) async fn pool(db: &Db, account: AccountId, name: &str, origins: usize) -> Pool {
    let monitor = monitor(db, account).await;
    create_pool(db, account, &pool_settings(name, Some(monitor), origins)).await
}

pub(crate) async fn create_pool(db: &Db, account: AccountId, settings: &PoolSettings) -> Pool {
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let pool = pools::create(&mut tenant, account, settings).await.unwrap();
    tenant.commit().await.unwrap();
    pool
}

pub(crate) async fn replace_pool(db: &Db, account: AccountId, id: PoolId, settings: &PoolSettings) -> Pool {
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let pool = pools::replace(&mut tenant, account, id, settings).await.unwrap().expect("the pool exists");
    tenant.commit().await.unwrap();
    pool
}

pub(crate) fn pool_settings(name: &str, monitor: Option<MonitorId>, origins: usize) -> PoolSettings {
    PoolSettings {
        name: name.to_owned(),
        description: String::new(),
        enabled: true,
        minimum_origins: 1,
        monitor,
        monitor_group: None,
        check_regions: CheckRegionsSetting(Some(vec!["WEU".to_owned()])),
        origins: (1..=origins).map(|number| origin(&format!("origin-{number}"), &format!("192.0.2.{number}"))).collect(),
        latitude: None,
        longitude: None,
        notification_email: String::new(),
        origin_steering: None,
        load_shedding: None,
        notification_filter: None,
        health_sources: None,
    }
}

pub(crate) fn origin(name: &str, address: &str) -> OriginSettings {
    OriginSettings {
        name: name.to_owned(),
        address: address.to_owned(),
        enabled: true,
        weight: Weight::default(),
        host: None,
        port: 0,
        flatten_cname: None,
        virtual_network_id: None,
    }
}

pub(crate) fn load_balancer_settings(name: &str, pool: PoolId) -> LoadBalancerSettings {
    LoadBalancerSettings {
        name: name.to_owned(),
        description: String::new(),
        enabled: true,
        proxied: false,
        ttl: Some(30),
        default_pools: vec![pool],
        fallback_pool: pool,
        region_pools: None,
        country_pools: None,
        pop_pools: None,
        steering_policy: "off".to_owned(),
        session_affinity: "none".to_owned(),
        session_affinity_ttl: None,
        session_affinity_attributes: None,
        random_steering: None,
        location_strategy: None,
        adaptive_routing: None,
        rules: None,
        pool_sets: None,
        networks: None,
    }
}
