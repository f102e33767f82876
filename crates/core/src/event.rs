//! What is recorded when a verdict changes: the body of an event, the same in the store, the API and webhooks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, MonitorResult};
use crate::ids::PoolId;

/// The recorded change, without the id and time that the store gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventBody {
    pub pool: EventPool,
    /// All origins of the pool in order; `changed` on at most one.
    pub origins: Vec<EventOrigin>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPool {
    pub id: PoolId,
    pub name: String,
    /// After the change; null while the pool's state is unknown.
    pub healthy: Option<bool>,
    /// Whether this event tipped the pool.
    pub changed: bool,
    pub minimum_origins: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventOrigin {
    pub name: String,
    pub address: String,
    /// The address probed, where the origin is an IP literal; else the host name.
    pub ip: String,
    pub enabled: bool,
    pub healthy: Option<bool>,
    pub failure_reason: String,
    pub failure_code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<u16>,
    pub changed: bool,
    /// Under a monitor group: its enabled members, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<MonitorResult>,
    /// The evidence at that instant; on the changed origin only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}
