//! Our description against the vendor's, operation by operation and field by field. Every difference is explained by a
//! row of the last table of `docs/compatibility.md`, and every row there explains one.
//!
//! The vendor's document is not ours to keep: `QUORATE_VENDOR_OPENAPI` says where it is. Without it this part is skipped,
//! and says so.

mod compare;
mod explanations;
mod facts;

use std::path::PathBuf;

use serde_json::Value;

use compare::differences;
use explanations::Explanation;

/// The vendor's document, where it is at hand.
pub(crate) fn document() -> Option<Value> {
    let Some(path) = std::env::var_os("QUORATE_VENDOR_OPENAPI").filter(|path| !path.is_empty()) else {
        eprintln!("SKIPPED: the vendor's OpenAPI document is not at hand; QUORATE_VENDOR_OPENAPI says where it is");
        return None;
    };
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[test]
fn every_difference_from_the_vendors_document_is_explained_and_every_explanation_is_needed() {
    let rows = explanations::read();
    let Some(vendor) = document() else { return };
    let found = differences(&vendor, &quorate_api::openapi_document());
    let unexplained: Vec<String> =
        found.iter().filter(|difference| !rows.iter().any(|row| row.explains(difference))).map(ToString::to_string).collect();
    let is_unneeded = |row: &&Explanation| !row.is_of_what_may_come() && !found.iter().any(|difference| row.explains(difference));
    let unneeded: Vec<String> = rows.iter().filter(is_unneeded).map(ToString::to_string).collect();
    assert!(
        unexplained.is_empty(),
        "{} differences without a row in docs/compatibility.md:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    assert!(unneeded.is_empty(), "rows of docs/compatibility.md that explain nothing:\n{}", unneeded.join("\n"));
}

#[test]
fn a_difference_is_seen_in_every_kind_of_place() {
    let vendor = serde_json::json!({"paths": {
        "/things": {"post": {
            "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {"allOf": [
                {"$ref": "#/components/schemas/thing"},
                {"required": ["name"], "properties": {"name": {"type": "string", "nullable": true}}},
            ]}}}},
            "responses": {"200": {"content": {"application/json": {"schema": {
                "properties": {"result": {"type": "array", "items": {"$ref": "#/components/schemas/thing"}}},
            }}}}},
        }},
        "/gone": {"get": {}},
    }, "components": {"schemas": {"thing": {"properties": {
        "kind": {"enum": ["a", "b"]}, "size": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
        "parts": {"type": "array", "items": {"properties": {"id": {"type": "string"}}}},
    }}}}});
    let ours = serde_json::json!({"paths": {"/client/v4/things": {"post": {
        "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
        "requestBody": {"content": {"application/json": {"schema": {
            "required": ["name", "size"],
            "properties": {
                "kind": {"enum": ["a", "c"]}, "size": {"type": "integer", "minimum": 1, "default": 2},
                "parts": {"type": "array", "items": {"properties": {}}}, "name": {"type": "string"},
            },
        }}}},
        "responses": {"200": {"content": {"application/json": {"schema": {"properties": {"result": {"type": "array", "items": {
            "properties": {"kind": {"enum": ["a"]}, "size": {"type": ["integer", "null"]}, "more": {"type": "string"}},
        }}}}}}}},
    }}}});
    let found: Vec<String> = differences(&vendor, &ours).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "| `GET /gone` | operation | absent |",
            "| `POST /things` | query `page` | ours |",
            "| `POST /things` | query `q` | absent |",
            "| `POST /things` | request `kind` | refuses b |",
            "| `POST /things` | request `kind` | takes c too |",
            "| `POST /things` | request `name` | refuses null |",
            "| `POST /things` | request `parts[].id` | absent |",
            "| `POST /things` | request `size` | at least 1, not 0 |",
            "| `POST /things` | request `size` | default 2, not 1 |",
            "| `POST /things` | request `size` | required |",
            "| `POST /things` | result `[].more` | ours |",
            "| `POST /things` | result `[].parts` | absent |",
            "| `POST /things` | result `[].size` | may be null |",
        ]
    );
}
