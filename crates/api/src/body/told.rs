//! What a body may hold, told by the code that reads it.
//!
//! A reader declares its fields the same way whether a body was sent or not. Without one, every converter is asked
//! what it would take, and answers with a JSON schema: so the published schema of a request cannot drift from what is
//! read. What the domain asks beyond types and ranges is added with [`Told::with`].

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::{Bad, Fields, Object, Problems};

/// What converters are asked with: told from every value that was sent by its address.
static QUESTION: Value = Value::Null;

pub(super) fn is_question(value: &Value) -> bool {
    std::ptr::eq(value, &raw const QUESTION)
}

/// The schema of what a converter takes; anything, where it does not look.
pub(super) fn wanted<T>(convert: impl FnOnce(&str, &Value) -> Result<T, Bad>) -> Schema {
    match convert("", &QUESTION) {
        Err(Bad::Asked(schema)) => schema,
        Ok(_) | Err(Bad::Refused(_)) => Schema::default(),
    }
}

/// The schema of an object, from the fields that `read` declares.
pub(super) fn shape_of_object<T>(read: impl FnOnce(&mut Fields<'_>) -> T) -> Schema {
    let mut problems = Problems::default();
    let mut fields = Fields::new(Object::new(), String::new(), &mut problems);
    fields.shape = Some(Shape::default());
    read(&mut fields);
    fields.shape.unwrap_or_default().into_schema()
}

/// How a field may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It must be there.
    Required,
    /// It may be absent, and is not null.
    Optional,
    /// It may be absent or null.
    Nullable,
}

/// The fields declared so far.
#[derive(Debug, Default)]
pub(super) struct Shape {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl Shape {
    pub(super) fn declare<T>(&mut self, name: &'static str, presence: Presence, convert: impl FnOnce(&str, &Value) -> Result<T, Bad>) {
        let schema = wanted(convert);
        let schema = if presence == Presence::Nullable { or_null(schema) } else { schema };
        self.properties.insert(name.to_owned(), schema.to_value());
        if presence == Presence::Required {
            self.required.push(name);
        }
    }

    pub(super) fn ignore(&mut self, names: &[&'static str]) {
        for name in names {
            self.properties.insert((*name).to_owned(), json!({"description": "Accepted and ignored: answers carry it."}));
        }
    }

    fn into_schema(self) -> Schema {
        let mut schema = json_schema!({"type": "object", "properties": self.properties, "additionalProperties": false});
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), json!(self.required));
        }
        schema
    }
}

/// The same, or null.
fn or_null(mut schema: Schema) -> Schema {
    let Some(kind) = schema.get("type").and_then(Value::as_str).map(str::to_owned) else {
        return if schema == Schema::default() { schema } else { json_schema!({"anyOf": [schema, {"type": "null"}]}) };
    };
    schema.insert("type".to_owned(), json!([kind, "null"]));
    if let Some(Value::Array(legal)) = schema.get_mut("enum") {
        legal.push(Value::Null);
    }
    schema
}

/// The published schema of a body.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// `Monitor`: what a POST or PUT sends is `MonitorRequest`, what a PATCH sends `MonitorPatch`.
    pub(crate) name: &'static str,
    pub(crate) schema: Schema,
}

/// The schema of the body that `read` reads.
pub(crate) fn told<T>(name: &'static str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Told {
    Told { name, schema: shape_of_object(read) }
}

impl Told {
    /// Adds what the domain asks of the field that an error would point to with `pointer`, or says of it: `/name`,
    /// `/origins/0/weight`, `/header/Host`.
    ///
    /// # Panics
    /// Where no such field is declared.
    #[must_use]
    pub(crate) fn with(mut self, pointer: &str, more: Value) -> Self {
        let Value::Object(more) = more else { panic!("a schema of {pointer} is an object") };
        let mut place = Some(self.schema.ensure_object());
        for step in pointer.split('/').skip(1) {
            place = place.and_then(|place| below(place, step)).and_then(Value::as_object_mut);
        }
        place.unwrap_or_else(|| panic!("{} has no field {pointer}", self.name)).extend(more);
        self
    }
}

/// The schema of a property, of an entry of a map, or of an item of a list.
fn below<'a>(schema: &'a mut Map<String, Value>, step: &str) -> Option<&'a mut Value> {
    if schema.contains_key("items") {
        return schema.get_mut("items");
    }
    let is_declared = schema.get("properties").is_some_and(|properties| properties.get(step).is_some());
    if is_declared { schema.get_mut("properties")?.get_mut(step) } else { schema.get_mut("additionalProperties") }
}

impl Told {
    /// The schema of a body that may leave out whatever it likes, as a PATCH does.
    pub(crate) fn of_patch(&self) -> Schema {
        let mut schema = self.schema.clone();
        schema.remove("required");
        schema
    }

    /// Every place of which nothing is known: a converter that does not say what it takes. By JSON pointer.
    #[cfg(test)]
    pub(crate) fn blanks(&self) -> Vec<String> {
        let mut found = Vec::new();
        blanks(self.schema.as_value(), "", &mut found);
        found
    }
}

#[cfg(test)]
fn blanks(schema: &Value, place: &str, found: &mut Vec<String>) {
    let says = ["type", "enum", "const", "anyOf", "description"].iter().any(|key| schema.get(key).is_some());
    if !says {
        found.push(place.to_owned());
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        blanks(property, &format!("{place}/{}", quorate_core::validate::pointer_token(name)), found);
    }
    for (key, step) in [("items", "0"), ("additionalProperties", "*")] {
        if let Some(inner @ Value::Object(_)) = schema.get(key) {
            blanks(inner, &format!("{place}/{step}"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{flag, integer, list_of, map_of, object_of, text};
    use super::*;

    /// A reader as rooms have them.
    fn sample(fields: &mut Fields<'_>) {
        fields.read_only(&["id"]);
        fields.required("name", None, text);
        fields.read("timeout", 5_u16, integer(1..=60));
        fields.optional("note", None, text);
        fields.read("origins", Vec::new(), list_of(object_of(|fields| fields.read("enabled", true, flag))));
        fields.optional("header", None, map_of(list_of(text)));
        fields.unless_null("odd", None, |_, value: &Value| Ok(value.clone()));
    }

    #[test]
    fn a_reader_tells_types_ranges_presence_and_nothing_unknown() {
        let told = told("Sample", sample).with("/name", json!({"maxLength": 9})).with("/origins/0/enabled", json!({"default": true}));
        assert_eq!(
            told.schema.as_value(),
            &json!({
                "type": "object",
                "properties": {
                    "id": {"description": "Accepted and ignored: answers carry it."},
                    "name": {"type": "string", "maxLength": 9},
                    "timeout": {"type": "integer", "minimum": 1, "maximum": 60},
                    "note": {"type": ["string", "null"]},
                    "origins": {"type": "array", "items": {
                        "type": "object", "properties": {"enabled": {"type": "boolean", "default": true}}, "additionalProperties": false,
                    }},
                    "header": {"type": ["object", "null"], "additionalProperties": {"type": "array", "items": {"type": "string"}}},
                    "odd": {},
                },
                "additionalProperties": false,
                "required": ["name"],
            })
        );
        assert_eq!(told.of_patch().get("required"), None);
        assert_eq!(told.blanks(), ["/odd"]);
    }

    #[test]
    fn a_null_that_was_sent_is_no_question() {
        assert!(matches!(text("note", &Value::Null), Err(Bad::Refused(_))));
    }
}
