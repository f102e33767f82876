//! What a resource of the provider is made of: its attributes, who sets each, and of what type it is.

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

/// What stands in a plan for a value that only the server can tell.
pub(super) const UNKNOWN: &str = "(known after apply)";

/// Who sets an attribute.
#[derive(Clone, Debug)]
pub(super) enum Flow {
    /// The configuration alone: required, or null where it is silent.
    Configured,
    /// The server alone; never sent.
    Computed,
    /// The configuration; where it is silent the default, and without one whatever the server says.
    Settable(Option<Value>),
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Text,
    /// A floating-point number.
    Number,
    /// A whole number.
    Whole,
    Flag,
    /// RFC 3339.
    Time,
    List(Box<Shape>),
    Map(Box<Shape>),
    Object(Vec<Attribute>),
    /// A list of objects, each told by its place.
    Objects(Vec<Attribute>),
    /// A set of objects, each told by what is configured of it.
    Set(Vec<Attribute>),
}

#[derive(Clone, Debug)]
pub(super) struct Attribute {
    /// As in the JSON of the API.
    pub(super) name: &'static str,
    pub(super) flow: Flow,
    pub(super) shape: Shape,
    /// Planned to stay as it was, however much else changes.
    pub(super) stays: bool,
}

impl Attribute {
    const fn new(name: &'static str, flow: Flow, shape: Shape) -> Self {
        Self { name, flow, shape, stays: false }
    }

    pub(super) fn stays(mut self) -> Self {
        self.stays = true;
        self
    }
}

pub(super) const fn configured(name: &'static str, shape: Shape) -> Attribute {
    Attribute::new(name, Flow::Configured, shape)
}

pub(super) const fn computed(name: &'static str, shape: Shape) -> Attribute {
    Attribute::new(name, Flow::Computed, shape)
}

pub(super) const fn settable(name: &'static str, shape: Shape) -> Attribute {
    Attribute::new(name, Flow::Settable(None), shape)
}

pub(super) fn defaults(name: &'static str, shape: Shape, default: impl Into<Value>) -> Attribute {
    let default = typed(&shape, &default.into(), name);
    Attribute::new(name, Flow::Settable(Some(default)), shape)
}

pub(super) fn list(of: Shape) -> Shape {
    Shape::List(Box::new(of))
}

pub(super) fn map(of: Shape) -> Shape {
    Shape::Map(Box::new(of))
}

/// A value as the attribute's type has it: absent is null, 1 is 1.0 where numbers have fractions, and what the type does not
/// name is not there. What does not fit is a failure: the provider would silently keep what it had.
pub(super) fn typed(shape: &Shape, value: &Value, place: &str) -> Value {
    let fits = match (shape, value) {
        (_, Value::Null) => true,
        (Shape::Text, value) => value.is_string(),
        (Shape::Number, value) => value.is_number(),
        (Shape::Whole, value) => value.is_i64(),
        (Shape::Flag, value) => value.is_boolean(),
        (Shape::Time, value) => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        (Shape::List(_) | Shape::Objects(_) | Shape::Set(_), value) => value.is_array(),
        (Shape::Map(_) | Shape::Object(_), value) => value.is_object(),
    };
    assert!(fits, "{place} is no {shape:?}: {value}");
    match (shape, value) {
        (Shape::Number, Value::Number(number)) => Number::from_f64(number.as_f64().expect("a number")).expect("finite").into(),
        (Shape::List(of), Value::Array(items)) => items.iter().map(|item| typed(of, item, place)).collect(),
        (Shape::Map(of), Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(key, item)| (key.clone(), typed(of, item, place))).collect())
        }
        (Shape::Object(attributes), Value::Object(_)) => object(attributes, value, place),
        (Shape::Objects(attributes) | Shape::Set(attributes), Value::Array(items)) => {
            items.iter().map(|item| object(attributes, item, place)).collect()
        }
        (_, value) => value.clone(),
    }
}

/// An object with every attribute of the type and no other.
pub(super) fn object(attributes: &[Attribute], value: &Value, place: &str) -> Value {
    let field = |of: &Attribute| (of.name.to_owned(), typed(&of.shape, &value[of.name], &format!("{place}.{}", of.name)));
    Value::Object(attributes.iter().map(field).collect::<Map<String, Value>>())
}
