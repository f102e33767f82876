//! `/accounts/{account_id}/load_balancers/monitors`: what to ask of origins.

use std::collections::BTreeMap;

use quorate_core::ids::MonitorId;
use quorate_core::monitor::{
    BODY_BYTES_MAX, CONSECUTIVE, HEADER_BYTES_MAX, HEADER_NAMES_MAX, INTERVAL_MAX_S, Monitor, MonitorKind, MonitorSettings, PATH_BYTES_MAX,
    RETRIES, TCP_METHOD, TIMEOUT_S,
};
use quorate_core::validate::{DESCRIPTION_CHARS_MAX, FieldError, pointer_token};
use quorate_store::header_secrets::{Header, REDACTED};
use quorate_store::monitors;
use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::accounts::{enabled, limits};
use crate::answer::{Answer, Deleted};
use crate::auth::{Edit, InAccount, Read};
use crate::body::{self, Bad, Fields, Object, Told, asked, flag, integer, list_of, map_of, parsed, text};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::page::Page;

pub(crate) const NOT_FOUND: ApiError = ApiError::NotFound { resource: "monitor" };

/// A monitor, as every answer gives it. Fields that mean nothing for its type are there with their defaults.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MonitorBody {
    id: MonitorId,
    created_on: Time,
    modified_on: Time,
    /// `http`, `https`, `tcp`, `udp_icmp`, `icmp_ping` or `smtp`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// At most 1,024 characters.
    description: String,
    /// `GET`, `HEAD`, `OPTIONS` or `POST`; `connection_established` for TCP; empty for other types.
    method: String,
    path: String,
    /// Request headers: name to values. Absent where there are none. A secret value is `[redacted]` for a token that may
    /// not edit; a header without values is one whose key is lost, and has to be given anew.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: BTreeMap<String, Vec<String>>,
    /// Names of headers whose values are secret, beside Authorization, Cookie, Proxy-Authorization and those that the
    /// operator names. Absent where there are none. Ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secret_headers: Vec<String>,
    /// 0: the origin's, else the protocol's.
    port: u16,
    /// Seconds, 1 to 60.
    timeout: u16,
    /// Immediate and for timeouts only, 0 to 5.
    retries: u8,
    /// Seconds, from the account's minimum to 3,600.
    interval: u16,
    /// Passes in a row that turn a PoP's vote up; 0 to 100, 0 and 1 are the same.
    consecutive_up: u8,
    /// Failures in a row that turn a PoP's vote down; 0 to 100, 0 and 1 are the same.
    consecutive_down: u8,
    /// Codes (`200`), classes (`2xx`) and ranges (`200-299`), separated by commas; empty means 200.
    expected_codes: String,
    /// Looked for in the first 10,240 bytes of the answer's body, ignoring case; empty: not looked for.
    expected_body: String,
    follow_redirects: bool,
    /// HTTPS: certificates are not verified.
    allow_insecure: bool,
    /// HTTP and HTTPS: whose client certificate and further authorities a probe brings, where a worker has some for it.
    probe_zone: String,
}

impl MonitorBody {
    /// As whoever is in that place may see it.
    fn of<A>(monitor: Monitor, place: &InAccount<A>) -> Self {
        let Monitor { id, account_id: _, mut settings, created_on, modified_on } = monitor;
        place.redact(&mut settings.header, &settings.secret_headers);
        Self {
            id,
            created_on: Time(created_on),
            modified_on: Time(modified_on),
            kind: settings.kind.name(),
            description: settings.description,
            method: settings.method,
            path: settings.path,
            header: settings.header,
            secret_headers: settings.secret_headers,
            port: settings.port,
            timeout: settings.timeout,
            retries: settings.retries,
            interval: settings.interval,
            consecutive_up: settings.consecutive_up,
            consecutive_down: settings.consecutive_down,
            expected_codes: settings.expected_codes,
            expected_body: settings.expected_body,
            follow_redirects: settings.follow_redirects,
            allow_insecure: settings.allow_insecure,
            probe_zone: settings.probe_zone,
        }
    }
}

/// The settings that a body asks for; `stored` under a PATCH.
pub(crate) fn settings(object: Object, stored: Option<&MonitorSettings>, minimum_interval: u16) -> Result<MonitorSettings, ApiError> {
    body::read(object, reader(stored, minimum_interval), MonitorSettings::problems)
}

/// The fields of a monitor.
fn reader(stored: Option<&MonitorSettings>, minimum_interval: u16) -> impl FnOnce(&mut Fields<'_>) -> MonitorSettings {
    move |fields| {
        let kind = fields.read("type", stored.map_or_else(Default::default, |stored| stored.kind), parsed);
        let fresh = MonitorSettings::of_kind(kind);
        let mut base = stored.cloned().unwrap_or_else(|| fresh.clone());
        // A PATCH from one type to another takes the new type's defaults for what only had the old one's.
        if base.kind.default_method() != kind.default_method() {
            base.method.clone_from(&fresh.method);
        }
        if base.kind.default_expected_codes() != kind.default_expected_codes() {
            base.expected_codes.clone_from(&fresh.expected_codes);
        }
        let settings = MonitorSettings {
            kind,
            description: fields.optional("description", Some(base.description), text).unwrap_or_default(),
            method: fields.read("method", base.method, unless_empty(&fresh.method)),
            path: fields.read("path", base.path, unless_empty(if kind.is_http() { "/" } else { "" })),
            header: fields.optional("header", Some(base.header), map_of(list_of(text))).unwrap_or_default(),
            secret_headers: fields.optional("secret_headers", Some(base.secret_headers), list_of(text)).unwrap_or_default(),
            port: fields.optional("port", Some(base.port), integer(0..=u16::MAX)).unwrap_or_default(),
            timeout: fields.read("timeout", base.timeout, integer(TIMEOUT_S)),
            retries: fields.read("retries", base.retries, integer(RETRIES)),
            interval: fields.read("interval", base.interval, interval(minimum_interval)),
            consecutive_up: fields.optional("consecutive_up", Some(base.consecutive_up), integer(CONSECUTIVE)).unwrap_or_default(),
            consecutive_down: fields.optional("consecutive_down", Some(base.consecutive_down), integer(CONSECUTIVE)).unwrap_or_default(),
            expected_codes: fields.read("expected_codes", base.expected_codes, text),
            expected_body: fields.read("expected_body", base.expected_body, text),
            follow_redirects: fields.read("follow_redirects", base.follow_redirects, flag),
            allow_insecure: fields.read("allow_insecure", base.allow_insecure, flag),
            probe_zone: fields.read("probe_zone", base.probe_zone, text),
        };
        fields.read_only(&["id", "created_on", "modified_on"]);
        settings
    }
}

/// What a body may hold. The least interval is the account's.
pub(crate) fn told() -> Told {
    let kinds = MonitorKind::ALL.map(MonitorKind::name);
    body::told("Monitor", reader(None, 1))
        .with("/type", json!({"enum": kinds, "default": "http"}))
        .with("/description", json!({"maxLength": DESCRIPTION_CHARS_MAX, "default": ""}))
        .with("/method", json!({"enum": ["GET", "HEAD", "OPTIONS", "POST", TCP_METHOD, ""]}))
        .with("/path", json!({"pattern": "^(/[!-~]*)?$", "maxLength": PATH_BYTES_MAX}))
        .with("/header", json!({"maxProperties": HEADER_NAMES_MAX}))
        .with("/header/*", json!({"minItems": 1}))
        .with("/header/*/0", json!({"maxLength": HEADER_BYTES_MAX}))
        .with("/secret_headers", json!({"maxItems": HEADER_NAMES_MAX, "uniqueItems": true, "default": []}))
        .with("/secret_headers/0", secret_header_name())
        .with("/port", json!({"default": 0}))
        .with("/timeout", json!({"default": 5}))
        .with("/retries", json!({"default": 2}))
        .with("/interval", json!({"default": 60}))
        .with("/consecutive_up", json!({"default": 0}))
        .with("/consecutive_down", json!({"default": 0}))
        .with("/expected_codes", json!({"pattern": "^( *([1-5]([0-9][0-9]|xx)|[1-5][0-9][0-9]-[1-5][0-9][0-9]) *(, *|$))*$"}))
        .with("/expected_body", json!({"maxLength": BODY_BYTES_MAX, "default": ""}))
        .with("/follow_redirects", json!({"default": false}))
        .with("/allow_insecure", json!({"default": false}))
        .with("/probe_zone", json!({"maxLength": 253, "default": ""}))
}

/// What a schema can say of the name of a secret header.
pub(crate) fn secret_header_name() -> Value {
    json!({"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "maxLength": HEADER_BYTES_MAX})
}

pub(crate) fn refuse_redacted(settings: &MonitorSettings, place: &InAccount<Edit>) -> Result<(), ApiError> {
    refuse_redacted_in("", &settings.header, |name| place.is_secret_header(name, &settings.secret_headers))
}

/// What stands for a secret in an answer is no value: a client that sends back what it could not read must not lose it.
/// `below`: the pointer of the object that has the header.
pub(crate) fn refuse_redacted_in(below: &str, header: &Header, is_secret: impl Fn(&str) -> bool) -> Result<(), ApiError> {
    let redacted = |(name, values): &(&String, &Vec<String>)| is_secret(name) && values.iter().any(|value| value == REDACTED);
    let refused = |(name, _): (&String, _)| {
        FieldError::new(
            format!("{below}/header/{}", pointer_token(name)),
            format!("header {name:?} is {REDACTED:?}, which stands for a value that the reader may not see"),
        )
    };
    let problems: Vec<FieldError> = header.iter().filter(redacted).map(refused).collect();
    if problems.is_empty() { Ok(()) } else { Err(ApiError::Invalid(problems)) }
}

/// A text, of which the empty one stands for the default.
fn unless_empty(default: &str) -> impl Fn(&str, &Value) -> Result<String, Bad> {
    move |label, value| text(label, value).map(|text| if text.is_empty() { default.to_owned() } else { text })
}

/// Clients know this message, so it has its own form.
pub(crate) fn interval(minimum: u16) -> impl Fn(&str, &Value) -> Result<u16, Bad> {
    move |label, value| {
        asked(value, || json_schema!({"type": "integer", "minimum": minimum, "maximum": INTERVAL_MAX_S}))?;
        let refused = || Bad::new(format!("interval is not in range [{minimum}, {INTERVAL_MAX_S}]"));
        let number: i64 = integer(i64::MIN..=i64::MAX)(label, value).map_err(|_| refused())?;
        u16::try_from(number).ok().filter(|seconds| (minimum..=INTERVAL_MAX_S).contains(seconds)).ok_or_else(refused)
    }
}

pub(crate) async fn list(place: InAccount<Read>, page: Page) -> Answer<Vec<MonitorBody>> {
    let mut db = place.begin().await?;
    let found = monitors::list(&mut db, place.account).await?;
    Ok(page.cut(found.into_iter().map(|monitor| MonitorBody::of(monitor, &place)).collect()))
}

pub(crate) async fn create(place: InAccount<Edit>, body: Body) -> Answer<MonitorBody> {
    let mut db = place.begin().await?;
    let account = enabled(&mut db, place.account).await?;
    let settings = settings(body.object()?, None, account.limits.minimum_monitor_interval)?;
    refuse_redacted(&settings, &place)?;
    let monitor = monitors::create(&mut db, place.account, &settings).await?;
    db.commit().await?;
    Ok(Envelope::of(MonitorBody::of(monitor, &place)))
}

pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<MonitorId>) -> Answer<MonitorBody> {
    let mut db = place.begin().await?;
    let monitor = monitors::find(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    Ok(Envelope::of(MonitorBody::of(monitor, &place)))
}

pub(crate) async fn replace(place: InAccount<Edit>, id: Id<MonitorId>, body: Body) -> Answer<MonitorBody> {
    write(place, id, body, |_| None).await
}

pub(crate) async fn patch(place: InAccount<Edit>, id: Id<MonitorId>, body: Body) -> Answer<MonitorBody> {
    write(place, id, body, |stored| Some(&stored.settings)).await
}

async fn write(
    place: InAccount<Edit>,
    Id(id): Id<MonitorId>,
    body: Body,
    base: impl Fn(&Monitor) -> Option<&MonitorSettings>,
) -> Answer<MonitorBody> {
    let mut db = place.begin().await?;
    let stored = monitors::find_for_update(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let limits = limits(&mut db, place.account).await?;
    let settings = settings(body.object()?, base(&stored), limits.minimum_monitor_interval)?;
    refuse_redacted(&settings, &place)?;
    let monitor = monitors::replace(&mut db, place.account, id, &settings).await?.ok_or(NOT_FOUND)?;
    db.commit().await?;
    Ok(Envelope::of(MonitorBody::of(monitor, &place)))
}

pub(crate) async fn delete(place: InAccount<Edit>, Id(id): Id<MonitorId>) -> Answer<Deleted<MonitorId>> {
    let mut db = place.begin().await?;
    if !monitors::delete(&mut db, place.account, id).await? {
        return Err(NOT_FOUND);
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id }))
}
