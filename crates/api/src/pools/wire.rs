//! A pool as answers give it and as bodies ask for it.

use quorate_core::ids::{MonitorGroupId, MonitorId, PoolId};
use quorate_core::pool::{
    ALL_REGIONS, CheckRegionsSetting, LATITUDE, LONGITUDE, NOTIFICATION_EMAIL_CHARS_MAX, Origin, OriginSettings, Pool, PoolSettings, Weight,
};
use quorate_core::region::Region;
use quorate_core::validate::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, PoolRules};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Number, Value, json};

use crate::body::{
    self, Bad, Fields, Object, Told, flag, id, in_steps, integer, is_absent, list_of, number, object_of, one_of, shape_of, text,
};
use crate::envelope::Time;
use crate::error::ApiError;

/// A pool.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PoolBody {
    id: PoolId,
    created_on: Time,
    modified_on: Time,
    /// 1 to 100 letters, digits, `-` and `_`; unique in the account.
    name: String,
    /// At most 1,024 characters.
    description: String,
    /// A disabled pool is not probed.
    enabled: bool,
    /// Since when; absent while enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Time>,
    /// Fewer healthy origins than this: the pool is unhealthy. 0: never by health.
    minimum_origins: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor: Option<MonitorId>,
    /// Instead of `monitor`: the monitors of this group decide together.
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_group: Option<MonitorGroupId>,
    /// Region codes, or `ALL_REGIONS`; null: all PoPs, in one list.
    check_regions: CheckRegionsSetting,
    /// In the order given.
    origins: Vec<OriginBody>,
    /// Degrees, -90 to 90.
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<Number>,
    /// Degrees, -180 to 180.
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<Number>,
    /// Stored, not executed.
    notification_email: String,
    /// Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_steering: Option<Value>,
    /// Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_shedding: Option<Value>,
    /// Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_filter: Option<Value>,
    /// Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    health_sources: Option<Value>,
}

/// An origin of a pool.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OriginBody {
    /// 1 to 100 letters, digits, `-`, `_`, `.` and spaces; unique in the pool.
    name: String,
    /// IPv4 address, IPv6 address or host name.
    address: String,
    /// A disabled origin is not probed.
    enabled: bool,
    /// Since when; absent while enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Time>,
    /// 0 to 1 in steps of 0.01.
    weight: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<HostHeader>,
    /// 0: the protocol's.
    port: u16,
    /// Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    flatten_cname: Option<bool>,
    /// A UUID. Stored, not executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_network_id: Option<String>,
}

/// The Host header of the probe; it wins over the monitor's.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HostHeader {
    #[serde(rename = "Host")]
    host: [String; 1],
}

impl From<Pool> for PoolBody {
    fn from(pool: Pool) -> Self {
        let Pool { id, account_id: _, settings, origins, disabled_at, created_on, modified_on } = pool;
        Self {
            id,
            created_on: Time(created_on),
            modified_on: Time(modified_on),
            name: settings.name,
            description: settings.description,
            enabled: settings.enabled,
            disabled_at: disabled_at.map(Time),
            minimum_origins: settings.minimum_origins,
            monitor: settings.monitor,
            monitor_group: settings.monitor_group,
            check_regions: settings.check_regions,
            origins: origins.into_iter().map(OriginBody::from).collect(),
            latitude: settings.latitude.and_then(plain),
            longitude: settings.longitude.and_then(plain),
            notification_email: settings.notification_email,
            origin_steering: settings.origin_steering,
            load_shedding: settings.load_shedding,
            notification_filter: settings.notification_filter,
            health_sources: settings.health_sources,
        }
    }
}

impl From<Origin> for OriginBody {
    fn from(origin: Origin) -> Self {
        let Origin { check_id: _, config_gen: _, settings, disabled_at } = origin;
        Self {
            name: settings.name,
            address: settings.address,
            enabled: settings.enabled,
            disabled_at: disabled_at.map(Time),
            weight: weight_out(settings.weight),
            header: settings.host.map(|host| HostHeader { host: [host] }),
            port: settings.port,
            flatten_cname: settings.flatten_cname,
            virtual_network_id: settings.virtual_network_id,
        }
    }
}

/// A number without `.0`, so that it comes back as it was sent.
fn plain(number: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and a coordinate is within 180")]
    if number.fract() == 0.0 { Some(Number::from(number as i64)) } else { Number::from_f64(number) }
}

fn weight_out(weight: Weight) -> Number {
    plain(f64::from(weight.0) / 100.0).expect("a hundredth is finite")
}

/// 0 to 1 in hundredths.
fn weight(label: &str, value: &Value) -> Result<Weight, Bad> {
    let hundredths = (in_steps(0.0..=1.0, 2)(label, value)? * 100.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100, whole")]
    Ok(Weight(hundredths as u8))
}

/// `{"Host": [name]}`; an object without it is no header at all.
fn host(label: &str, value: &Value) -> Result<Option<String>, Bad> {
    let read = |fields: &mut Fields<'_>| fields.optional("Host", None, one_host);
    object_of(read)(label, value)
}

fn one_host(label: &str, value: &Value) -> Result<String, Bad> {
    match <[String; 1]>::try_from(list_of(text)(label, value)?) {
        Ok([host]) => Ok(host),
        Err(hosts) => Err(Bad::new(format!("{label} has {} values and must have exactly 1", hosts.len()))),
    }
}

fn origin(fields: &mut Fields<'_>) -> OriginSettings {
    let settings = OriginSettings {
        name: fields.required("name", None, text).unwrap_or_default(),
        address: fields.required("address", None, text).unwrap_or_default(),
        enabled: fields.read("enabled", true, flag),
        weight: fields.read("weight", Weight::default(), weight),
        host: fields.optional("header", None, host).flatten(),
        port: fields.optional("port", None, integer(0..=u16::MAX)).unwrap_or_default(),
        flatten_cname: fields.optional("flatten_cname", None, flag),
        virtual_network_id: fields.optional("virtual_network_id", None, unless_empty(text)).flatten(),
    };
    fields.read_only(&["disabled_at"]);
    settings
}

/// A value, of which the empty text stands for its absence.
fn unless_empty<T>(convert: impl Fn(&str, &Value) -> Result<T, Bad>) -> impl Fn(&str, &Value) -> Result<Option<T>, Bad> {
    move |label, value| if is_absent(value) { Ok(None) } else { convert(label, value).map(Some) }
}

fn origin_steering(fields: &mut Fields<'_>) {
    fields.optional("policy", None, one_of(&["random", "hash", "least_outstanding_requests", "least_connections"]));
}

fn load_shedding(fields: &mut Fields<'_>) {
    fields.optional("default_percent", None, number(0.0..=100.0));
    fields.optional("default_policy", None, one_of(&["random", "hash"]));
    fields.optional("session_percent", None, number(0.0..=100.0));
    fields.optional("session_policy", None, one_of(&["hash"]));
}

fn notification_filter(fields: &mut Fields<'_>) {
    let kind = |fields: &mut Fields<'_>| {
        fields.optional("disable", None, flag);
        fields.optional("healthy", None, flag);
    };
    fields.optional("pool", None, object_of(kind));
    fields.optional("origin", None, object_of(kind));
}

/// The settings that a body asks for; `stored` under a PATCH.
///
/// # Errors
/// One entry a bad field.
pub(super) fn read(object: Object, stored: Option<&PoolSettings>, rules: PoolRules<'_>) -> Result<PoolSettings, ApiError> {
    body::read(object, reader(stored), |settings| settings.problems(rules))
}

/// The fields of a pool.
fn reader(stored: Option<&PoolSettings>) -> impl FnOnce(&mut Fields<'_>) -> PoolSettings {
    let base = move |pick: fn(&PoolSettings) -> &Option<Value>| stored.and_then(|stored| pick(stored).clone());
    move |fields| {
        let settings = PoolSettings {
            name: fields.required("name", stored.map(|stored| stored.name.clone()), text).unwrap_or_default(),
            description: fields
                .optional("description", Some(stored.map_or_else(String::new, |stored| stored.description.clone())), text)
                .unwrap_or_default(),
            enabled: fields.read("enabled", stored.is_none_or(|stored| stored.enabled), flag),
            minimum_origins: fields.read("minimum_origins", stored.map_or(1, |stored| stored.minimum_origins), integer(0..=MINIMUM_MAX)),
            monitor: fields.optional("monitor", Some(stored.and_then(|stored| stored.monitor)), unless_empty(id)).flatten(),
            monitor_group: fields
                .optional("monitor_group", Some(stored.and_then(|stored| stored.monitor_group)), unless_empty(id))
                .flatten(),
            check_regions: CheckRegionsSetting(fields.optional(
                "check_regions",
                stored.and_then(|stored| stored.check_regions.0.clone()),
                list_of(text),
            )),
            origins: fields
                .required("origins", stored.map(|stored| stored.origins.clone()), list_of(object_of(origin)))
                .unwrap_or_default(),
            latitude: fields.optional("latitude", stored.and_then(|stored| stored.latitude), number(LATITUDE)),
            longitude: fields.optional("longitude", stored.and_then(|stored| stored.longitude), number(LONGITUDE)),
            notification_email: fields
                .optional("notification_email", Some(stored.map_or_else(String::new, |stored| stored.notification_email.clone())), text)
                .unwrap_or_default(),
            origin_steering: fields.optional("origin_steering", base(|s| &s.origin_steering), shape_of(object_of(origin_steering))),
            load_shedding: fields.optional("load_shedding", base(|s| &s.load_shedding), shape_of(object_of(load_shedding))),
            notification_filter: fields.optional(
                "notification_filter",
                base(|s| &s.notification_filter),
                shape_of(object_of(notification_filter)),
            ),
            health_sources: fields.optional("health_sources", base(|s| &s.health_sources), shape_of(list_of(text))),
        };
        fields.read_only(&["id", "created_on", "modified_on", "disabled_at", "networks", "healthy"]);
        settings
    }
}

/// What a body may hold. How many origins is the account's limit.
pub(super) fn told() -> Told {
    let regions: Vec<&str> = Region::ALL.into_iter().map(Region::code).chain([ALL_REGIONS]).collect();
    let origin_name = json!({"pattern": "^[A-Za-z0-9._-]([A-Za-z0-9._ -]*[A-Za-z0-9._-])?$", "minLength": 1, "maxLength": NAME_CHARS_MAX});
    body::told("Pool", reader(None))
        .with("/name", json!({"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": NAME_CHARS_MAX}))
        .with("/description", json!({"maxLength": DESCRIPTION_CHARS_MAX, "default": ""}))
        .with("/enabled", json!({"default": true}))
        .with("/minimum_origins", json!({"default": 1}))
        .with("/check_regions", json!({"minItems": 1, "uniqueItems": true, "default": null}))
        .with("/check_regions/0", json!({"enum": regions}))
        .with("/origins", json!({"minItems": 1}))
        .with("/origins/0/name", origin_name)
        .with("/origins/0/address", json!({"minLength": 1, "maxLength": 253}))
        .with("/origins/0/enabled", json!({"default": true}))
        .with("/origins/0/weight", json!({"default": 1}))
        .with("/origins/0/port", json!({"default": 0}))
        .with("/origins/0/header/Host", json!({"minItems": 1, "maxItems": 1}))
        .with("/origins/0/header/Host/0", json!({"maxLength": 253}))
        .with("/notification_email", json!({"maxLength": NOTIFICATION_EMAIL_CHARS_MAX, "default": ""}))
        .with("/health_sources", json!({"enum": [["regional", "global"], null]}))
}

/// More origins than any plan allows.
const MINIMUM_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value, expected: &[(&str, &str)]) {
        let Value::Object(object) = body else { panic!("an object") };
        let zones = ["example.com".to_owned()];
        let found = match read(object, None, PoolRules { max_origins: 2, zones: &zones, stored: &[] }) {
            Ok(_) => Vec::new(),
            Err(ApiError::Invalid(problems)) => problems,
            Err(other) => panic!("{other:?}"),
        };
        let found: Vec<(&str, &str)> = found.iter().map(|problem| (problem.pointer.as_str(), problem.detail.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_hundredth_is_a_weight_and_comes_back_as_it_was_sent() {
        for hundredths in 0..=100_u8 {
            let sent: Value = match hundredths {
                0 => json!(0),
                100 => json!(1),
                _ => serde_json::from_str(&format!("0.{hundredths:02}")).expect("a number"),
            };
            let read = weight("weight", &sent).expect("legal");
            assert_eq!(read, Weight(hundredths));
            let back: f64 = weight_out(read).as_f64().expect("a number");
            assert_eq!(Some(back.to_bits()), sent.as_f64().map(f64::to_bits));
        }
        assert_eq!(weight_out(Weight(100)).to_string(), "1");
        assert_eq!(weight_out(Weight(56)).to_string(), "0.56");
        assert_eq!(weight("weight", &json!(1.0)).expect("legal"), Weight(100));
        for bad in [json!(0.001), json!(0.555), json!(1.01), json!(-0.01), json!("1"), json!(1e-7)] {
            assert!(weight("weight", &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pool_needs_a_name_and_origins_with_names_and_addresses() {
        check(json!({}), &[("/name", "name is required"), ("/origins", "origins is required")]);
        check(
            json!({"name": "p", "origins": [{}, {"name": "b", "address": "192.0.2.2", "wieght": 1}]}),
            &[
                ("/origins/0/name", "origins[0].name is required"),
                ("/origins/0/address", "origins[0].address is required"),
                ("/origins/1/wieght", "unknown field \"origins[1].wieght\"; did you mean \"origins[1].weight\"?"),
            ],
        );
    }

    #[test]
    fn what_is_not_executed_is_checked_all_the_same() {
        let pool = |field: &str, value: Value| json!({"name": "p", "origins": [{"name": "a", "address": "192.0.2.1"}], field: value});
        check(pool("load_shedding", json!({"default_percent": 50, "session_policy": "hash"})), &[]);
        check(
            pool("load_shedding", json!({"default_percent": 101})),
            &[("/load_shedding/default_percent", "load_shedding.default_percent 101 is not in range [0, 100]")],
        );
        check(
            pool("origin_steering", json!({"policy": "nearest"})),
            &[(
                "/origin_steering/policy",
                "origin_steering.policy \"nearest\" is not one of random, hash, least_outstanding_requests, least_connections",
            )],
        );
        check(pool("notification_filter", json!({"pool": {"healthy": null, "disable": true}, "origin": null})), &[]);
        check(
            pool("notification_filter", json!({"pool": {"healty": true}})),
            &[(
                "/notification_filter/pool/healty",
                "unknown field \"notification_filter.pool.healty\"; did you mean \"notification_filter.pool.healthy\"?",
            )],
        );
        check(pool("monitor", json!("")), &[]);
        check(pool("monitor", json!("x")), &[("/monitor", "monitor \"x\" is not an identifier of 32 lower-case hexadecimal characters")]);
        check(
            json!({"name": "p", "origins": [{"name": "a", "address": "192.0.2.1", "header": {"Host": ["a.example.com", "b.example.com"]}}]}),
            &[("/origins/0/header/Host", "origins[0].header.Host has 2 values and must have exactly 1")],
        );
    }
}
