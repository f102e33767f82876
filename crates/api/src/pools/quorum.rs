//! `…/pools/{pool_id}/quorum`: the verdict, explained. Ours; the vendor has no such view.

use quorate_core::evidence::{self, Evidence, MonitorResult};
use quorate_core::ids::PoolId;
use quorate_core::pool::{Origin, Pool, PoolState};
use quorate_core::pop::Pop;
use quorate_core::vote::Published;
use quorate_store::health::{self, CheckHealth, PoolHealth};
use quorate_store::{pools, worker_tokens};
use schemars::JsonSchema;
use serde::Serialize;

use super::NOT_FOUND;
use crate::answer::Answer;
use crate::auth::{InAccount, Read};
use crate::envelope::{Envelope, Time};
use crate::extract::Id;

/// A pool's verdicts with their evidence.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QuorumBody {
    pool: PoolName,
    /// `healthy`, `degraded`, `critical`, `unknown` or `disabled`.
    state: PoolState,
    /// As the API says it elsewhere: null while nothing is known or nothing is probed.
    healthy: Option<bool>,
    /// When the state last changed.
    since: Time,
    minimum_origins: u32,
    /// The votes below are no older than this; null before the first ones.
    as_of: Option<Time>,
    /// Since when missing votes make a majority impossible for some origin; null while it is possible.
    quorum_lost_since: Option<Time>,
    /// In the pool's order.
    origins: Vec<OriginQuorum>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PoolName {
    id: PoolId,
    name: String,
}

/// One origin's verdict with its evidence.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OriginQuorum {
    name: String,
    address: String,
    enabled: bool,
    /// `up`, `down`, or `unknown` before the first majority.
    verdict: Published,
    healthy: Option<bool>,
    /// When the verdict last changed; null for an origin that is not probed.
    since: Option<Time>,
    /// Counts the verdicts.
    verdict_seq: Option<u64>,
    /// When the votes were written down.
    as_of: Option<Time>,
    /// Under a monitor group: its enabled members over all PoPs, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitors: Vec<MonitorResult>,
    /// Null before the first votes.
    evidence: Option<Evidence>,
}

pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<PoolId>) -> Answer<QuorumBody> {
    let mut db = place.begin().await?;
    let pool = pools::find(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let health = health::of_pool(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let pops = worker_tokens::pops(&mut db).await?;
    Ok(Envelope::of(view(pool, &health, &pops)))
}

fn view(pool: Pool, health: &PoolHealth, pops: &[Pop]) -> QuorumBody {
    let check_of = |origin: &Origin| health.checks.iter().find(|check| check.check_id == origin.check_id);
    QuorumBody {
        pool: PoolName { id: pool.id, name: pool.settings.name },
        state: health.state,
        healthy: health.state.healthy(),
        since: Time(health.since),
        minimum_origins: pool.settings.minimum_origins,
        as_of: health.checks.iter().filter_map(|check| check.as_of).min().map(Time),
        quorum_lost_since: health.quorum_lost_since.map(Time),
        origins: pool.origins.iter().map(|origin| origin_view(origin, check_of(origin), pops)).collect(),
    }
}

pub(crate) fn origin_view(origin: &Origin, check: Option<&CheckHealth>, pops: &[Pop]) -> OriginQuorum {
    let verdict = check.map_or(Published::Unknown, |check| check.verdict);
    let explained = check.and_then(|check| {
        let votes = check.votes.as_ref()?;
        let explained = evidence::explain(verdict, &votes.electorate, &votes.ballots, |no| pops.iter().find(|pop| pop.no == no));
        Some(explained.remembering(check.reason).with_monitors(&votes.members))
    });
    let votes = check.and_then(|check| check.votes.as_ref());
    OriginQuorum {
        name: origin.settings.name.clone(),
        address: origin.settings.address.clone(),
        enabled: origin.settings.enabled,
        verdict,
        healthy: verdict.healthy(),
        since: check.map(|check| Time(check.since)),
        verdict_seq: check.map(|check| check.verdict_seq),
        as_of: check.and_then(|check| check.as_of).map(Time),
        monitors: votes.map_or_else(Vec::new, |votes| evidence::monitor_results(&votes.electorate, &votes.members)),
        evidence: explained,
    }
}
