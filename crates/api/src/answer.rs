//! What handlers return.

use serde::Serialize;

use crate::envelope::Envelope;
use crate::error::ApiError;

pub(crate) type Answer<T> = Result<Envelope<T>, ApiError>;

/// What is left of an object after its deletion.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted<I> {
    pub(crate) id: I,
}
