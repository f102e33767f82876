//! `/zones`: domains of the accounts. Made by the operator's commands; read here.

use quorate_core::ids::{self, AccountId, ZoneId};
use quorate_store::zones::{self, Zone};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{Caller, InZone, Read};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;
use crate::extract::Params;
use crate::openapi::Query;
use crate::page::Page;

/// A zone. What this product does not have is there with the value that says so, since typed clients ask for it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ZoneBody {
    id: ZoneId,
    name: String,
    account: AccountOfZone,
    owner: Owner,
    /// `active`, always.
    status: &'static str,
    paused: bool,
    /// `full`, always.
    #[serde(rename = "type")]
    kind: &'static str,
    development_mode: u8,
    name_servers: [&'static str; 0],
    original_name_servers: Option<()>,
    original_registrar: Option<()>,
    original_dnshost: Option<()>,
    meta: Meta,
    created_on: Time,
    modified_on: Time,
    activated_on: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AccountOfZone {
    id: AccountId,
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Owner {
    id: AccountId,
    name: String,
    /// `organization`, always.
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Meta {
    cdn_only: bool,
    dns_only: bool,
    phishing_detected: bool,
}

impl From<Zone> for ZoneBody {
    fn from(zone: Zone) -> Self {
        Self {
            id: zone.id,
            name: zone.name,
            account: AccountOfZone { id: zone.account_id, name: zone.account_name.clone() },
            owner: Owner { id: zone.account_id, name: zone.account_name, kind: "organization" },
            status: "active",
            paused: false,
            kind: "full",
            development_mode: 0,
            name_servers: [],
            original_name_servers: None,
            original_registrar: None,
            original_dnshost: None,
            meta: Meta { cdn_only: false, dns_only: true, phishing_detected: false },
            created_on: Time(zone.created_on),
            modified_on: Time(zone.modified_on),
            activated_on: Time(zone.created_on),
        }
    }
}

pub(crate) fn query() -> Vec<Query> {
    let text = || json_schema!({"type": "string"});
    vec![
        Query::new("name", "Only the zone of this name.", text()),
        Query::new("status", "Only zones of this status; all are active.", text()),
        Query::new("account.id", "Only zones of this account.", ids::schema()),
        Query::new("account.name", "Only zones of the account of this name.", text()),
        Query::new("direction", "In order of creation, or the other way round.", json_schema!({"type": "string", "enum": ["asc", "desc"]})),
    ]
}

pub(crate) async fn list(caller: Caller, params: Params, page: Page) -> Answer<Vec<ZoneBody>> {
    let account: Option<AccountId> = params.parsed("account.id", "an identifier")?;
    let mut db = caller.begin().await?;
    let mut found = zones::list(&mut db).await?;
    found.retain(|zone| {
        let is = |name: &str, value: &str| params.text(name).is_none_or(|wanted| wanted == value);
        is("name", &zone.name)
            && is("status", "active")
            && is("account.name", &zone.account_name)
            && account.is_none_or(|account| account == zone.account_id)
    });
    match params.text("direction") {
        None | Some("asc") => {}
        Some("desc") => found.reverse(),
        Some(other) => return Err(ApiError::InvalidQuery(format!("direction {other:?} is not one of asc, desc"))),
    }
    Ok(page.cut(found.into_iter().map(ZoneBody::from).collect()))
}

pub(crate) async fn show(place: InZone<Read>) -> Answer<ZoneBody> {
    let (_, zone) = place.begin().await?;
    Ok(Envelope::of(zone.into()))
}
