//! A tick as the arrays of the one call that commits it.

use quorate_core::event::EventOrigin;
use quorate_core::failure::FailureReason;
use quorate_core::vote::Published;

use super::{NewEvent, Tick};
use crate::error::Error;
use crate::row::{Place, big};

/// Arrays of one kind are of one length, one element a row.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) check_accounts: Vec<&'a [u8]>,
    pub(super) check_ids: Vec<&'a [u8]>,
    pub(super) check_gens: Vec<i64>,
    pub(super) check_seqs: Vec<i64>,
    pub(super) check_verdicts: Vec<i16>,
    pub(super) check_reasons: Vec<Option<i16>>,
    pub(super) check_codes: Vec<Option<i32>>,
    pub(super) pool_accounts: Vec<&'a [u8]>,
    pub(super) pool_ids: Vec<&'a [u8]>,
    pub(super) pool_seqs: Vec<i64>,
    pub(super) pool_states: Vec<i16>,
    pub(super) event_accounts: Vec<&'a [u8]>,
    pub(super) event_pools: Vec<&'a [u8]>,
    pub(super) event_pool_names: Vec<&'a str>,
    pub(super) event_pool_healthy: Vec<Option<bool>>,
    pub(super) event_checks: Vec<Option<&'a [u8]>>,
    pub(super) event_seqs: Vec<Option<i64>>,
    pub(super) event_origin_names: Vec<Option<&'a str>>,
    pub(super) event_origin_healthy: Vec<Option<bool>>,
    /// JSON.
    pub(super) event_bodies: Vec<String>,
}

impl<'a> Columns<'a> {
    /// `Error::Corrupt` for an event of a check that the tick does not change.
    pub(super) fn of(tick: &'a Tick) -> Result<Self, Error> {
        let mut columns = Self::default();
        for change in &tick.checks {
            columns.check_accounts.push(change.account_id.as_bytes());
            columns.check_ids.push(change.check_id.as_bytes());
            columns.check_gens.push(big(change.config_gen));
            columns.check_seqs.push(big(change.expected_seq));
            columns.check_verdicts.push(Published::from(change.verdict).number());
            columns.check_reasons.push(change.reason.map(|reason| i16::from(FailureReason::wire(reason))));
            columns.check_codes.push(change.response_code.map(i32::from));
        }
        for change in &tick.pools {
            columns.pool_accounts.push(change.account_id.as_bytes());
            columns.pool_ids.push(change.pool_id.as_bytes());
            columns.pool_seqs.push(big(change.expected_seq));
            columns.pool_states.push(change.state.number());
        }
        for event in &tick.events {
            columns.add_event(tick, event)?;
        }
        Ok(columns)
    }

    fn add_event(&mut self, tick: &Tick, event: &'a NewEvent) -> Result<(), Error> {
        let place = Place { table: "health_event", key: event.pool_id.as_bytes() };
        let seq = event.check_id.map(|id| {
            let change = tick.checks.iter().find(|change| change.check_id == id);
            change
                .map(|change| big(change.expected_seq + 1))
                .ok_or_else(|| place.corrupt(format_args!("the tick does not change check {id}")))
        });
        let origin: Option<&EventOrigin> = event.body.origins.iter().find(|origin| origin.changed);
        self.event_seqs.push(seq.transpose()?);
        self.event_accounts.push(event.account_id.as_bytes());
        self.event_pools.push(event.pool_id.as_bytes());
        self.event_pool_names.push(&event.body.pool.name);
        self.event_pool_healthy.push(event.body.pool.healthy);
        self.event_checks.push(event.check_id.as_ref().map(|id| id.as_bytes().as_slice()));
        self.event_origin_names.push(origin.map(|origin| origin.name.as_str()));
        self.event_origin_healthy.push(origin.and_then(|origin| origin.healthy));
        self.event_bodies.push(serde_json::to_string(&event.body).map_err(|problem| place.corrupt(format_args!("body: {problem}")))?);
        Ok(())
    }
}
