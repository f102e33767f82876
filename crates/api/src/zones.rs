//! `/zones`: domains of the accounts.

mod filter;
mod wire;

use axum::extract::State;
use quorate_core::ids::{self, AccountId, ZoneId};
use quorate_core::validate::domain;
use quorate_store::zones::{self, ZoneKind};
use schemars::json_schema;
use serde_json::{Value, json};

use crate::Shared;
use crate::answer::{Answer, Deleted};
use crate::auth::{Administer, Caller, InZone, Know, Permitted};
use crate::body::{self, Bad, Fields, Told, id, object_of, one_of, text};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Params};
use crate::openapi::Query;
use crate::page::Page;
use filter::Filter;
use wire::ZoneBody;

const KINDS: [&str; 4] = ["full", "partial", "secondary", "internal"];

pub(crate) fn query() -> Vec<Query> {
    let text = || json_schema!({"type": "string"});
    let one_of = |legal: &[&str]| json_schema!({"type": "string", "enum": legal});
    vec![
        Query::new("name", "Only zones of this name; with an operator before it, such as `contains:shop` or `ends_with:.org`.", text()),
        Query::new("status", "Only zones of this status; all are active.", one_of(&filter::STATUSES)),
        Query::new("account.id", "Only zones of this account.", ids::schema()),
        Query::new("account.name", "Only zones of accounts of this name; operators as with `name`.", text()),
        Query::new("match", "Whether a zone has to be all that is asked for, or any of it.", one_of(&filter::MATCHES)),
        Query::new("order", "By what the list is ordered; by creation unless asked.", one_of(&filter::ORDERS)),
        Query::new("direction", "In that order, or the other way round.", one_of(&filter::DIRECTIONS)),
    ]
}

pub(crate) async fn list(caller: Caller, params: Params, page: Page) -> Answer<Vec<ZoneBody>> {
    let filter = Filter::of(&params)?;
    let mut db = caller.begin().await?;
    let found = filter.apply(zones::list(&mut db).await?);
    Ok(page.cut(found.into_iter().map(ZoneBody::from).collect()))
}

/// What a body may hold.
pub(crate) fn told() -> Told {
    body::told("Zone", asked_for).with("/name", json!({"maxLength": 253}))
}

/// Name, account and kind of a zone to be made.
fn asked_for(fields: &mut Fields<'_>) -> (Option<String>, Option<AccountId>, ZoneKind) {
    let name = fields.required("name", None, domain_name);
    let account = fields.required("account", None, object_of(account_id)).flatten();
    let kind = fields.read("type", "full".to_owned(), one_of(&KINDS));
    // Clients of another age ask for a scan of the records, which is over before it begins here.
    fields.read_only(&["jump_start", "id", "status", "name_servers", "created_on", "modified_on", "activated_on"]);
    (name, account, kind.parse().unwrap_or_default())
}

fn account_id(fields: &mut Fields<'_>) -> Option<AccountId> {
    fields.read_only(&["name"]);
    fields.required("id", None, id)
}

fn domain_name(label: &str, value: &Value) -> Result<String, Bad> {
    let name = text(label, value)?;
    domain(&name).ok_or_else(|| Bad::new(format!("{label} {name:?} is not a domain name of two or more labels")))
}

/// A zone widens which Host headers probes may carry, so only who administers the account makes one.
pub(crate) async fn create(State(state): State<Shared>, caller: Permitted<Administer>, body: Body) -> Answer<ZoneBody> {
    let (name, account, kind) = body::read(body.object()?, asked_for, |_| Vec::new())?;
    let (name, account) = name.zip(account).expect("both are required, so the read has failed without");
    let mut db = caller.in_account(account)?.begin().await?;
    let zone = zones::create_in(&state.api.db, &mut db, account, &name, kind).await?;
    db.commit().await?;
    Ok(Envelope::of(zone.into()))
}

pub(crate) async fn show(place: InZone<Know>) -> Answer<ZoneBody> {
    let (_, zone) = place.begin().await?;
    Ok(Envelope::of(zone.into()))
}

pub(crate) async fn delete(place: InZone<Administer>) -> Answer<Deleted<ZoneId>> {
    let (mut db, zone) = place.begin().await?;
    if !zones::delete_in(&mut db, zone.id).await? {
        return Err(ApiError::NotFound { resource: "zone" });
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id: zone.id }))
}
