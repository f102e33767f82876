//! What handlers return.

use schemars::JsonSchema;
use serde::Serialize;

use crate::envelope::Envelope;
use crate::error::ApiError;

pub(crate) type Answer<T> = Result<Envelope<T>, ApiError>;

/// What is left of an object after its deletion.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Deleted<I> {
    pub(crate) id: I,
}
