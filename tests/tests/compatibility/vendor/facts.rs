//! What a schema says, flat: a map from the place of a field to what may be there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Levels of objects and lists; no schema of an API goes deeper.
const DEPTH_MAX: usize = 12;

/// What may be in one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fact {
    /// Names of JSON types; empty: any.
    pub(super) types: BTreeSet<String>,
    /// Values, as JSON, of a closed list.
    pub(super) values: Option<BTreeSet<String>>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) default: Option<Value>,
    pub(super) required: bool,
}

/// Facts by place: `origins[].weight`, `region_pools{}[]`.
pub(super) type Facts = BTreeMap<String, Fact>;

/// Everything below a schema of the document.
pub(super) fn facts(document: &Value, schema: &Value) -> Facts {
    let mut found = Facts::new();
    collect(document, schema, "", DEPTH_MAX, &mut found);
    found
}

fn collect(document: &Value, schema: &Value, place: &str, depth: usize, found: &mut Facts) {
    if depth == 0 {
        return;
    }
    let schema = resolved(document, schema);
    tell(schema, found.entry(place.to_owned()).or_default());
    for key in ["allOf", "anyOf", "oneOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            collect(document, part, place, depth - 1, found);
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let below = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        collect(document, property, &below, depth - 1, found);
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let below = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        found.entry(below).or_default().required = true;
    }
    // A map whose keys must look like identifiers is a map.
    for values in schema["patternProperties"].as_object().into_iter().flat_map(|patterns| patterns.values()) {
        collect(document, values, &format!("{place}{{}}"), depth - 1, found);
    }
    for (key, step) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            collect(document, &schema[key], &format!("{place}{step}"), depth - 1, found);
        }
    }
}

fn tell(schema: &Value, fact: &mut Fact) {
    match &schema["type"] {
        Value::String(name) => drop(fact.types.insert(name.clone())),
        Value::Array(names) => fact.types.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    }
    if schema["nullable"] == true {
        fact.types.insert("null".to_owned());
    }
    // A constant is a closed list of one.
    let constant = schema.get("const").map(std::slice::from_ref);
    if let Some(values) = schema["enum"].as_array().map(Vec::as_slice).or(constant) {
        fact.values.get_or_insert_default().extend(values.iter().map(plain));
    }
    fact.minimum = schema["minimum"].as_f64().or(fact.minimum);
    fact.maximum = schema["maximum"].as_f64().or(fact.maximum);
    if let Some(default) = schema.get("default") {
        fact.default = Some(default.clone());
    }
}

/// A value of a closed list. The vendor writes an empty text as two quotes in one.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}

/// The schema that a chain of references leads to.
pub(super) fn resolved<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    while let Some(reference) = value["$ref"].as_str() {
        value = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    value
}
