//! A health check as answers give it and as bodies ask for it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use quorate_core::failure;
use quorate_core::healthcheck::{
    Healthcheck, HealthcheckKind, HealthcheckSettings, HealthcheckStatus, HttpConfig, METHODS, SAS_CODE, TcpConfig,
};
use quorate_core::ids::HealthcheckId;
use quorate_core::monitor::{
    BODY_BYTES_MAX, CONSECUTIVE, HEADER_BYTES_MAX, HEADER_NAMES_MAX, PATH_BYTES_MAX, RETRIES, TCP_METHOD, TIMEOUT_S,
};
use quorate_core::pool::ALL_REGIONS;
use quorate_core::region::Region;
use quorate_core::validate::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use quorate_store::healthchecks::Standing;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::auth::{Edit, InZone};
use crate::body::{self, Fields, Object, Told, flag, integer, list_of, map_of, object_of, one_of, parsed, text};
use crate::envelope::Time;
use crate::error::ApiError;
use crate::monitors::{interval, refuse_redacted_in, secret_header_name};

const PORT: RangeInclusive<u16> = 1..=u16::MAX;

/// A health check.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthcheckBody {
    id: HealthcheckId,
    created_on: Time,
    modified_on: Time,
    /// 1 to 100 letters, digits, `-` and `_`.
    name: String,
    /// IPv4 address, IPv6 address or host name.
    address: String,
    /// `HTTP`, `HTTPS` or `TCP`.
    #[serde(rename = "type")]
    kind: HealthcheckKind,
    /// At most 1,024 characters.
    description: String,
    /// Region codes, with `IN` for Southern Asia, or `ALL_REGIONS`; null: one region of our choice.
    check_regions: Option<Vec<String>>,
    /// Seconds, from the account's minimum to 3,600.
    interval: u16,
    /// Immediate and for timeouts only, 0 to 5.
    retries: u8,
    /// Seconds, 1 to 60.
    timeout: u16,
    /// Failures in a row that turn a PoP's vote; 0 to 100, 0 and 1 are the same.
    consecutive_fails: u8,
    /// Passes in a row that turn a PoP's vote; 0 to 100, 0 and 1 are the same.
    consecutive_successes: u8,
    /// Not probed for the time being.
    suspended: bool,
    /// Null where it was never given and the type is `TCP`.
    http_config: Option<HttpConfigBody>,
    /// Null where it was never given and the type is not `TCP`.
    tcp_config: Option<TcpConfig>,
    /// `unknown` before the first majority, `healthy`, `unhealthy` or `suspended`.
    status: HealthcheckStatus,
    /// Absent while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    /// For programs; also the anchor of what it means in `docs/failure-reasons.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
}

/// What is asked over HTTP(S).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HttpConfigBody {
    /// `GET` or `HEAD`.
    method: String,
    port: u16,
    path: String,
    /// Codes (`200`), classes (`2xx`) and ranges (`200-299`); null: 200.
    expected_codes: Option<Vec<String>>,
    /// Looked for in the first 10,240 bytes of the answer's body, ignoring case; empty: not looked for.
    expected_body: String,
    follow_redirects: bool,
    /// Certificates are not verified.
    allow_insecure: bool,
    /// Request headers: name to values. A secret value is `[redacted]` for a token that may not edit.
    header: Option<BTreeMap<String, Vec<String>>>,
    /// Names of headers whose values are secret, beside Authorization, Cookie, Proxy-Authorization and those that the
    /// operator names. Absent where there are none. Ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secret_headers: Vec<String>,
}

impl HealthcheckBody {
    /// As whoever is in that place may see it.
    pub(super) fn of<A>(healthcheck: Healthcheck, standing: Standing, place: &InZone<A>) -> Self {
        let Healthcheck { id, mut settings, created_on, modified_on, .. } = healthcheck;
        if let Some(HttpConfig { header: Some(header), secret_headers, .. }) = &mut settings.http {
            place.redact(header, secret_headers);
        }
        let is_known = matches!(standing.status, HealthcheckStatus::Healthy | HealthcheckStatus::Unhealthy) || standing.reason.is_some();
        let kind = settings.kind;
        Self {
            id,
            created_on: Time(created_on),
            modified_on: Time(modified_on),
            name: settings.name,
            address: settings.address,
            kind,
            description: settings.description,
            check_regions: settings.check_regions,
            interval: settings.interval,
            retries: settings.retries,
            timeout: settings.timeout,
            consecutive_fails: settings.consecutive_fails,
            consecutive_successes: settings.consecutive_successes,
            suspended: settings.suspended,
            http_config: settings.http.map(|http| http_out(http, kind)),
            tcp_config: settings.tcp,
            status: standing.status,
            failure_reason: is_known.then(|| failure::text_of(standing.reason)),
            failure_code: is_known.then(|| failure::code_of(standing.reason)),
        }
    }
}

fn http_out(http: HttpConfig, kind: HealthcheckKind) -> HttpConfigBody {
    HttpConfigBody {
        method: http.method,
        port: if http.port == 0 { kind.default_port() } else { http.port },
        path: http.path,
        expected_codes: http.expected_codes,
        expected_body: http.expected_body,
        follow_redirects: http.follow_redirects,
        allow_insecure: http.allow_insecure,
        header: http.header,
        secret_headers: http.secret_headers,
    }
}

/// What this product calls a region.
pub(super) fn code(region: Region) -> &'static str {
    if region == Region::Sas { SAS_CODE } else { region.code() }
}

fn http_config(kind: HealthcheckKind) -> impl Fn(&mut Fields<'_>) -> HttpConfig {
    move |fields| {
        let base = HttpConfig::default();
        let port = fields.optional("port", None, integer(PORT)).filter(|port| *port != kind.default_port());
        HttpConfig {
            method: fields.read("method", base.method, one_of(&METHODS)),
            // The protocol's own stays so when the type changes.
            port: port.unwrap_or_default(),
            path: fields.read("path", base.path, text),
            expected_codes: fields.optional("expected_codes", None, list_of(text)),
            expected_body: fields.read("expected_body", base.expected_body, text),
            follow_redirects: fields.read("follow_redirects", false, flag),
            allow_insecure: fields.read("allow_insecure", false, flag),
            header: fields.optional("header", None, map_of(list_of(text))),
            secret_headers: fields.optional("secret_headers", None, list_of(text)).unwrap_or_default(),
        }
    }
}

fn tcp_config(fields: &mut Fields<'_>) -> TcpConfig {
    let base = TcpConfig::default();
    TcpConfig {
        method: fields.read("method", base.method, one_of(&[TCP_METHOD])),
        port: fields.optional("port", Some(base.port), integer(PORT)).unwrap_or(HealthcheckKind::Tcp.default_port()),
    }
}

/// As for monitors.
pub(super) fn refuse_redacted(settings: &HealthcheckSettings, place: &InZone<Edit>) -> Result<(), ApiError> {
    let Some(HttpConfig { header: Some(header), secret_headers, .. }) = &settings.http else { return Ok(()) };
    refuse_redacted_in("/http_config", header, |name| place.is_secret_header(name, secret_headers))
}

/// The settings that a body asks for; `stored` under a PATCH.
///
/// # Errors
/// One entry a bad field.
pub(super) fn read(object: Object, stored: Option<&HealthcheckSettings>, minimum_interval: u16) -> Result<HealthcheckSettings, ApiError> {
    body::read(object, reader(stored, minimum_interval), HealthcheckSettings::problems)
}

/// The fields of a health check.
fn reader(stored: Option<&HealthcheckSettings>, minimum_interval: u16) -> impl FnOnce(&mut Fields<'_>) -> HealthcheckSettings {
    let or = move |pick: fn(&HealthcheckSettings) -> u8, default| stored.map_or(default, pick);
    move |fields| {
        let kind = fields.read("type", stored.map_or_else(Default::default, |stored| stored.kind), parsed);
        let http = fields.optional("http_config", stored.and_then(|stored| stored.http.clone()), object_of(http_config(kind)));
        let tcp = fields.optional("tcp_config", stored.and_then(|stored| stored.tcp.clone()), object_of(tcp_config));
        let settings = HealthcheckSettings {
            name: fields.required("name", stored.map(|stored| stored.name.clone()), text).unwrap_or_default(),
            address: fields.required("address", stored.map(|stored| stored.address.clone()), text).unwrap_or_default(),
            kind,
            description: fields
                .optional("description", Some(stored.map_or_else(String::new, |stored| stored.description.clone())), text)
                .unwrap_or_default(),
            check_regions: fields.optional("check_regions", stored.and_then(|stored| stored.check_regions.clone()), list_of(text)),
            interval: fields.read("interval", stored.map_or(60, |stored| stored.interval), interval(minimum_interval)),
            retries: fields.read("retries", or(|stored| stored.retries, 2), integer(RETRIES)),
            timeout: fields.read("timeout", stored.map_or(5, |stored| stored.timeout), integer(TIMEOUT_S)),
            consecutive_fails: fields.read("consecutive_fails", or(|stored| stored.consecutive_fails, 1), integer(CONSECUTIVE)),
            consecutive_successes: fields.read("consecutive_successes", or(|stored| stored.consecutive_successes, 1), integer(CONSECUTIVE)),
            suspended: fields.read("suspended", stored.is_some_and(|stored| stored.suspended), flag),
            http: if kind.is_http() { Some(http.unwrap_or_default()) } else { http },
            tcp: if kind.is_http() { tcp } else { Some(tcp.unwrap_or_default()) },
        };
        fields.read_only(&["id", "created_on", "modified_on", "status", "failure_reason", "failure_code"]);
        settings
    }
}

/// What a body may hold. The least interval is the account's.
pub(super) fn told() -> Told {
    let regions: Vec<&str> = Region::ALL.into_iter().map(code).chain([ALL_REGIONS]).collect();
    body::told("Healthcheck", reader(None, 1))
        .with("/name", json!({"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": NAME_CHARS_MAX}))
        .with("/address", json!({"minLength": 1, "maxLength": 253}))
        .with("/type", json!({"enum": HealthcheckKind::ALL.map(HealthcheckKind::name), "default": "HTTP"}))
        .with("/description", json!({"maxLength": DESCRIPTION_CHARS_MAX, "default": ""}))
        .with("/check_regions", json!({"minItems": 1, "uniqueItems": true, "default": null}))
        .with("/check_regions/0", json!({"enum": regions}))
        .with("/interval", json!({"default": 60}))
        .with("/retries", json!({"default": 2}))
        .with("/timeout", json!({"default": 5}))
        .with("/consecutive_fails", json!({"default": 1}))
        .with("/consecutive_successes", json!({"default": 1}))
        .with("/suspended", json!({"default": false}))
        .with("/http_config/method", json!({"default": "GET"}))
        .with("/http_config/path", json!({"pattern": "^/[!-~]*$", "maxLength": PATH_BYTES_MAX, "default": "/"}))
        .with("/http_config/expected_codes", json!({"default": null}))
        .with("/http_config/expected_codes/0", json!({"pattern": "^ *([1-5]([0-9][0-9]|xx)|[1-5][0-9][0-9]-[1-5][0-9][0-9]) *$"}))
        .with("/http_config/expected_body", json!({"maxLength": BODY_BYTES_MAX, "default": ""}))
        .with("/http_config/follow_redirects", json!({"default": false}))
        .with("/http_config/allow_insecure", json!({"default": false}))
        .with("/http_config/header", json!({"maxProperties": HEADER_NAMES_MAX}))
        .with("/http_config/header/*", json!({"minItems": 1}))
        .with("/http_config/header/*/0", json!({"maxLength": HEADER_BYTES_MAX}))
        .with("/http_config/secret_headers", json!({"maxItems": HEADER_NAMES_MAX, "uniqueItems": true, "default": []}))
        .with("/http_config/secret_headers/0", secret_header_name())
        .with("/tcp_config/method", json!({"default": TCP_METHOD}))
        .with("/tcp_config/port", json!({"default": 80}))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn settings(body: Value, stored: Option<&HealthcheckSettings>) -> HealthcheckSettings {
        let Value::Object(object) = body else { panic!("an object") };
        read(object, stored, 10).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn the_port_of_the_protocol_stays_so_when_the_type_changes() {
        let http = settings(json!({"name": "a", "address": "192.0.2.1", "http_config": {"port": 80, "path": "/x"}}), None);
        let port = |settings: &HealthcheckSettings| http_out(settings.http.clone().expect("HTTP"), settings.kind).port;
        assert_eq!(port(&http), 80);
        let https = settings(json!({"type": "HTTPS"}), Some(&http));
        assert_eq!((port(&https), https.http.as_ref().map(|http| http.path.as_str())), (443, Some("/x")));
        let odd = settings(json!({"http_config": {"port": 8443}}), Some(&https));
        assert_eq!(port(&odd), 8443);
        assert_eq!(port(&settings(json!({"type": "HTTP"}), Some(&odd))), 8443);
    }

    #[test]
    fn each_type_has_its_own_part_and_keeps_the_others() {
        let tcp = settings(json!({"name": "a", "address": "192.0.2.1", "type": "TCP"}), None);
        assert_eq!((&tcp.http, tcp.tcp.as_ref().map(|tcp| tcp.port)), (&None, Some(80)));
        let http = settings(json!({"type": "HTTP"}), Some(&tcp));
        assert!(http.http.is_some() && http.tcp.is_some());
        assert_eq!(settings(json!({"tcp_config": null}), Some(&http)).tcp, None);
    }
}
