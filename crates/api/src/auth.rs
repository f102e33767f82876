//! Who is asking, and what they may do: tokens with permissions, each for its accounts, from where they may be used.

mod cache;
mod client;
mod credentials;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use quorate_core::ids::{AccountId, ZoneId};
use quorate_store::audit::Actor;
use quorate_store::header_secrets::Header;
use quorate_store::tokens::{self, Permission, Token, Validity};
use quorate_store::zones::{self, Zone};
use quorate_store::{Db, Reader, Tenant};
use tokio::time::Instant;

use crate::Shared;
use crate::error::ApiError;
use crate::extract::path_id;
use crate::limits::Meter;
use cache::Remembered;
pub(crate) use cache::TokenCache;
use credentials::Credentials;

/// A token that is known and not revoked; whether it is valid now and here is another question.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) token: Arc<Token>,
    /// Where the request came from; `None` where it came over no socket.
    address: Option<IpAddr>,
}

/// # Errors
/// No credentials, malformed or unknown ones, or too many requests.
impl FromRequestParts<Shared> for Identified {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let address = client::address(parts, &state.api.access.trusted_proxies);
        // Whoever is not known yet pays before the database is asked, and whoever is wrong pays too.
        let stranger = || address.map_or(Ok(()), |address| state.limiters.stranger(address));
        let credentials = Credentials::of(&parts.headers).or_else(|error| stranger().and(Err(error)))?;
        let digest = credentials.digest();
        // The time of asking, so that the answer is never believed for longer than the limit.
        let now = Instant::now();
        let remembered = state.tokens.get(&digest, now);
        if matches!(remembered, Remembered::Unknown) {
            stranger()?;
        }
        let token = match remembered {
            Remembered::Fresh(token) => token,
            Remembered::Stale | Remembered::Unknown => {
                let found = if credentials.is_well_formed() { look_up(state, credentials).await? } else { None };
                let Some(token) = found.filter(|token| token.revoked_on.is_none()).map(Arc::new) else {
                    state.tokens.forget(&digest);
                    return Err(credentials.unknown());
                };
                state.tokens.put(digest, now, Arc::clone(&token));
                token
            }
        };
        if let Some(meter) = parts.extensions.get::<Meter>() {
            state.limiters.request_of(token.id, meter)?;
        }
        Ok(Self { token, address })
    }
}

async fn look_up(state: &Shared, credentials: Credentials<'_>) -> Result<Option<Token>, ApiError> {
    let (db, pepper) = (&state.api.db, &state.api.pepper);
    Ok(match credentials {
        Credentials::Bearer(secret) => tokens::authenticate(db, pepper, secret).await?,
        Credentials::Key { email, key } => tokens::authenticate_key(db, pepper, email, key).await?,
    })
}

/// Whoever has a token that is valid now and here, whatever it may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: Arc<Token>,
    address: Option<IpAddr>,
    db: Db,
}

impl Caller {
    /// Everything that the token reaches.
    pub(crate) async fn begin(&self) -> Result<Tenant, ApiError> {
        Ok(self.db.tenant_by(&self.token.accounts, &self.actor()).await?)
    }

    /// Reads everything that the token reaches.
    pub(crate) fn reader(&self) -> Reader {
        self.db.reader(&self.token.accounts)
    }

    /// Who is behind what this request changes.
    fn actor(&self) -> Actor {
        Actor::Token { id: self.token.id, name: self.token.name.clone(), address: self.address }
    }

    /// Refuses an account that does not exist or that the token does not reach, alike.
    fn reaches(&self, account: AccountId) -> Result<AccountId, ApiError> {
        if self.token.accounts.contains(&account) { Ok(account) } else { Err(ApiError::OutOfReach) }
    }

    fn may<A: Access>(&self) -> Result<(), ApiError> {
        if A::ANY_OF.is_empty() || A::ANY_OF.iter().any(|needed| self.token.permissions.allow(*needed)) {
            Ok(())
        } else {
            Err(ApiError::NotPermitted)
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let Identified { token, address } = Identified::from_request_parts(parts, state).await?;
        match token.validity(state.api.clock.now()) {
            Validity::Active => {}
            Validity::NotYet => return Err(ApiError::TokenNotYetValid),
            Validity::Expired => return Err(ApiError::InvalidToken { expired: true }),
        }
        // Over no socket there is no address to refuse.
        match address.filter(|address| !token.allows_address(*address)) {
            Some(elsewhere) => Err(ApiError::AddressNotAllowed(elsewhere)),
            None => Ok(Self { token, address, db: state.api.db.clone() }),
        }
    }
}

/// What a route asks of a token.
pub(crate) trait Access: Send {
    /// One of these is enough; empty: any token will do.
    const ANY_OF: &'static [Permission];
}

macro_rules! accesses {
    ($($(#[$doc:meta])* $name:ident: $($permission:ident)|*),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Access for $name {
            const ANY_OF: &'static [Permission] = &[$(Permission::$permission),*];
        }
    )*};
}

accesses! {
    /// Reading what a token reaches: accounts and zones.
    Know: ,
    /// Reading monitors, pools and what belongs to them.
    Read: MonitorsAndPoolsRead,
    /// Changing monitors, pools and what belongs to them.
    Edit: MonitorsAndPoolsEdit,
    /// Reading load balancers.
    ReadBalancers: LoadBalancersRead,
    /// Changing load balancers.
    EditBalancers: LoadBalancersEdit,
    /// Reading events.
    ReadEvents: AnalyticsRead | MonitorsAndPoolsRead,
    /// Administering: the audit log, how the workers do, which zones there are.
    Administer: Admin,
}

/// A caller with that access to whatever the token reaches.
#[derive(Debug)]
pub(crate) struct Permitted<A> {
    caller: Caller,
    access: PhantomData<fn() -> A>,
}

impl<A> Permitted<A> {
    /// Reads everything that the token reaches.
    pub(crate) fn reader(&self) -> Reader {
        self.caller.reader()
    }

    /// An account that the body names, not the path.
    pub(crate) fn in_account(self, account: AccountId) -> Result<InAccount<A>, ApiError> {
        let account = self.caller.reaches(account)?;
        Ok(InAccount { account, caller: self.caller, access: PhantomData })
    }
}

impl<A: Access> FromRequestParts<Shared> for Permitted<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.may::<A>()?;
        Ok(Self { caller, access: PhantomData })
    }
}

/// An account that the caller may read or edit: the path's, or the token's own where the path names none.
#[derive(Debug)]
pub(crate) struct InAccount<A> {
    pub(crate) account: AccountId,
    caller: Caller,
    access: PhantomData<fn() -> A>,
}

impl<A> InAccount<A> {
    /// Takes secret values out of a header, unless the caller may edit what it belongs to. `marked`: the names that this calls
    /// secret beside those that are so by themselves.
    pub(crate) fn redact(&self, header: &mut Header, marked: &[String]) {
        if self.caller.may::<Edit>().is_err() {
            self.caller.db.header_secrets().redact(header, marked);
        }
    }

    /// Whether the values of that header are secret.
    pub(crate) fn is_secret_header(&self, name: &str, marked: &[String]) -> bool {
        self.caller.db.header_secrets().is_secret(name, marked)
    }

    /// Reads this account.
    pub(crate) fn reader(&self) -> Reader {
        self.caller.db.reader(&[self.account])
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
    /// Takes secret values out of a header, unless the caller may edit what it belongs to. `marked`: the names that this calls
    /// secret beside those that are so by themselves.
    pub(crate) fn redact(&self, header: &mut Header, marked: &[String]) {
        if self.caller.may::<Edit>().is_err() {
            self.caller.db.header_secrets().redact(header, marked);
        }
    }

    /// Whether the values of that header are secret.
    pub(crate) fn is_secret_header(&self, name: &str, marked: &[String]) -> bool {
        self.caller.db.header_secrets().is_secret(name, marked)
    }

    /// Reads everything that the token reaches.
    pub(crate) fn reader(&self) -> Reader {
        self.caller.reader()
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
