//! The demo's pools, monitors and load balancer as the store keeps them. Made once; afterwards they are the operator's.

use std::collections::BTreeMap;

use anyhow::Context as _;
use quorate_core::load_balancer::LoadBalancerSettings;
use quorate_core::monitor::{MonitorKind, MonitorSettings};
use quorate_core::pool::{CheckRegionsSetting, OriginSettings, Pool, PoolSettings, Weight};
use quorate_core::region::Region;
use quorate_store::zones::Zone;
use quorate_store::{Tenant, load_balancers, monitors, pools};

/// An origin that the demo serves or names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoOrigin {
    pub name: String,
    /// IP address or host name.
    pub address: String,
    pub port: u16,
}

/// A pool with a monitor of its own.
#[derive(Clone, Debug)]
pub struct DemoPool {
    pub name: &'static str,
    pub description: &'static str,
    pub monitor: MonitorSettings,
    pub origins: Vec<DemoOrigin>,
}

/// Plain HTTP, each second: a person who breaks an origin does not want to wait.
pub fn http_monitor() -> MonitorSettings {
    MonitorSettings {
        description: "demo: 200 and \"ok\" over HTTP, each second".to_owned(),
        interval: 1,
        timeout: 1,
        retries: 0,
        expected_body: "ok".to_owned(),
        ..MonitorSettings::default()
    }
}

/// HTTPS, each second.
pub fn https_monitor() -> MonitorSettings {
    MonitorSettings { kind: MonitorKind::Https, description: "demo: 200 and \"ok\" over HTTPS, each second".to_owned(), ..http_monitor() }
}

/// Makes what is missing, by name. The load balancer `www.<zone>` answers with the pools `balanced`, in that order; the
/// last of them is its fallback.
pub async fn make_missing(
    tenant: &mut Tenant,
    zone: &Zone,
    regions: &[Region],
    wanted: &[DemoPool],
    balanced: &[&str],
) -> anyhow::Result<()> {
    let account = zone.account_id;
    let mut all = pools::list(tenant, account, None).await.context("cannot list the pools")?;
    for pool in wanted {
        if all.iter().any(|there| there.settings.name == pool.name) {
            continue;
        }
        let monitor =
            monitors::create(tenant, account, &pool.monitor).await.with_context(|| format!("cannot make the monitor of {}", pool.name))?;
        let settings = PoolSettings {
            name: pool.name.to_owned(),
            description: pool.description.to_owned(),
            enabled: true,
            minimum_origins: 1,
            monitor: Some(monitor.id),
            monitor_group: None,
            check_regions: CheckRegionsSetting(Some(regions.iter().map(|region| region.code().to_owned()).collect())),
            origins: pool.origins.iter().map(origin_settings).collect(),
            latitude: None,
            longitude: None,
            notification_email: String::new(),
            origin_steering: None,
            load_shedding: None,
            notification_filter: None,
            health_sources: None,
        };
        all.push(pools::create(tenant, account, &settings).await.with_context(|| format!("cannot make the pool {}", pool.name))?);
    }
    make_load_balancer(tenant, zone, &all, balanced).await
}

async fn make_load_balancer(tenant: &mut Tenant, zone: &Zone, all: &[Pool], balanced: &[&str]) -> anyhow::Result<()> {
    let name = format!("www.{}", zone.name);
    let there = load_balancers::list(tenant, zone.account_id, Some(zone.id)).await.context("cannot list the load balancers")?;
    let default_pools: Vec<_> =
        balanced.iter().filter_map(|name| all.iter().find(|pool| pool.settings.name == *name)).map(|pool| pool.id).collect();
    let Some(fallback_pool) = default_pools.last().copied() else { return Ok(()) };
    if there.iter().any(|balancer| balancer.settings.name == name) {
        return Ok(());
    }
    let settings = LoadBalancerSettings {
        name,
        description: "demo: the first healthy pool answers, the last one when none is".to_owned(),
        enabled: true,
        proxied: false,
        ttl: Some(30),
        default_pools,
        fallback_pool,
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
    };
    load_balancers::create(tenant, zone.account_id, Some(zone.id), &settings).await.context("cannot make the load balancer")?;
    Ok(())
}

/// Points origins whose port was taken since the last run to their new one. `moved`: (address, old port) to new port.
pub async fn follow_ports(tenant: &mut Tenant, zone: &Zone, moved: &BTreeMap<(String, u16), u16>) -> anyhow::Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    for pool in pools::list(tenant, zone.account_id, None).await.context("cannot list the pools")? {
        let mut settings = pool.settings.clone();
        for origin in &mut settings.origins {
            if let Some(port) = moved.get(&(origin.address.clone(), origin.port)) {
                origin.port = *port;
            }
        }
        if settings != pool.settings {
            pools::replace(tenant, zone.account_id, pool.id, &settings)
                .await
                .with_context(|| format!("cannot change the pool {}", pool.settings.name))?;
        }
    }
    Ok(())
}

fn origin_settings(origin: &DemoOrigin) -> OriginSettings {
    OriginSettings {
        name: origin.name.clone(),
        address: origin.address.clone(),
        enabled: true,
        weight: Weight::default(),
        host: None,
        port: origin.port,
        flatten_cname: None,
        virtual_network_id: None,
    }
}
