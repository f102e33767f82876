//! The OpenAPI 3.1 document, from the operations.

use std::collections::BTreeSet;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

use super::operation::{Answers, Credentials, Operation, Payload, Query};
use super::{errors, reconcile};
use crate::envelope::{Failure, Message, ResultInfo};

/// Where everything of the contract stands; what is outside answers without an envelope.
const BASE: &str = "/client/v4";

/// Permissions of which a token needs one; none: any token will do.
const PERMISSIONS: &str = "x-permissions";

/// The document of the operations by their paths.
pub(super) fn document(operations: &[(String, Operation)]) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut writer = Writer { generator: settings.into_generator(), requests: Map::new() };
    let mut paths = Map::new();
    for (path, operation) in operations {
        let item = paths.entry(path.clone()).or_insert_with(|| json!({}));
        let written = writer.operation(path, operation, operations);
        item.as_object_mut().expect("made above").insert(operation.method.as_str().to_ascii_lowercase(), written);
    }
    let failure = writer.generator.subschema_for::<Failure>();
    let mut schemas = writer.generator.take_definitions(true);
    reconcile::sharpen_answers(&mut schemas);
    schemas.extend(writer.requests);
    let tags: BTreeSet<String> = operations.iter().map(|(_, operation)| tag(operation)).collect();
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Quorate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Health checks decided by quorum, and explained",
            "description": "Every answer below /client/v4 is one envelope: success, errors, messages, result, and result_info with lists. \
                Unknown fields of a body are refused, read-only ones are ignored. PUT replaces: what is left out returns to its default. \
                PATCH changes the fields that are given; lists and objects in them are replaced whole. A permission to edit includes \
                reading, and admin includes all; `x-permissions` of an operation are those of which one is enough.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": errors::responses(&failure),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token, made with `quorate token create`."},
                "email": {
                    "type": "apiKey", "in": "header", "name": "X-Auth-Email",
                    "description": "The address of a key, for clients older than tokens; made with `quorate token create-key`.",
                },
                "key": {"type": "apiKey", "in": "header", "name": "X-Auth-Key", "description": "The key that goes with the address."},
            },
        },
    });
    reconcile::requests_with_answers(&mut document);
    reconcile::shorten_names(&mut document);
    document
}

struct Writer {
    generator: SchemaGenerator,
    /// Schemas of bodies, by name.
    requests: Map<String, Value>,
}

impl Writer {
    fn operation(&mut self, path: &str, operation: &Operation, all: &[(String, Operation)]) -> Value {
        let mut parameters: Vec<Value> = path_parameters(path).collect();
        parameters.extend(operation.query.iter().map(query_parameter));
        let mut responses = Map::new();
        let mut done = self.success(operation.answers);
        let links = links(path, operation, all);
        if !links.is_empty() {
            done["links"] = links.into();
        }
        responses.insert("200".to_owned(), done);
        responses.extend(errors::of(path, operation));
        let mut written = json!({
            "operationId": operation_id(path, operation, all),
            "summary": summary(operation),
            "tags": [tag(operation)],
        });
        let fields = written.as_object_mut().expect("written above");
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = self.body(operation) {
            fields.insert("requestBody".to_owned(), body);
        }
        fields.insert("responses".to_owned(), responses.into());
        let security = match operation.credentials {
            Credentials::None => json!([]),
            Credentials::Token => json!([{"token": []}]),
            Credentials::TokenOrKey => json!([{"token": []}, {"email": [], "key": []}]),
        };
        fields.insert("security".to_owned(), security);
        if operation.credentials != Credentials::None {
            let names: Vec<&str> = operation.any_of.iter().map(|permission| permission.name()).collect();
            fields.insert("description".to_owned(), needed(&names).into());
            fields.insert(PERMISSIONS.to_owned(), json!(names));
        }
        written
    }

    /// What the operation takes; anything, marked, where nobody said what.
    fn body(&mut self, operation: &Operation) -> Option<Value> {
        let told = match operation.payload {
            Payload::None => return None,
            Payload::Undescribed => return Some(json!({"x-undescribed": true, "content": {"application/json": {}}})),
            Payload::Described(told) => told(),
        };
        let (name, schema) = if operation.method == http::Method::PATCH {
            (format!("{}Patch", told.name), told.of_patch())
        } else {
            (format!("{}Request", told.name), told.schema)
        };
        let content = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
        self.requests.insert(name, schema.to_value());
        Some(json!({"required": true, "content": content}))
    }

    fn success(&mut self, answers: Answers) -> Value {
        let content = match answers {
            Answers::Result(schema) => {
                let result = schema(&mut self.generator);
                json!({"application/json": {"schema": self.envelope(&result)}})
            }
            Answers::Text => json!({"*/*": {}}),
        };
        json!({"description": "Done.", "content": content})
    }

    fn envelope(&mut self, result: &Schema) -> Schema {
        let is_list = result.get("type").is_some_and(|kind| kind == "array");
        let mut required = vec!["success", "errors", "messages", "result"];
        if is_list {
            required.push("result_info");
        }
        let info = self.generator.subschema_for::<ResultInfo>();
        json_schema!({
            "type": "object",
            "required": required,
            "properties": {
                "success": {"type": "boolean", "const": true},
                "errors": {"type": "array", "maxItems": 0},
                "messages": {"type": "array", "items": self.generator.subschema_for::<Message>()},
                "result": result,
                "result_info": info,
            },
        })
    }
}

/// What can be done next with what was created: everything below the collection that asks for its identifier.
fn links(path: &str, operation: &Operation, all: &[(String, Operation)]) -> Map<String, Value> {
    let mut links = Map::new();
    if operation.method != http::Method::POST {
        return links;
    }
    for (below, next) in all {
        let Some(rest) = below.strip_prefix(path).and_then(|rest| rest.strip_prefix("/{")) else { continue };
        let (name, rest) = rest.split_once('}').unwrap_or((rest, ""));
        // A list of fields in the result is not one object.
        if rest.contains('{') {
            continue;
        }
        let mut parameters = Map::from_iter([(name.to_owned(), json!("$response.body#/result/id"))]);
        let inherited = names_of_parameters(path).map(|name| (name.to_owned(), json!(format!("$request.path.{name}"))));
        parameters.extend(inherited);
        let id = operation_id(below, next, all);
        links.insert(id.clone(), json!({"operationId": id, "parameters": parameters}));
    }
    links
}

/// The permissions in words.
fn needed(names: &[&str]) -> String {
    if names.is_empty() { "Any token will do.".to_owned() } else { format!("Needs {}.", names.join(" or ")) }
}

/// `monitors`, of `monitors::create`.
fn tag(operation: &Operation) -> String {
    let (module, _) = operation.handler.split_once("::").unwrap_or((operation.handler, ""));
    module.replace('_', " ")
}

/// `Create a monitor`, of `monitors::create`.
fn summary(operation: &Operation) -> String {
    if let Some(summary) = operation.summary {
        return summary.to_owned();
    }
    let (module, name) = operation.handler.rsplit_once("::").unwrap_or(("", operation.handler));
    let many = module.replace('_', " ");
    let one = many.strip_suffix('s').unwrap_or(&many);
    let article = if one.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    match name {
        "list" => format!("List {many}"),
        "create" => format!("Create {article} {one}"),
        "show" => format!("Get {article} {one}"),
        "replace" => format!("Replace {article} {one}"),
        "patch" => format!("Change fields of {article} {one}"),
        "delete" => format!("Delete {article} {one}"),
        other => format!("{} of {article} {one}", capitalized(&other.replace('_', " "))),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `monitors.create`. A handler below two paths gives its name to the first, and `user.monitors.create` to the one below
/// `/user`.
fn operation_id(path: &str, operation: &Operation, all: &[(String, Operation)]) -> String {
    let id = operation.handler.replace("::", ".");
    let first = all.iter().find(|(_, other)| other.handler == operation.handler);
    if first.is_some_and(|(first, _)| first == path) {
        return id;
    }
    let place = path.strip_prefix(BASE).unwrap_or(path).split('/').nth(1).unwrap_or_default();
    format!("{place}.{id}")
}

/// Every parameter of a path is an identifier, but for these.
fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    names_of_parameters(path).map(|name| {
        let schema = match name {
            "region_id" => quorate_core::region::Region::json_schema(&mut SchemaGenerator::default()),
            _ => quorate_core::ids::schema(),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    })
}

fn names_of_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'))
}

/// An empty parameter is an absent one, whatever its type.
fn query_parameter(query: &Query) -> Value {
    let is_any_text = query.schema == json_schema!({"type": "string"});
    let schema = if is_any_text { query.schema.clone() } else { json_schema!({"anyOf": [query.schema, {"const": ""}]}) };
    json!({"name": query.name, "in": "query", "required": false, "description": query.says, "schema": schema})
}
