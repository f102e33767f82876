//! What the tests of this crate configure.

use std::collections::BTreeMap;

use quorate_core::bucket::Bucket;
use quorate_core::event::Subject;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::{Monitoring, Voice};
use quorate_core::pool::{CheckRegionsSetting, Origin, OriginSettings, Pool, PoolSettings, PoolState, Weight};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_core::vote::Published;
use quorate_store::verdicts::{BucketConfig, PoolConfig, PublishedCheck};

pub(crate) fn pop(no: u16, region: Region) -> Pop {
    Pop { no: PopNo(no), code: format!("pop-{no}").parse().expect("a code"), region, city: format!("City {no}"), country: "GB".to_owned() }
}

/// Names of that many origins.
pub(crate) fn with_origins(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("origin-{number}")).collect()
}

/// A pool of a number, over regions, with a monitor. The id of a check tells pool and origin.
pub(crate) fn pool(number: u8, regions: &[&str], origins: &[String]) -> PoolConfig {
    let settings = |name: &String| OriginSettings {
        name: name.clone(),
        address: format!("192.0.2.{number}"),
        enabled: true,
        weight: Weight::default(),
        host: None,
        port: 80,
        flatten_cname: None,
        virtual_network_id: None,
    };
    let settings: Vec<OriginSettings> = origins.iter().map(settings).collect();
    let check_id = |index: usize| {
        let mut id = [number; 16];
        id[15] = u8::try_from(index).expect("few origins");
        CheckId::from_bytes(id)
    };
    let pool = Pool {
        id: PoolId::from_bytes([number; 16]),
        account_id: AccountId::from_bytes([number % 2; 16]),
        origins: settings
            .iter()
            .enumerate()
            .map(|(index, settings)| Origin { check_id: check_id(index), config_gen: 1, settings: settings.clone(), disabled_at: None })
            .collect(),
        settings: PoolSettings {
            name: format!("pool-{number}"),
            description: String::new(),
            enabled: true,
            minimum_origins: 1,
            monitor: Some(MonitorId::from_bytes([9; 16])),
            monitor_group: None,
            check_regions: CheckRegionsSetting(Some(regions.iter().map(|code| (*code).to_owned()).collect())),
            origins: settings,
            latitude: None,
            longitude: None,
            notification_email: String::new(),
            origin_steering: None,
            load_shedding: None,
            notification_filter: None,
            health_sources: None,
        },
        disabled_at: None,
        created_on: jiff::Timestamp::UNIX_EPOCH,
        modified_on: jiff::Timestamp::UNIX_EPOCH,
    };
    let unknown = |origin: &Origin| PublishedCheck {
        check_id: origin.check_id,
        config_gen: origin.config_gen,
        verdict: Published::Unknown,
        verdict_seq: 0,
        reason: None,
        response_code: None,
    };
    PoolConfig {
        subject: Subject::Pool,
        monitoring: Monitoring::Monitor(monitor()),
        state: PoolState::Unknown,
        state_seq: 0,
        quorum_lost_since: None,
        checks: pool.origins.iter().map(unknown).collect(),
        pool,
    }
}

pub(crate) fn monitor() -> MonitorSettings {
    MonitorSettings { interval: 10, header: BTreeMap::new(), ..MonitorSettings::default() }
}

/// A member of a group: the number of its monitor, and its part.
pub(crate) type Member = (u8, fn(MonitorId) -> Voice);

/// The pool under a group instead: members by the number of their monitor, which has an interval of ten seconds
/// and that number.
pub(crate) fn grouped(pool: PoolConfig, members: &[Member]) -> PoolConfig {
    let member = |(number, voice): &Member| {
        let settings = MonitorSettings { interval: 10 + u16::from(*number), ..monitor() };
        (voice(MonitorId::from_bytes([*number; 16])), settings)
    };
    PoolConfig { monitoring: Monitoring::Group(members.iter().map(member).collect()), ..pool }
}

pub(crate) fn voting(monitor: MonitorId) -> Voice {
    Voice { monitor, monitoring_only: false, must_be_healthy: false }
}

pub(crate) fn must_be_healthy(monitor: MonitorId) -> Voice {
    Voice { must_be_healthy: true, ..voting(monitor) }
}

pub(crate) fn monitoring_only(monitor: MonitorId) -> Voice {
    Voice { monitoring_only: true, ..voting(monitor) }
}

/// A bucket whose seats are empty.
pub(crate) fn bucket_config(config_seq: u64, pools: Vec<PoolConfig>) -> BucketConfig {
    BucketConfig { bucket: Bucket::new(7).expect("below 1024"), config_seq, seats: Vec::new(), pools, unreadable: Vec::new() }
}
