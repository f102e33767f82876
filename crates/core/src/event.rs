//! What is recorded when a verdict changes: the body of an event, the same in the store, the API and webhooks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, MonitorResult};
use crate::ids::PoolId;

/// What an event is of. A health check that stands by itself is told like a pool of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    #[default]
    Pool,
    Healthcheck,
}

impl Subject {
    /// As in the column that lists filter by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Healthcheck => "healthcheck",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the serializer's")]
    const fn is_pool(&self) -> bool {
        matches!(self, Self::Pool)
    }
}

/// The recorded change, without the id and time that the store gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventBody {
    /// A pool where it is absent.
    #[serde(default, skip_serializing_if = "Subject::is_pool")]
    pub subject: Subject,
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
