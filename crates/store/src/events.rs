//! Recorded verdict changes.

use jiff::Timestamp;
use quorate_core::event::EventBody;
use quorate_core::ids::PoolId;

use crate::db::{Operator, Tenant};
use crate::error::Error;

/// Absent: filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub pool_id: Option<PoolId>,
    pub pool_name: Option<String>,
    /// The pool after the change.
    pub pool_healthy: Option<bool>,
    /// The changed origin.
    pub origin_name: Option<String>,
    pub origin_healthy: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Unique, below 2^53, increasing with time.
    pub id: u64,
    pub occurred_at: Timestamp,
    pub body: EventBody,
}

/// Newest first by (`occurred_at`, id), with the total that matches the filter.
pub async fn list(db: &mut Tenant, filter: &EventFilter, offset: u64, limit: u32) -> Result<(Vec<Event>, u64), Error> {
    unimplemented!("{db:?}{filter:?}{offset}{limit}")
}

/// Events after `id`, oldest first: for `up`, which prints them live.
pub async fn after(op: &mut Operator, id: u64, limit: u32) -> Result<Vec<Event>, Error> {
    unimplemented!("{op:?}{id}{limit}")
}

/// Creates the daily partitions for today and `days_ahead` days, drops those older than `retain_days`.
/// One caller at a time does the work; answers how many were created and dropped.
pub async fn keep_partitions(op: &mut Operator, days_ahead: u16, retain_days: u16) -> Result<(u32, u32), Error> {
    unimplemented!("{op:?}{days_ahead}{retain_days}")
}
