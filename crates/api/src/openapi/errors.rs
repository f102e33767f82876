//! Which failures an operation can answer with. Codes: `docs/compatibility.md`, table of errors.

use http::Method;
use schemars::Schema;
use serde_json::{Map, Value, json};

use super::operation::{Credentials, Operation, Payload};

/// Status, name of the response, and what it means with its codes.
const FAILURES: [(&str, &str, &str); 11] = [
    ("400", "BadRequest", "Not valid (1002, 1003), not JSON (6007), no credentials (9106), or malformed ones (6003)."),
    ("401", "Unauthorized", "The token is not known (1000)."),
    ("403", "Forbidden", "Unknown credentials (9103, 9109), no permission (10000), out of reach (9109), or over quota (1004)."),
    ("404", "NotFound", "No such object (1001), or no such route or identifier (7003)."),
    ("412", "PreconditionFailed", "Other objects refer to this one (1005), or it refers to one that is missing (1001)."),
    ("413", "PayloadTooLarge", "The body is over 1 MiB (10413)."),
    ("415", "UnsupportedMediaType", "The body is not JSON, or is encoded (10415)."),
    ("429", "TooManyRequests", "Too many requests in the last five minutes (971); `retry-after` says when to come again."),
    ("500", "InternalError", "A fault of this service (10500)."),
    ("503", "Unavailable", "The database does not answer (10503)."),
    ("504", "TimedOut", "No answer within 35 seconds (10504)."),
];

/// The shared responses.
pub(super) fn responses(failure: &Schema) -> Value {
    let response = |(_, name, says): (&str, &str, &str)| {
        (name.to_owned(), json!({"description": says, "content": {"application/json": {"schema": failure}}}))
    };
    FAILURES.into_iter().map(response).collect::<Map<_, _>>().into()
}

/// The failures of one operation.
pub(super) fn of(path: &str, operation: &Operation) -> Map<String, Value> {
    if path == "/readyz" {
        return Map::from_iter([("503".to_owned(), json!({"description": "Not ready; the text says why.", "content": {"*/*": {}}}))]);
    }
    if operation.credentials == Credentials::None {
        return Map::new();
    }
    let reads = !matches!(operation.payload, Payload::None);
    let happens = |status: &str| match status {
        "401" => path.ends_with("/tokens/verify"),
        "404" => path.contains('{'),
        "412" => operation.method == Method::DELETE || path.contains("/monitor_groups"),
        "413" | "415" => reads,
        _ => true,
    };
    let reference = |(status, name, _): (&str, &str, &str)| (status.to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    FAILURES.into_iter().filter(|(status, _, _)| happens(status)).map(reference).collect()
}
