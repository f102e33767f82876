//! Who is asking, and what they may do: bearer tokens, scoped to accounts, read or edit.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use quorate_core::ids::{AccountId, ZoneId};
use quorate_store::audit::Actor;
use quorate_store::header_secrets::Header;
use quorate_store::tokens::{self, Scope, Token};
use quorate_store::zones::{self, Zone};
use quorate_store::{Db, Tenant};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::Shared;
use crate::error::ApiError;
use crate::extract::path_id;
use crate::serve::Peer;

/// How long a token may be believed without asking the database. A revoked one is refused after this
/// at the latest; five seconds are promised.
const TOKEN_TTL: Duration = Duration::from_secs(3);
/// Tokens remembered at once.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a bearer token; ours have 62.
const SECRET_BYTES_MAX: usize = 256;

/// A token with the time at which the database was asked for it.
type Seen = (Instant, Arc<Token>);

/// Tokens seen within [`TOKEN_TTL`], by the digest of their secrets.
#[derive(Default)]
pub(crate) struct TokenCache {
    tokens: Mutex<HashMap<[u8; 32], Seen>>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(..)")
    }
}

impl TokenCache {
    fn get(&self, digest: &[u8; 32], now: Instant) -> Option<Arc<Token>> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(digest).filter(|(seen, _)| now.duration_since(*seen) < TOKEN_TTL).map(|(_, token)| Arc::clone(token))
    }

    fn put(&self, digest: [u8; 32], now: Instant, token: Arc<Token>) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, (seen, _)| now.duration_since(*seen) < TOKEN_TTL);
        }
        if tokens.len() < TOKENS_MAX {
            tokens.insert(digest, (now, token));
        }
    }
}

/// The token behind the request's credentials, not revoked; expired or not.
///
/// # Errors
/// No credentials, malformed ones, or a token that is unknown or revoked.
pub(crate) async fn identify(headers: &HeaderMap, state: &Shared) -> Result<Arc<Token>, ApiError> {
    let secret = bearer(headers)?;
    if !tokens::is_well_formed(secret) {
        return Err(ApiError::InvalidToken { expired: false });
    }
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    // The time of asking, so that the answer is never believed for longer than the limit.
    let now = Instant::now();
    if let Some(token) = state.tokens.get(&digest, now) {
        return Ok(token);
    }
    let found = tokens::authenticate(&state.api.db, &state.api.pepper, secret).await?;
    let token = found.filter(|token| token.revoked_on.is_none()).map(Arc::new).ok_or(ApiError::InvalidToken { expired: false })?;
    state.tokens.put(digest, now, Arc::clone(&token));
    Ok(token)
}

/// The bearer token of the Authorization header.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let has_key = headers.contains_key("x-auth-key") || headers.contains_key("x-auth-email");
        return Err(if has_key { ApiError::UnknownKey } else { ApiError::NoCredentials });
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .filter(|secret| (1..=SECRET_BYTES_MAX).contains(&secret.len()) && secret.bytes().all(legal))
        .ok_or(ApiError::MalformedCredentials)
}

/// Whoever has a valid token, whatever it may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: Arc<Token>,
    /// Where the request came from; `None` where it came over no socket.
    address: Option<IpAddr>,
    db: Db,
}

impl Caller {
    /// Everything that the token reaches.
    pub(crate) async fn begin(&self) -> Result<Tenant, ApiError> {
        Ok(self.db.tenant_by(&self.token.accounts, &self.actor()).await?)
    }

    /// Who is behind what this request changes.
    fn actor(&self) -> Actor {
        Actor::Token { id: self.token.id, name: self.token.name.clone(), address: self.address }
    }

    /// Refuses an account that does not exist or that the token does not reach, alike.
    fn reaches(&self, account: AccountId) -> Result<AccountId, ApiError> {
        if self.token.accounts.contains(&account) { Ok(account) } else { Err(ApiError::OutOfReach) }
    }

    /// Changes in an account that the body names, not the path.
    pub(crate) fn edits(self, account: AccountId) -> Result<InAccount<Edit>, ApiError> {
        let account = self.reaches(account)?;
        self.may::<Edit>()?;
        Ok(InAccount { account, caller: self, access: PhantomData })
    }

    fn may<A: Access>(&self) -> Result<(), ApiError> {
        match (A::SCOPE, self.token.scope) {
            (Scope::Read, Scope::Read | Scope::Edit) | (Scope::Edit, Scope::Edit) => Ok(()),
            (Scope::Edit, Scope::Read) => Err(ApiError::ReadOnlyToken),
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let token = identify(&parts.headers, state).await?;
        if token.expires_on.is_some_and(|end| end <= state.api.clock.now()) {
            return Err(ApiError::InvalidToken { expired: true });
        }
        let address = parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
        Ok(Self { token, address, db: state.api.db.clone() })
    }
}

/// What a route asks of a token.
pub(crate) trait Access: Send {
    const SCOPE: Scope;
}

/// Reading.
#[derive(Debug)]
pub(crate) struct Read;
/// Changing.
#[derive(Debug)]
pub(crate) struct Edit;

impl Access for Read {
    const SCOPE: Scope = Scope::Read;
}

impl Access for Edit {
    const SCOPE: Scope = Scope::Edit;
}

/// An account that the caller may read or edit: the path's, or the token's own where the path names none.
#[derive(Debug)]
pub(crate) struct InAccount<A> {
    pub(crate) account: AccountId,
    caller: Caller,
    access: PhantomData<fn() -> A>,
}

impl<A> InAccount<A> {
    /// Takes secret values out of a header, unless the caller may edit what it belongs to.
    pub(crate) fn redact(&self, header: &mut Header) {
        if self.caller.may::<Edit>().is_err() {
            self.caller.db.header_secrets().redact(header);
        }
    }

    /// Whether the values of that header are secret.
    pub(crate) fn is_secret_header(&self, name: &str) -> bool {
        self.caller.db.header_secrets().is_secret(name)
    }

    /// Begins a transaction that sees this account.
    pub(crate) async fn begin(&self) -> Result<Tenant, ApiError> {
        Ok(self.caller.db.tenant_by(&[self.account], &self.caller.actor()).await?)
    }
}

impl<A: Access> FromRequestParts<Shared> for InAccount<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let account = match path_id::<AccountId>(parts, state).await? {
            Some(account) => caller.reaches(account)?,
            None => caller.token.accounts.first().copied().ok_or(ApiError::OutOfReach)?,
        };
        caller.may::<A>()?;
        Ok(Self { account, caller, access: PhantomData })
    }
}

/// A zone of the path that the caller may read or edit.
#[derive(Debug)]
pub(crate) struct InZone<A> {
    id: ZoneId,
    caller: Caller,
    access: PhantomData<fn() -> A>,
}

impl<A> InZone<A> {
    /// Takes secret values out of a header, unless the caller may edit what it belongs to.
    pub(crate) fn redact(&self, header: &mut Header) {
        if self.caller.may::<Edit>().is_err() {
            self.caller.db.header_secrets().redact(header);
        }
    }

    /// Whether the values of that header are secret.
    pub(crate) fn is_secret_header(&self, name: &str) -> bool {
        self.caller.db.header_secrets().is_secret(name)
    }

    /// Begins a transaction that sees the zone's account.
    ///
    /// # Errors
    /// Not found, alike for a zone that does not exist and for one that the token does not reach.
    pub(crate) async fn begin(&self) -> Result<(Tenant, Zone), ApiError> {
        let mut db = self.caller.begin().await?;
        let zone = zones::find(&mut db, self.id).await?.ok_or(ApiError::NotFound { resource: "zone" })?;
        Ok((db, zone))
    }
}

impl<A: Access> FromRequestParts<Shared> for InZone<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let id = path_id::<ZoneId>(parts, state).await?.expect("the route names a zone");
        caller.may::<A>()?;
        Ok(Self { id, caller, access: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn only_a_bearer_token_is_a_credential_here() {
        let code = |pairs: &[(&'static str, &'static str)]| match bearer(&headers(pairs)) {
            Ok(secret) => secret.to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(code(&[("authorization", "Bearer qrt_x")]), "qrt_x");
        assert_eq!(code(&[("authorization", "bearer  qrt_x")]), "qrt_x");
        assert_eq!(code(&[]), "NoCredentials");
        assert_eq!(code(&[("x-auth-email", "a@b"), ("x-auth-key", "k")]), "UnknownKey");
        for malformed in ["Bearer", "Bearer ", "Basic YTpi", "qrt_x", "Bearer a b", "Bearer a\"b"] {
            assert_eq!(code(&[("authorization", malformed)]), "MalformedCredentials", "{malformed}");
        }
    }

    #[test]
    fn a_token_is_believed_for_three_seconds_and_no_longer() {
        let cache = TokenCache::default();
        let token = Arc::new(Token {
            id: quorate_core::ids::TokenId::from_bytes([1; 16]),
            name: "ci".to_owned(),
            scope: Scope::Edit,
            accounts: Vec::new(),
            created_on: jiff::Timestamp::UNIX_EPOCH,
            expires_on: None,
            revoked_on: None,
            last_used_on: None,
        });
        let start = Instant::now();
        cache.put([7; 32], start, token);
        assert!(cache.get(&[7; 32], start + Duration::from_millis(2_999)).is_some());
        assert!(cache.get(&[7; 32], start + Duration::from_secs(3)).is_none());
        assert!(cache.get(&[8; 32], start).is_none());
    }
}
