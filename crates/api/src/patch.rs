//! A field of a request body: absent, `null` and a value are three different requests.

use serde_json::Value;

/// What a body says of one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Patch<T> {
    /// Absent: a PATCH keeps what is stored, a POST or PUT takes the default.
    Keep,
    /// `null`: back to the default, where the field allows it.
    Clear,
    Set(T),
}

impl From<Option<Value>> for Patch<Value> {
    fn from(found: Option<Value>) -> Self {
        match found {
            None => Self::Keep,
            Some(Value::Null) => Self::Clear,
            Some(value) => Self::Set(value),
        }
    }
}
