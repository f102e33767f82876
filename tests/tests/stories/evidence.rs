//! Reading what the API says.

use serde_json::Value;

/// The votes of every region, in order.
pub(crate) fn votes(evidence: &Value) -> Vec<Value> {
    let regions = evidence["regions"].as_array().cloned().unwrap_or_default();
    regions.iter().flat_map(|region| region["votes"].as_array().cloned().unwrap_or_default()).collect()
}

/// One region of an evidence.
pub(crate) fn region<'a>(evidence: &'a Value, code: &str) -> &'a Value {
    evidence["regions"].as_array().and_then(|regions| regions.iter().find(|region| region["region"] == code)).unwrap_or(&Value::Null)
}

/// The one origin that an event says has changed.
pub(crate) fn changed_origin(event: &Value) -> &Value {
    let changed: Vec<_> =
        event["origins"].as_array().expect("an event lists origins").iter().filter(|origin| origin["changed"] == true).collect();
    assert_eq!(changed.len(), 1, "{event:#}");
    changed[0]
}
