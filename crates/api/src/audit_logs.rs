//! `/accounts/{account_id}/audit_logs`: who changed what. For tokens that administer the account.

use jiff::Timestamp;
use quorate_core::ids::{AccountId, hex};
use quorate_store::audit::{self, Action, Actor, Entry, Filter};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{Administer, InAccount};
use crate::envelope::Time;
use crate::error::ApiError;
use crate::extract::Params;
use crate::openapi::Query;
use crate::page::{PER_PAGE_MAX, Page};

/// A change of one object.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditBody {
    /// 32 lower-case hexadecimal characters.
    id: String,
    when: Time,
    actor: ActorBody,
    action: ActionBody,
    resource: ResourceBody,
    owner: OwnerBody,
    /// `API`, or `CLI` for a command of the operator.
    interface: &'static str,
    metadata: MetadataBody,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ActorBody {
    /// `token` or `operator`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of the token; absent for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ActionBody {
    /// `create`, `update` or `delete`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// True, always: what failed changed nothing.
    result: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResourceBody {
    /// `account`, `zone`, `monitor`, `pool`, `load_balancer`, `token` and so on.
    #[serde(rename = "type")]
    kind: String,
    id: String,
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OwnerBody {
    id: AccountId,
}

/// What the change was, without its values, and its place in the account's chain.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MetadataBody {
    /// Names of the fields that differ; all of them for a creation or a deletion.
    changed: Vec<String>,
    /// SHA-256 of the object as JSON without its secrets; null: it was not there.
    before_sha256: Option<String>,
    /// Null: it is gone.
    after_sha256: Option<String>,
    /// From 1, without gaps in each account.
    sequence: u64,
    hash: String,
    /// The hash of the change before this one.
    previous_hash: String,
}

impl From<Entry> for AuditBody {
    fn from(entry: Entry) -> Self {
        let (interface, actor) = match entry.actor {
            Actor::Token { id, name, address } => (
                "API",
                ActorBody { kind: "token", id: Some(id.to_string()), name: Some(name), ip: address.map(|address| address.to_string()) },
            ),
            Actor::Operator => ("CLI", ActorBody { kind: "operator", id: None, name: None, ip: None }),
        };
        Self {
            // The hash is over the account, the place in its chain and what happened, so its half is as unique as an id.
            id: hex(&entry.hash[..16]),
            when: Time(entry.occurred_at),
            actor,
            action: ActionBody { kind: entry.action.name(), result: true },
            resource: ResourceBody { kind: entry.object_kind, id: entry.object_id, name: entry.object_name },
            owner: OwnerBody { id: entry.account_id },
            interface,
            metadata: MetadataBody {
                changed: entry.changed,
                before_sha256: entry.before.map(|digest| hex(&digest)),
                after_sha256: entry.after.map(|digest| hex(&digest)),
                sequence: entry.seq,
                hash: hex(&entry.hash),
                previous_hash: hex(&entry.previous),
            },
        }
    }
}

/// An absent parameter filters nothing.
fn filter(params: &Params) -> Result<Filter, ApiError> {
    let time = |name| {
        let time: Option<Timestamp> = params.parsed(name, "an RFC 3339 time such as 2026-01-01T00:00:00Z")?;
        // Nothing happened before the epoch, and the database's calendar is shorter than ours.
        Ok::<_, ApiError>(time.map(|time| time.max(Timestamp::UNIX_EPOCH)))
    };
    // The vendor's names beside ours, which are those of the events.
    let action = |name| params.parsed::<Action>(name, "one of create, update, delete");
    Ok(Filter {
        since: time("since")?,
        until: time("until")?.or(time("before")?),
        action: action("action")?.or(action("action.type")?),
        object_kind: params.text("resource.type").map(str::to_owned),
        object_id: params.text("resource.id").map(str::to_owned),
    })
}

/// The filters, told.
pub(crate) fn query() -> Vec<Query> {
    let time = || json_schema!({"type": "string", "format": "date-time"});
    let text = || json_schema!({"type": "string"});
    let action = || json_schema!({"type": "string", "enum": ["create", "update", "delete"]});
    vec![
        Query::new("since", "From this instant on.", time()),
        Query::new("until", "Before this instant.", time()),
        Query::new("before", "The same as `until`.", time()),
        Query::new("action", "Only this action.", action()),
        Query::new("action.type", "The same as `action`.", action()),
        Query::new("resource.type", "Only changes of objects of this type.", text()),
        Query::new("resource.id", "Only changes of this object.", text()),
    ]
}

pub(crate) async fn list(place: InAccount<Administer>, params: Params, page: Page) -> Answer<Vec<AuditBody>> {
    let per_page = page.per_page.unwrap_or(PER_PAGE_MAX);
    let limit = u32::try_from(per_page).expect("a page has at most a thousand items");
    let filter = filter(&params)?;
    let mut db = place.begin().await?;
    let (found, total) = audit::list(&mut db, place.account, &filter, (page.page - 1) * per_page, limit).await?;
    Ok(page.told(found.into_iter().map(AuditBody::from).collect(), per_page, total))
}
