//! `…/pools/{pool_id}/health`: how each PoP sees each origin, place by place.

use std::collections::BTreeMap;

use quorate_core::electorate::RegionSeats;
use quorate_core::evidence::{Ballot, rtt_text};
use quorate_core::failure;
use quorate_core::ids::PoolId;
use quorate_core::pop::{Pop, PopNo};
use quorate_core::vote::VoteState;
use quorate_store::{health, pools, worker_tokens};
use schemars::JsonSchema;
use serde::Serialize;

use super::NOT_FOUND;
use crate::answer::Answer;
use crate::auth::{InAccount, Read};
use crate::envelope::Envelope;
use crate::extract::Id;

/// Health of a pool by place.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthBody {
    pool_id: PoolId,
    /// `Amsterdam, NL` to what it sees. Places that have not voted are absent.
    pop_health: BTreeMap<String, PlaceBody>,
}

/// What one place sees.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlaceBody {
    /// Enough of the pool's origins pass there.
    healthy: bool,
    /// One object an origin, with one key: the origin's address.
    origins: Vec<BTreeMap<String, SeenBody>>,
}

/// One origin as one place sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SeenBody {
    /// Null: the place abstains.
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    /// For programs; also the anchor of what it means in `docs/failure-reasons.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<u16>,
    /// `12.1ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<String>,
}

impl SeenBody {
    /// `None` for a vote that is missing or says nothing.
    fn of(ballot: Ballot) -> Option<Self> {
        let Ballot::Cast { state, detail, .. } = ballot else { return None };
        let (healthy, reason) = match state {
            VoteState::Unknown => return None,
            VoteState::Up => (Some(true), Some(None)),
            // The state can arrive before its detail; a reason is then not known, rather than none.
            VoteState::Down => (Some(false), detail.and_then(|detail| detail.reason).map(Some)),
            VoteState::ConfigError => (None, Some(Some(failure::FailureReason::MonitorConfigError))),
        };
        Some(Self {
            healthy,
            failure_reason: reason.map(failure::text_of),
            failure_code: reason.map(failure::code_of),
            response_code: detail.and_then(|detail| detail.response_code),
            rtt: detail.and_then(|detail| detail.rtt_us).map(rtt_text),
        })
    }
}

pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<PoolId>) -> Answer<HealthBody> {
    let mut db = place.begin().await?;
    let pool = pools::find(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let health = health::of_pool(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let pops = worker_tokens::pops(&mut db).await?;
    let mut seen: BTreeMap<PopNo, Vec<BTreeMap<String, SeenBody>>> = BTreeMap::new();
    for origin in &pool.origins {
        let Some(votes) = health.checks.iter().find(|check| check.check_id == origin.check_id).and_then(|check| check.votes.as_ref())
        else {
            continue;
        };
        let seats = votes.electorate.regions().iter().flat_map(RegionSeats::seats);
        for (pop, ballot) in seats.zip(&votes.ballots) {
            if let Some(body) = SeenBody::of(*ballot) {
                seen.entry(*pop).or_default().push(BTreeMap::from([(origin.settings.address.clone(), body)]));
            }
        }
    }
    Ok(Envelope::of(HealthBody { pool_id: id, pop_health: by_place(seen, &pops, pool.settings.minimum_origins) }))
}

/// PoPs of one place tell together: it is healthy where all of them find it so.
fn by_place(seen: BTreeMap<PopNo, Vec<BTreeMap<String, SeenBody>>>, pops: &[Pop], minimum_origins: u32) -> BTreeMap<String, PlaceBody> {
    let mut places: BTreeMap<String, PlaceBody> = BTreeMap::new();
    for (no, origins) in seen {
        let name = pops.iter().find(|pop| pop.no == no).map_or_else(|| format!("unregistered PoP #{}", no.0), Pop::place);
        let up = origins.iter().flat_map(BTreeMap::values).filter(|seen| seen.healthy == Some(true)).count();
        let healthy = up >= minimum_origins as usize;
        let place = places.entry(name).or_insert(PlaceBody { healthy: true, origins: Vec::new() });
        place.healthy &= healthy;
        place.origins.extend(origins);
    }
    places
}
