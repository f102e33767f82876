//! The one shape of every answer: `success`, `errors`, `messages`, `result`, and `result_info` on lists.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A successful answer.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<T> {
    /// True, always: a failure has another type.
    success: bool,
    /// Empty, always.
    errors: [(); 0],
    /// Remarks that a person should read.
    messages: Vec<Message>,
    result: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<ResultInfo>,
}

/// A remark beside a successful result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Message {
    /// 1000 to 65535.
    code: u32,
    message: String,
}

/// Where a page of a list stands in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ResultInfo {
    /// From 1.
    pub(crate) page: u64,
    pub(crate) per_page: u64,
    /// Items on this page.
    pub(crate) count: u64,
    /// Items on all pages.
    pub(crate) total_count: u64,
    pub(crate) total_pages: u64,
}

/// A failed answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failure {
    /// False, always.
    #[schemars(extend("const" = false))]
    success: bool,
    errors: Vec<ErrorItem>,
    messages: [(); 0],
    /// Null, always.
    result: (),
}

/// One thing that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorItem {
    /// 1000 to 65535, or 971.
    pub(crate) code: u32,
    pub(crate) message: String,
    /// Where in the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    /// What lies behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) error_chain: Vec<Cause>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Source {
    /// JSON pointer into the request's body.
    pub(crate) pointer: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cause {
    pub(crate) code: u32,
    pub(crate) message: &'static str,
}

/// Marks a response whose body is an envelope; whatever lacks it gets one on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed;

impl<T> Envelope<T> {
    pub(crate) fn of(result: T) -> Self {
        Self { success: true, errors: [], messages: Vec::new(), result, result_info: None }
    }

    pub(crate) fn page(result: T, info: ResultInfo) -> Self {
        Self { result_info: Some(info), ..Self::of(result) }
    }

    /// Adds a remark.
    pub(crate) fn saying(mut self, code: u32, message: impl Into<String>) -> Self {
        self.messages.push(Message { code, message: message.into() });
        self
    }
}

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        sealed(StatusCode::OK, &self)
    }
}

/// A failure with its status.
pub(crate) fn failure(status: StatusCode, errors: Vec<ErrorItem>) -> Response {
    sealed(status, &Failure { success: false, errors, messages: [], result: () })
}

fn sealed(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("a wire type has string keys and no failing serializer");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(Sealed);
    response
}

/// An instant on the wire: RFC 3339 in UTC with microseconds, `2026-01-01T05:20:00.123450Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_four_keys_are_always_there_and_time_has_microseconds() {
        let time = Time("2026-01-01T05:20:00.12345Z".parse().expect("a time"));
        let one = serde_json::to_value(Envelope::of(time).saying(1100, "look")).expect("serializes");
        let expected = json!({"success": true, "errors": [], "messages": [{"code": 1100, "message": "look"}], "result": "2026-01-01T05:20:00.123450Z"});
        assert_eq!(one, expected);
        let item = ErrorItem { code: 1001, message: "pool not found".to_owned(), source: None, error_chain: Vec::new() };
        let failed = serde_json::to_value(Failure { success: false, errors: vec![item], messages: [], result: () }).expect("serializes");
        assert_eq!(
            failed,
            json!({"success": false, "errors": [{"code": 1001, "message": "pool not found"}], "messages": [], "result": null})
        );
    }
}
