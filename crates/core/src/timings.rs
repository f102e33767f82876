//! The time constants of the vote path: configuration of the control plane, told to workers in Welcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All in milliseconds. The defaults are the product's; tests run at a tenth of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    /// A worker sends its whole state this often.
    pub round_ms: u32,
    /// Spacing of a worker's deltas. An idle worker sends changed votes at once, up to ten times in a row.
    pub delta_ms: u32,
    /// Spacing of a bucket's decisions. An idle bucket decides at once, up to four times in a row.
    pub tick_ms: u32,
    /// A vote counts while its session was heard of within this: three rounds and slack.
    pub session_lease_ms: u32,
    pub replica_heartbeat_ms: u32,
    /// A replica whose heartbeat is older, by the database's clock, is dead; also the grace after the database was away.
    pub replica_dead_ms: u32,
    /// Random wait before a claim that is not the hot standby's.
    pub claim_jitter_ms: u32,
    /// Poll of `config_seq`, ownership and the registry of PoPs.
    pub poll_ms: u32,
    pub keepalive_ms: u32,
    pub keepalive_timeout_ms: u32,
    pub reconnect_min_ms: u32,
    pub reconnect_max_ms: u32,
    /// A PoP silent for longer may lose its seat to a live one.
    pub pop_dead_ms: u32,
    pub fence_retry_ms: u32,
    /// Loss and return of quorum are told after holding this long.
    pub quorum_hysteresis_ms: u32,
    /// The votes behind the verdicts are at most this old in the store.
    pub votes_behind_ms: u32,
    /// A connection to the gateway on which no worker has proved who it is ends after this.
    pub introduction_ms: u32,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            round_ms: 10_000,
            delta_ms: 200,
            tick_ms: 250,
            session_lease_ms: 35_000,
            replica_heartbeat_ms: 2_000,
            replica_dead_ms: 8_000,
            claim_jitter_ms: 1_000,
            poll_ms: 1_000,
            keepalive_ms: 10_000,
            keepalive_timeout_ms: 5_000,
            reconnect_min_ms: 500,
            reconnect_max_ms: 30_000,
            pop_dead_ms: 60_000,
            fence_retry_ms: 60_000,
            quorum_hysteresis_ms: 60_000,
            votes_behind_ms: 1_000,
            introduction_ms: 15_000,
        }
    }
}

/// A count of milliseconds as a duration.
pub const fn ms(count: u32) -> Duration {
    Duration::from_millis(count as u64)
}
