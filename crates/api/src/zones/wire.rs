//! A zone as answers give it.

use quorate_core::ids::{AccountId, ZoneId};
use quorate_store::zones::Zone;
use schemars::JsonSchema;
use serde::Serialize;

use super::filter::STATUS;
use crate::envelope::Time;

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
    /// `full`, `partial`, `secondary` or `internal`, as asked for.
    #[serde(rename = "type")]
    kind: &'static str,
    /// 0, always.
    development_mode: u8,
    name_servers: [&'static str; 0],
    original_name_servers: Option<()>,
    original_registrar: Option<()>,
    original_dnshost: Option<()>,
    meta: Meta,
    plan: Plan,
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
#[expect(clippy::struct_excessive_bools, reason = "the shape of the wire")]
pub(crate) struct Meta {
    cdn_only: bool,
    custom_certificate_quota: u8,
    dns_only: bool,
    foundation_dns: bool,
    page_rule_quota: u8,
    phishing_detected: bool,
    step: u8,
}

/// What is paid for a zone: nothing. Always the same.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the shape of the wire")]
pub(crate) struct Plan {
    id: &'static str,
    name: &'static str,
    price: u8,
    currency: &'static str,
    frequency: &'static str,
    can_subscribe: bool,
    externally_managed: bool,
    is_subscribed: bool,
    legacy_discount: bool,
    legacy_id: &'static str,
}

const PLAN: Plan = Plan {
    id: "self-hosted",
    name: "Self-hosted",
    price: 0,
    currency: "USD",
    frequency: "",
    can_subscribe: false,
    externally_managed: false,
    is_subscribed: false,
    legacy_discount: false,
    legacy_id: "self-hosted",
};

impl From<Zone> for ZoneBody {
    fn from(zone: Zone) -> Self {
        Self {
            id: zone.id,
            name: zone.name,
            account: AccountOfZone { id: zone.account_id, name: zone.account_name.clone() },
            owner: Owner { id: zone.account_id, name: zone.account_name, kind: "organization" },
            status: STATUS,
            paused: false,
            kind: zone.kind.name(),
            development_mode: 0,
            name_servers: [],
            original_name_servers: None,
            original_registrar: None,
            original_dnshost: None,
            meta: Meta {
                cdn_only: false,
                custom_certificate_quota: 0,
                dns_only: true,
                foundation_dns: false,
                page_rule_quota: 0,
                phishing_detected: false,
                step: 0,
            },
            plan: PLAN,
            created_on: Time(zone.created_on),
            modified_on: Time(zone.modified_on),
            activated_on: Time(zone.created_on),
        }
    }
}
