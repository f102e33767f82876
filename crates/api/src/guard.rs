//! The outermost layer of the API: whatever leaves it is an envelope, soon, and counted.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::ALLOW;
use http::{Method, StatusCode};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

use crate::envelope::Sealed;
use crate::error::ApiError;
use crate::limits::Meter;

/// From the request's head to the answer; a little more than the database gives a statement.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);

/// Puts the guards around all routes and fallbacks of a router.
pub(crate) fn around<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    within(router, REQUEST_TIMEOUT)
}

fn within<S: Clone + Send + Sync + 'static>(router: Router<S>, timeout: Duration) -> Router<S> {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(move |request: Request, next: Next| seal(request, next, timeout)))
}

async fn seal(mut request: Request, next: Next, timeout: Duration) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<axum::extract::OriginalUri>().map_or_else(|| request.uri().path(), |uri| uri.path()).to_owned();
    // The pattern, not the path: identifiers are no metric labels.
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let meter = Meter::default();
    request.extensions_mut().insert(meter.clone());
    let response = match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    };
    let mut response = if response.extensions().get::<Sealed>().is_some() { response } else { envelope(response, path) };
    if let Some(standing) = meter.standing() {
        standing.tell(response.headers_mut());
    }
    let status = response.status().as_u16();
    let labels = [("method", method_label(&method).to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("quorate_api_requests_total", &labels).increment(1);
    metrics::histogram!("quorate_api_request_seconds").record(started.elapsed());
    tracing::debug!(http.method = %method, http.route = labels[1].1, http.status = status, "answered a request");
    response
}

/// A method as a label: whatever a peer makes up is one value.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// An answer of a layer that knows nothing of envelopes, in one. What it allows stays told.
fn envelope(bare: Response, path: String) -> Response {
    let allow = bare.headers().get(ALLOW).cloned();
    let mut sealed = match bare.status() {
        StatusCode::NOT_FOUND => ApiError::NoRoute { path },
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        status if status.is_success() => {
            return bare;
        }
        status => ApiError::Status(status),
    }
    .into_response();
    if let Some(allow) = allow {
        sealed.headers_mut().insert(ALLOW, allow);
    }
    sealed
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is the layer's")]
fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    let error = std::io::Error::other(format!("a handler panicked: {}", text.unwrap_or("no message")));
    ApiError::Internal(Box::new(error)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn answer(router: Router, method: &str, path: &str) -> (StatusCode, Value) {
        let router = within(router, Duration::from_millis(50));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[test]
    fn methods_that_nobody_knows_share_a_label() {
        let label = |method: &str| method_label(&Method::from_bytes(method.as_bytes()).expect("a token"));
        assert_eq!(["GET", "PATCH", "get", "X-1", "X-2"].map(label), ["GET", "PATCH", "other", "other", "other"]);
    }

    #[tokio::test]
    async fn panics_time_outs_and_bare_failures_leave_as_envelopes() {
        let router = || {
            Router::<()>::new()
                .route("/panic", get(|| async { "no number".parse::<u8>().expect("boom").to_string() }))
                .route("/slow", get(std::future::pending::<()>))
                .route("/bare", get(|| async { StatusCode::IM_A_TEAPOT }))
        };
        for (method, path, status, code, message) in [
            ("GET", "/panic", 500, 10_500, "internal error"),
            ("GET", "/slow", 504, 10_504, "The request took too long"),
            ("GET", "/bare", 418, 10_418, "I'm a teapot"),
            ("POST", "/bare", 405, 10_405, "Method not allowed for this route"),
            ("GET", "/none", 404, 7003, "Could not route to /none, perhaps your object identifier is invalid?"),
        ] {
            let (found, body) = answer(router(), method, path).await;
            assert_eq!(found.as_u16(), status, "{method} {path}");
            assert_eq!((&body["success"], &body["result"], &body["messages"]), (&Value::Bool(false), &Value::Null, &serde_json::json!([])));
            assert_eq!((&body["errors"][0]["code"], &body["errors"][0]["message"]), (&code.into(), &message.into()));
        }
    }
}
