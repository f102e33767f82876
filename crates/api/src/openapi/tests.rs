use std::collections::{BTreeMap, BTreeSet};

use quorate_store::tokens::Permission;
use serde_json::Value;

use super::operation::{Operation, Payload};
use crate::routes;

/// The operations of the API for which `is_wrong`, as `POST /path`.
fn wrong(is_wrong: impl Fn(&Operation) -> bool) -> Vec<String> {
    let routes = routes();
    let named = |(path, operation): &(String, Operation)| is_wrong(operation).then(|| format!("{} {path}", operation.method));
    routes.operations().iter().filter_map(named).collect()
}

#[test]
fn whoever_reads_a_body_or_a_query_says_what_may_be_in_it() {
    let undescribed = wrong(|operation| matches!(operation.payload, Payload::Undescribed));
    assert_eq!(undescribed, [""; 0], "add `.reads(…)` after the handler where its route is made");
    let page_only = |operation: &Operation| operation.query.iter().all(|query| ["page", "per_page"].contains(&query.name));
    assert_eq!(wrong(|operation| operation.reads_query && page_only(operation)), [""; 0], "add `.query(…)` after the handler");
}

#[test]
fn no_field_of_a_body_is_left_blank() {
    for (path, operation) in routes().operations() {
        if let Payload::Described(told) = operation.payload {
            let blanks = told().blanks();
            assert_eq!(blanks, [""; 0], "{} {path}: let the converter begin with `asked`, or add `.with(…)`", operation.method);
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
    let document = crate::openapi_document();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id), "{id} twice");
        }
    }
    check_references(&document, &document);
}

#[test]
fn every_operation_tells_which_credentials_it_takes_and_which_permission_it_needs() {
    let document = crate::openapi_document();
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["token", "email", "key"]);
    let mut told = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let security = operation["security"].to_string();
            let permissions = operation["x-permissions"].as_array().map(|names| {
                names.iter().map(|name| name.as_str().expect("a name").parse::<Permission>().expect("a permission")).collect::<Vec<_>>()
            });
            assert_eq!(permissions.is_some(), path.starts_with("/client/v4/"), "{method} {path}");
            told.insert(format!("{method} {path}"), (security, permissions));
        }
    }
    let either = r#"[{"token":[]},{"email":[],"key":[]}]"#;
    let check = |operation: &str, security: &str, permissions: Option<&[Permission]>| {
        let (found, needed) = &told[operation];
        assert_eq!((found.as_str(), needed.as_deref()), (security, permissions), "{operation}");
    };
    check("get /healthz", "[]", None);
    check("get /client/v4/user/tokens/verify", r#"[{"token":[]}]"#, Some(&[]));
    check("get /client/v4/zones", either, Some(&[]));
    check("post /client/v4/accounts/{account_id}/load_balancers/pools", either, Some(&[Permission::MonitorsAndPoolsEdit]));
    let events = [Permission::AnalyticsRead, Permission::MonitorsAndPoolsRead];
    check("get /client/v4/user/load_balancing_analytics/events", either, Some(&events));
    check("get /client/v4/accounts/{account_id}/audit_logs", either, Some(&[Permission::Admin]));
}

fn check_references(document: &Value, value: &Value) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let place = reference.strip_prefix('#').expect("into this document");
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
    let inner: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    for inner in inner {
        check_references(document, inner);
    }
}

#[test]
fn a_request_says_what_its_answer_says_and_an_answer_has_the_shape_that_was_sent() {
    let document = crate::openapi_document();
    let schemas = &document["components"]["schemas"];
    let timeout = &schemas["MonitorRequest"]["properties"]["timeout"];
    assert_eq!((&timeout["minimum"], &timeout["maximum"], &timeout["default"]), (&1.into(), &60.into(), &5.into()));
    assert_eq!(timeout["description"], schemas["Monitor"]["properties"]["timeout"]["description"]);
    assert!(timeout["description"].is_string());
    let origin = &schemas["PoolRequest"]["properties"]["origins"]["items"]["properties"]["weight"];
    assert!(origin["description"].is_string(), "{origin}");
    let shedding = "/properties/load_shedding/properties/default_percent/maximum";
    assert_eq!(schemas["Pool"].pointer(shedding).and_then(Value::as_f64), Some(100.0));
    assert_eq!(schemas["PoolRequest"]["required"], serde_json::json!(["name", "origins"]));
    assert!(schemas["PoolPatch"]["required"].is_null());
}

#[test]
fn an_answer_says_what_its_type_cannot() {
    let document = crate::openapi_document();
    let monitor = &document["components"]["schemas"]["Monitor"]["properties"];
    assert_eq!((&monitor["timeout"]["maximum"], &monitor["timeout"]["format"]), (&60.into(), &Value::Null));
    let balancer = &document["components"]["schemas"]["LoadBalancer"]["properties"];
    assert_eq!(balancer["ttl"]["type"], "integer", "absent, but never null");
    let origin = &document["components"]["schemas"]["OriginQuorum"]["properties"];
    assert_eq!(origin["verdict_seq"]["type"], serde_json::json!(["integer", "null"]), "null, but never absent");
}

#[test]
fn no_route_is_made_beside_the_description() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut makers = Vec::new();
    for_each_file(&source, &mut |path, text| {
        if text.contains(concat!("Router", "::")) {
            makers.push(path.strip_prefix(&source).expect("below").to_string_lossy().into_owned());
        }
    });
    // One puts its layers around a router of its own in a test; the other gives each path its methods.
    makers.sort();
    assert_eq!(makers, ["guard.rs", "openapi/routes.rs"], "make routes with `openapi::routes::Routes`");
}

fn for_each_file(folder: &std::path::Path, visit: &mut impl FnMut(&std::path::Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            for_each_file(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path, &std::fs::read_to_string(&path).expect("a text"));
        }
    }
}
