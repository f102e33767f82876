//! The result of a preview, in the shape that clients know, with each region's word beside it.

use std::collections::BTreeMap;

use quorate_core::evidence::rtt_text;
use quorate_core::failure::{self, FailureReason};
use quorate_core::phase::{Phase, Phases};
use quorate_core::pop::Pop;
use quorate_core::preview::{Answer, OriginOutcome, PreviewPool, Seen};
use quorate_core::region::Region;
use quorate_core::vote::VoteState;
use schemars::JsonSchema;
use serde::Serialize;

/// What has been seen of a pool.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PoolResult {
    /// `pending` until every region has answered or will not; then `finished`.
    status: &'static str,
    /// Whether at least `minimum_origins` origins pass; null until it is finished, and where nothing is known.
    healthy: Option<bool>,
    /// One object an enabled origin, with one key: the origin's address.
    origins: Vec<BTreeMap<String, OriginResult>>,
}

/// What has been seen of an origin.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OriginResult {
    /// What a majority of the regions says; null where none does, or not yet.
    healthy: Option<bool>,
    #[serde(flatten)]
    told: Told,
    /// Whole days until the origin's certificate ends, negative once it has: the fewest of all regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_days_left: Option<i32>,
    /// What each region says, by its code.
    regions: BTreeMap<&'static str, RegionResult>,
}

/// What one region says of an origin.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct RegionResult {
    /// `pending`, `answered`, `no_workers` (none is registered there) or `unanswered` (none answered in time).
    status: &'static str,
    /// Where it was probed from: `London, GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pop: Option<String>,
    /// Null: not answered, or the worker abstains.
    healthy: Option<bool>,
    #[serde(flatten)]
    told: Told,
    /// How long each phase of the last attempt took that was reached: `resolve`, `connect`, `tls`, `request`, `first_byte`,
    /// `headers` (where the head of the answer did not come at once), `body`; SMTP has a `dialog`, a ping an `echo`, UDP a
    /// `datagram` beside it; over several connections together. `12.1ms`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    phases: BTreeMap<&'static str, String>,
    /// Whole days until the origin's certificate ends, negative once it has; over redirects the fewest.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_days_left: Option<i32>,
    /// Why the probe cannot be made as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What stands behind `healthy`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Told {
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

impl PoolResult {
    pub(super) fn of<'a>(pool: &PreviewPool, answer: impl Fn(Region) -> Option<&'a Answer>, pops: &[Pop]) -> Self {
        let outcome = pool.outcome(&answer);
        let origin = |(index, (settings, seen)): (usize, (&quorate_core::pool::OriginSettings, &OriginOutcome))| {
            let regions = pool.regions.iter().map(|region| (region.code(), RegionResult::of(answer(*region), index, pops)));
            let told = Told::of(seen.healthy, seen.reason, seen.response_code, seen.rtt_us);
            let certificate_days_left = seen.certificate_days_left;
            let result = OriginResult { healthy: seen.healthy, told, certificate_days_left, regions: regions.collect() };
            BTreeMap::from([(settings.address.clone(), result)])
        };
        Self {
            status: if outcome.finished { "finished" } else { "pending" },
            healthy: outcome.healthy,
            origins: pool.origins.iter().zip(&outcome.origins).enumerate().map(origin).collect(),
        }
    }
}

impl RegionResult {
    fn of(answer: Option<&Answer>, origin: usize, pops: &[Pop]) -> Self {
        let silent = |status| Self { status, ..Self::default() };
        match answer {
            None | Some(Answer::Pending) => silent("pending"),
            Some(Answer::NoWorkers) => silent("no_workers"),
            Some(Answer::Unanswered) => silent("unanswered"),
            Some(Answer::Seen { pop, origins }) => {
                let place = pops.iter().find(|known| known.no == *pop).map_or_else(|| format!("unregistered PoP #{}", pop.0), Pop::place);
                let Some(Seen { detail, phases, certificate_days_left, error }) = origins.get(origin) else { return silent("unanswered") };
                let healthy = match detail.state {
                    VoteState::Up => Some(true),
                    VoteState::Down => Some(false),
                    VoteState::Unknown | VoteState::ConfigError => None,
                };
                Self {
                    status: "answered",
                    pop: Some(place),
                    healthy,
                    told: Told::of(healthy, detail.reason, detail.response_code, detail.rtt_us),
                    phases: phases_text(phases),
                    certificate_days_left: *certificate_days_left,
                    error: error.clone(),
                }
            }
        }
    }
}

fn phases_text(phases: &Phases) -> BTreeMap<&'static str, String> {
    Phase::ALL.iter().zip(phases.us()).filter(|(_, us)| *us > 0).map(|(phase, us)| (phase.name(), rtt_text(us))).collect()
}

impl Told {
    fn of(healthy: Option<bool>, reason: Option<FailureReason>, response_code: Option<u16>, rtt_us: Option<u32>) -> Self {
        let is_told = healthy.is_some() || reason.is_some();
        Self {
            failure_reason: is_told.then(|| failure::text_of(reason)),
            failure_code: is_told.then(|| failure::code_of(reason)),
            response_code,
            rtt: rtt_us.map(rtt_text),
        }
    }
}
