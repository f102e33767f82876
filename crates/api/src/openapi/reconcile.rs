//! What requests and answers of one object know of each other: an answer says what a field means, a request what may be
//! in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const SCHEMAS: &str = "/components/schemas";
const PREFIX: &str = "#/components/schemas/";
/// References followed from one property to another.
const DEPTH_MAX: usize = 8;

/// What numbers and texts are asked to be, which holds of what is answered too.
const LIMITS: [&str; 8] = ["enum", "minimum", "maximum", "multipleOf", "pattern", "minLength", "maxLength", "default"];

/// Says of answers what their types cannot: a field that may be absent is never null, and the width of a number in
/// memory is nobody's concern.
pub(super) fn sharpen_answers(schemas: &mut Map<String, Value>) {
    for schema in schemas.values_mut() {
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { continue };
        for (name, property) in properties {
            without_widths(property);
            if !required.iter().any(|required| required == name) {
                without_null(property);
            }
        }
    }
}

fn without_widths(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|key, value| key != "format" || !value.as_str().is_some_and(|format| format.starts_with("uint")));
            fields.values_mut().for_each(without_widths);
        }
        Value::Array(items) => items.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// The schema without the choice of null.
fn without_null(schema: &mut Value) {
    let is_null = |choice: &Value| *choice == "null" || choice.get("type").is_some_and(|kind| kind == "null");
    let Value::Object(fields) = schema else { return };
    for key in ["type", "anyOf", "enum"] {
        let Some(Value::Array(choices)) = fields.get_mut(key) else { continue };
        choices.retain(|choice| !is_null(choice) && !choice.is_null());
        if key != "enum" && choices.len() == 1 {
            let only = choices.remove(0);
            match (key, only) {
                ("anyOf", Value::Object(only)) => {
                    fields.remove(key);
                    fields.extend(only);
                }
                (_, only) => drop(fields.insert(key.to_owned(), only)),
            }
        }
    }
}

/// Gives each field of a request what the answer of the same name says of it, and to a field that an answer keeps as it
/// was sent the schema that it was sent under.
pub(super) fn requests_with_answers(document: &mut Value) {
    let schemas = document.pointer(SCHEMAS).cloned().unwrap_or_default();
    let Some(Value::Object(written)) = document.pointer_mut(SCHEMAS) else { return };
    for (name, schema) in written.iter_mut() {
        let object = name.strip_suffix("Request").or_else(|| name.strip_suffix("Patch"));
        if let Some(answer) = object.and_then(|object| schemas.get(object).or_else(|| schemas.get(format!("{object}Body")))) {
            explain(schema, answer, &schemas, DEPTH_MAX);
        }
        let object = name.strip_suffix("Body").unwrap_or(name);
        if let Some(request) = schemas.get(format!("{object}Request")) {
            fill(schema, request);
        }
    }
}

/// Descriptions, down through objects, lists and maps.
fn explain(request: &mut Value, answer: &Value, schemas: &Value, depth: usize) {
    let answer = resolved(answer, schemas);
    if depth == 0 {
        return;
    }
    if let Some(Value::Object(properties)) = request.get_mut("properties") {
        for (name, property) in properties {
            let Some(told) = answer.pointer("/properties").and_then(|properties| properties.get(name)) else { continue };
            if let (Some(says), Value::Object(property)) = (told.get("description"), &mut *property) {
                property.entry("description").or_insert_with(|| says.clone());
            }
            explain(property, told, schemas, depth - 1);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let (Some(inner @ Value::Object(_)), Some(told)) = (request.get_mut(key), answer.get(key)) {
            explain(inner, told, schemas, depth - 1);
        }
    }
}

/// The schema that a reference leads to; of a choice between one and null, the one.
fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    let schema = schema.get("anyOf").and_then(Value::as_array).and_then(|choices| choices.first()).unwrap_or(schema);
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix(PREFIX));
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

fn fill(answer: &mut Value, request: &Value) {
    let Some(Value::Object(properties)) = answer.get_mut("properties") else { return };
    for (name, property) in properties {
        let sent = request.pointer("/properties").and_then(|properties| properties.get(name)).and_then(Value::as_object);
        let Some(sent) = sent else { continue };
        if *property == Value::Bool(true) {
            *property = Value::Object(Map::new());
        }
        let Value::Object(property) = property else { continue };
        let is_blank = ["type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf"].iter().all(|key| !property.contains_key(*key));
        if is_blank {
            let mut sent = Value::Object(sent.clone());
            without_null(&mut sent);
            for (key, value) in sent.as_object().into_iter().flatten() {
                property.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        for key in LIMITS {
            let Some(limit) = sent.get(key) else { continue };
            // A list of its own is closer than the request's, which may have other spellings of a value.
            if key != "enum" || !property.contains_key(key) {
                property.insert(key.to_owned(), limit.clone());
            }
        }
    }
}

/// `Monitor` for `MonitorBody`: the name of a wire type says that it is one, and here all are.
pub(super) fn shorten_names(document: &mut Value) {
    let Some(Value::Object(schemas)) = document.pointer_mut(SCHEMAS) else { return };
    let short: BTreeMap<String, String> = schemas
        .keys()
        .filter_map(|name| Some((name.clone(), name.strip_suffix("Body")?.to_owned())))
        .filter(|(_, short)| !schemas.contains_key(short))
        .collect();
    let mut renamed: Vec<(String, Value)> =
        std::mem::take(schemas).into_iter().map(|(name, schema)| (short.get(&name).cloned().unwrap_or(name), schema)).collect();
    renamed.sort_by(|(left, _), (right, _)| left.cmp(right));
    schemas.extend(renamed);
    rename_references(document, &short);
}

fn rename_references(value: &mut Value, short: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(short) = reference.strip_prefix(PREFIX).and_then(|name| short.get(name))
            {
                *reference = format!("{PREFIX}{short}");
            }
            fields.values_mut().for_each(|inner| rename_references(inner, short));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| rename_references(inner, short)),
        _ => {}
    }
}
