//! Requests and answers held against a description of the API.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};

/// A description with its validators, made as they are needed.
pub(crate) struct Description {
    document: Value,
    /// What stands before the paths that a client knows.
    base: &'static str,
    validators: Mutex<BTreeMap<String, Validator>>,
}

impl Description {
    /// Our own. An answer may hold nothing that it does not name.
    pub(crate) fn ours() -> Self {
        let mut document = quorate_api::openapi_document();
        close(&mut document["paths"]);
        close(&mut document["components"]["schemas"]);
        Self { document, base: "/client/v4", validators: Mutex::default() }
    }

    /// The vendor's, in the older dialect of OpenAPI 3.0. Its objects stay open: an addition breaks no client.
    pub(crate) fn vendors(mut document: Value) -> Self {
        translate(&mut document);
        Self { document, base: "", validators: Mutex::default() }
    }

    /// `GET /pools/{pool_id}` for every operation of the contract.
    pub(crate) fn operations(&self) -> Vec<String> {
        let paths = self.document["paths"].as_object().expect("paths");
        let below = paths.iter().filter_map(|(path, item)| Some((path.strip_prefix(self.base)?, item)));
        below
            .flat_map(|(path, item)| {
                item.as_object().expect("methods").keys().map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect()
    }

    /// The operation of a request; a path with fewer parameters goes first.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<String> {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |name: &&String| name.split_once(' ').is_some_and(|(of, template)| of == method && is_path_of(template, path));
        let found = self.operations();
        found.iter().filter(fits).min_by_key(|name| name.matches('{').count()).cloned()
    }

    /// What is wrong with the body of a request that was accepted.
    pub(crate) fn of_request(&self, operation: &str, body: &Value) -> Vec<String> {
        self.wrong(&format!("{}/requestBody/content/application~1json/schema", self.pointer(operation)), body)
    }

    /// What is wrong with an answer: its status, its shape.
    pub(crate) fn of_answer(&self, operation: &str, status: u16, body: &Value) -> Vec<String> {
        let responses = format!("{}/responses", self.pointer(operation));
        let class = format!("{}XX", status / 100);
        let described = [status.to_string(), class].into_iter().find(|key| self.document.pointer(&format!("{responses}/{key}")).is_some());
        let Some(key) = described else { return vec![format!("status {status} is not described")] };
        let mut response = format!("{responses}/{key}");
        if let Some(reference) = self.document.pointer(&response).and_then(|response| response["$ref"].as_str()) {
            response = reference.trim_start_matches('#').to_owned();
        }
        self.wrong(&format!("{response}/content/application~1json/schema"), body)
    }

    fn pointer(&self, operation: &str) -> String {
        let (method, path) = operation.split_once(' ').expect("method and path");
        format!("/paths/{}/{}", format!("{}{path}", self.base).replace('~', "~0").replace('/', "~1"), method.to_lowercase())
    }

    fn wrong(&self, pointer: &str, value: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().expect("nobody panics with the lock");
        let validator = validators.entry(pointer.to_owned()).or_insert_with(|| {
            let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("no schema at {pointer}"));
            let schema = json!({"allOf": [schema], "components": self.document["components"]});
            jsonschema::options().should_validate_formats(true).build(&schema).unwrap_or_else(|error| panic!("{pointer}: {error}"))
        });
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

fn is_path_of(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(step, part)| step.starts_with('{') || step == part)
}

/// Refuses properties that are not named, in every object whose properties are.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) && fields.get("type").is_some_and(|kind| kind == "object") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// `nullable` as a type, and an empty text as one where it is written as two quotes.
fn translate(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.remove("nullable") == Some(Value::Bool(true)) {
                if let Some(kind) = fields.get("type").and_then(Value::as_str).map(str::to_owned) {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
                if let Some(Value::Array(legal)) = fields.get_mut("enum") {
                    legal.push(Value::Null);
                }
            }
            if let Some(Value::Array(legal)) = fields.get_mut("enum") {
                legal.iter_mut().filter(|value| **value == "\"\"").for_each(|value| *value = json!(""));
            }
            fields.values_mut().for_each(translate);
        }
        Value::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}
