//! `/user`: the token itself. There are no users here: a token is all there is.

use axum::extract::State;
use http::HeaderMap;
use quorate_core::ids::TokenId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Shared;
use crate::answer::Answer;
use crate::auth::{self, Caller};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;

/// Clients look for this code when they verify a token.
const VERIFIED: u32 = 10_000;

/// Whether a token works.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Verified {
    id: TokenId,
    /// `active` or `expired`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<Time>,
}

/// Who is asking, in the shape of a user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserBody {
    id: TokenId,
    /// The token's name.
    username: String,
    email: &'static str,
    first_name: Option<()>,
    last_name: Option<()>,
    suspended: bool,
    two_factor_authentication_enabled: bool,
    created_on: Time,
}

pub(crate) async fn verify(State(state): State<Shared>, headers: HeaderMap) -> Answer<Verified> {
    let token = auth::identify(&headers, &state).await.map_err(|error| match error {
        ApiError::InvalidToken { .. } => ApiError::NothingToVerify,
        other => other,
    })?;
    let expired = token.expires_on.is_some_and(|end| end <= state.api.clock.now());
    let (status, message) =
        if expired { ("expired", "This API Token is expired") } else { ("active", "This API Token is valid and active") };
    Ok(Envelope::of(Verified { id: token.id, status, expires_on: token.expires_on.map(Time) }).saying(VERIFIED, message))
}

pub(crate) async fn show(caller: Caller) -> Answer<UserBody> {
    Ok(Envelope::of(UserBody {
        id: caller.token.id,
        username: caller.token.name.clone(),
        email: "",
        first_name: None,
        last_name: None,
        suspended: false,
        two_factor_authentication_enabled: false,
        created_on: Time(caller.token.created_on),
    }))
}
