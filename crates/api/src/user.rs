//! `/user`: the token itself. There are no users here: a token is all there is.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use quorate_core::ids::TokenId;
use quorate_store::tokens::{Token, Validity};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Shared;
use crate::answer::Answer;
use crate::auth::{Caller, Identified};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;

/// Clients look for this code when they verify a token.
const VERIFIED: u32 = 10_000;

/// Whether a token works.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Verified {
    id: TokenId,
    /// `active`; `disabled` before its time; `expired`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<Time>,
}

/// Who is asking, in the shape of a user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserBody {
    id: TokenId,
    /// The token's name.
    username: String,
    /// Of a pair of address and key; else empty.
    email: String,
    first_name: Option<()>,
    last_name: Option<()>,
    suspended: bool,
    two_factor_authentication_enabled: bool,
    created_on: Time,
}

/// A token that is unknown or revoked is answered unlike elsewhere: clients look for it.
#[derive(Debug)]
pub(crate) struct Verifiable(Arc<Token>);

impl FromRequestParts<Shared> for Verifiable {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        match Identified::from_request_parts(parts, state).await {
            Ok(Identified { token, .. }) if token.email.is_some() => Err(ApiError::NotForKeys),
            Ok(Identified { token, .. }) => Ok(Self(token)),
            Err(ApiError::InvalidToken { .. }) => Err(ApiError::NothingToVerify),
            Err(other) => Err(other),
        }
    }
}

pub(crate) async fn verify(State(state): State<Shared>, Verifiable(token): Verifiable) -> Answer<Verified> {
    let (status, message) = match token.validity(state.api.clock.now()) {
        Validity::Active => ("active", "This API Token is valid and active"),
        Validity::NotYet => ("disabled", "This API Token is not valid yet"),
        Validity::Expired => ("expired", "This API Token is expired"),
    };
    let verified = Verified { id: token.id, status, not_before: token.not_before.map(Time), expires_on: token.expires_on.map(Time) };
    Ok(Envelope::of(verified).saying(VERIFIED, message))
}

pub(crate) async fn show(caller: Caller) -> Answer<UserBody> {
    Ok(Envelope::of(UserBody {
        id: caller.token.id,
        username: caller.token.name.clone(),
        email: caller.token.email.clone().unwrap_or_default(),
        first_name: None,
        last_name: None,
        suspended: false,
        two_factor_authentication_enabled: false,
        created_on: Time(caller.token.created_on),
    }))
}
