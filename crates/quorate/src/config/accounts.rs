//! What a new account may have.

use quorate_store::accounts::Limits;
use serde::{Deserialize, Serialize};

/// `[accounts]`: limits of accounts that are created from now on; existing ones keep theirs (`quorate account set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Load balancers. Default: 20.
    pub load_balancers: u32,
    /// Pools. Default: 20.
    pub pools: u32,
    /// Origins over all pools. Default: 100.
    pub origins: u32,
    /// Monitors. Default: 30.
    pub monitors: u32,
    /// Health checks over all zones. Default: 50.
    pub healthchecks: u32,
    /// Origins of one pool. Default: 20.
    pub max_origins_per_pool: u32,
    /// Seconds, 1 to 3,600. Default: 10.
    pub minimum_monitor_interval: u16,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            load_balancers: 20,
            pools: 20,
            origins: 100,
            monitors: 30,
            healthchecks: 50,
            max_origins_per_pool: 20,
            minimum_monitor_interval: 10,
        }
    }
}

impl From<Accounts> for Limits {
    fn from(accounts: Accounts) -> Self {
        Self {
            load_balancers: accounts.load_balancers,
            pools: accounts.pools,
            origins: accounts.origins,
            monitors: accounts.monitors,
            healthchecks: accounts.healthchecks,
            max_origins_per_pool: accounts.max_origins_per_pool,
            minimum_monitor_interval: accounts.minimum_monitor_interval,
        }
    }
}

impl Accounts {
    pub(crate) fn check(self, problems: &mut Vec<String>) {
        if !(1..=3600).contains(&self.minimum_monitor_interval) {
            problems
                .push(format!("accounts.minimum_monitor_interval is {}; it has to be 1 to 3600 seconds", self.minimum_monitor_interval));
        }
    }
}
