//! The document as a page: no script, nothing from elsewhere, so it reads the same without a network.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

const STYLE: &str = include_str!("page.css");
const PREFIX: &str = "#/components/schemas/";

/// The whole page.
pub(super) fn page(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let operations: Vec<Operation<'_>> = operations(document).collect();
    let tags = document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str());
    let groups: Vec<(&str, Vec<&Operation<'_>>)> =
        tags.map(|tag| (tag, operations.iter().filter(|operation| operation.tag() == tag).collect())).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (text("/info/title")) " API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                nav {
                    h1 { (text("/info/title")) " " (text("/info/version")) }
                    @for (tag, operations) in &groups {
                        h2 { (tag) }
                        ul { @for operation in operations { li { a href={ "#" (operation.id()) } { (operation.summary()) } } } }
                    }
                    p { a href="#schemas" { "Schemas" } " · " a href="/openapi.json" { "openapi.json" } }
                }
                main {
                    p { (text("/info/description")) }
                    @for (tag, operations) in &groups {
                        section {
                            h2 { (tag) }
                            @for operation in operations { (operation.shown(document)) }
                        }
                    }
                    section id="schemas" {
                        h2 { "Schemas" }
                        @for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
                            article id={ "schema-" (name) } {
                                h3 { (name) }
                                (said(schema))
                                (fields(schema))
                            }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// One operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    written: &'a Value,
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(method, written)| Operation { path, method, written }))
}

impl<'a> Operation<'a> {
    fn tag(&self) -> &'a str {
        self.written["tags"][0].as_str().unwrap_or_default()
    }

    fn id(&self) -> &'a str {
        self.written["operationId"].as_str().unwrap_or_default()
    }

    fn summary(&self) -> &'a str {
        self.written["summary"].as_str().unwrap_or_default()
    }

    fn shown(&self, document: &Value) -> Markup {
        let parameters = self.written["parameters"].as_array().into_iter().flatten();
        let result = &self.written["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["result"];
        let body = &self.written["requestBody"]["content"]["application/json"]["schema"];
        html! {
            article id=(self.id()) {
                h3 { (self.summary()) }
                p { code class=(self.method) { (self.method.to_uppercase()) } " " code { (self.path) } }
                @if self.written["description"].is_string() { p { (said(self.written)) } }
                @if self.written["parameters"].is_array() {
                    table {
                        @for parameter in parameters {
                            tr {
                                th { code { (parameter["name"].as_str().unwrap_or_default()) } }
                                td { "in " (parameter["in"].as_str().unwrap_or_default()) }
                                td { (kind(&parameter["schema"])) " " (limits(&parameter["schema"])) (said(parameter)) }
                            }
                        }
                    }
                }
                @if !body.is_null() { p { "Body: " (kind(body)) } }
                @if !result.is_null() { p { "Result: " (kind(result)) } (fields(result)) }
                details {
                    summary { "Failures" }
                    table {
                        @for (status, response) in self.written["responses"].as_object().into_iter().flatten().filter(|(status, _)| *status != "200") {
                            tr { th { (status) } td { (said(resolved(document, response))) } }
                        }
                    }
                }
            }
        }
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    value["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#'))).unwrap_or(value)
}

fn said(value: &Value) -> Markup {
    html! { @if let Some(says) = value["description"].as_str() { span.says { (says) } } }
}

/// The properties of an object, or of the objects in a list or map, as far as they are written here.
fn fields(schema: &Value) -> Markup {
    let inner = [schema, &schema["items"], &schema["additionalProperties"]];
    let Some(properties) = inner.iter().find_map(|schema| schema["properties"].as_object()) else { return html! {} };
    let required: Vec<&str> =
        inner.iter().find_map(|schema| schema["required"].as_array()).into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        table {
            @for (name, property) in properties {
                tr {
                    th { code { (name) } @if required.contains(&name.as_str()) { abbr title="required" { "*" } } }
                    td { (kind(property)) }
                    td { (limits(property)) (said(property)) (fields(property)) }
                }
            }
        }
    }
}

/// The type in words, with a link where it has a name.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(PREFIX)) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(choices) = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array()) {
        return html! { @for (index, choice) in choices.iter().enumerate() { @if index > 0 { " or " } (kind(choice)) } };
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    html! {
        (names.join(" or "))
        @if !schema["items"].is_null() { " of " (kind(&schema["items"])) }
        @if schema["additionalProperties"].is_object() { " to " (kind(&schema["additionalProperties"])) }
    }
}

/// Everything else that a schema asks of a value.
fn limits(schema: &Value) -> Markup {
    const SHOWN: [(&str, &str); 11] = [
        ("enum", "one of"),
        ("const", "always"),
        ("default", "default"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("multipleOf", "in steps of"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "items at least"),
        ("maxItems", "items at most"),
        ("pattern", "matches"),
    ];
    html! {
        @for (key, says) in SHOWN {
            @if let Some(value) = schema.get(key) { span.limit { (says) " " code { (plain(value)) } } " " }
        }
    }
}

/// A value as a reader writes it: lists without brackets, texts without quotes unless empty.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
