//! What is published of a check, as a row of `check_state` joined to its origin or health check says it.

use quorate_core::ids::CheckId;
use quorate_core::vote::Published;

use super::reason;
use crate::error::Error;
use crate::row::Place;
use crate::verdicts::PublishedCheck;

/// The columns that matter; nothing in the required ones where the row is not there.
pub(super) struct CheckStateColumns {
    pub(super) config_gen: Option<i64>,
    pub(super) verdict: Option<i16>,
    pub(super) verdict_seq: Option<i64>,
    pub(super) reason: Option<i16>,
    pub(super) response_code: Option<i32>,
}

impl CheckStateColumns {
    /// `Error::Corrupt` where the row is not there, or says what nobody writes.
    pub(super) fn published(self, check_id: CheckId) -> Result<PublishedCheck, Error> {
        let place = Place { table: "check_state", key: check_id.as_bytes() };
        let (Some(config_gen), Some(verdict), Some(verdict_seq)) = (self.config_gen, self.verdict, self.verdict_seq) else {
            return Err(place.corrupt("a check without it"));
        };
        Ok(PublishedCheck {
            check_id,
            config_gen: place.number("config_gen", config_gen)?,
            verdict: Published::from_number(verdict).ok_or_else(|| place.corrupt(format_args!("verdict is {verdict}")))?,
            verdict_seq: place.number("verdict_seq", verdict_seq)?,
            reason: self.reason.map(|number| reason(place, number)).transpose()?,
            response_code: self.response_code.map(|code| place.number("response_code", code)).transpose()?,
        })
    }
}
