//! What handlers ask of a request: identifiers of the path, the body, parameters of the query string.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Query, RawPathParams, Request};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::BodyExt;
use quorate_core::ids::{AccountId, HealthcheckId, LoadBalancerId, MonitorGroupId, MonitorId, PoolId, PreviewId, ZoneId};
use serde_json::Value;

use crate::body::Object;
use crate::error::ApiError;
use crate::{BODY_BYTES_MAX, Shared};

/// Levels of arrays and objects in a body.
const DEPTH_MAX: usize = 32;
/// Bytes beyond [`BODY_BYTES_MAX`] that are read and thrown away before the connection is closed.
const THROWN_AWAY_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;

/// An identifier that a route's path carries.
pub(crate) trait PathId: FromStr {
    const PARAM: &'static str;
}

macro_rules! path_ids {
    ($($id:ty => $param:literal),* $(,)?) => {$(
        impl PathId for $id {
            const PARAM: &'static str = $param;
        }
    )*};
}

path_ids! {
    AccountId => "account_id",
    ZoneId => "zone_id",
    MonitorGroupId => "monitor_group_id",
    HealthcheckId => "healthcheck_id",
    MonitorId => "monitor_id",
    PoolId => "pool_id",
    PreviewId => "preview_id",
    LoadBalancerId => "load_balancer_id",
}

/// The identifier of that kind in the path; `None` where the route has none.
///
/// # Errors
/// [`ApiError::NoRoute`] for a text that cannot be one.
pub(crate) async fn path_id<T: PathId>(parts: &mut Parts, state: &Shared) -> Result<Option<T>, ApiError> {
    let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path().to_owned(), |uri| uri.path().to_owned());
    let no_route = || ApiError::NoRoute { path: path.clone() };
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| no_route())?;
    let text = params.iter().find(|(name, _)| *name == T::PARAM).map(|(_, text)| text);
    text.map(|text| text.parse().map_err(|_| no_route())).transpose()
}

/// The identifier of the object that the path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: PathId> FromRequestParts<Shared> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        Ok(Self(path_id(parts, state).await?.expect("the route carries the identifier that its handler asks for")))
    }
}

/// The last part of the path, as text.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) String);

impl FromRequestParts<Shared> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path().to_owned(), |uri| uri.path().to_owned());
        let no_route = |_| ApiError::NoRoute { path: path.clone() };
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(no_route)?;
        let (_, text) = params.iter().last().expect("the route ends with a parameter");
        Ok(Self(text.to_owned()))
    }
}

/// The body as it came; read as JSON only when the handler gets there, so that it decides what is refused first.
#[derive(Debug)]
pub(crate) struct Body {
    /// Why it cannot be JSON, by its headers.
    foreign: Option<String>,
    bytes: Bytes,
}

impl FromRequest<Shared> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, ApiError> {
        let foreign = foreign(request.headers());
        Ok(Self { foreign, bytes: read(request.into_body()).await? })
    }
}

/// The whole body, if it is not too large. A larger one is read on for a while and thrown away: a client that is still
/// sending when the connection closes would not hear why.
async fn read(mut body: axum::body::Body) -> Result<Bytes, ApiError> {
    let (mut bytes, mut thrown_away) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::MalformedBody("the body could not be read".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if thrown_away == 0 && bytes.len() + data.len() <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
            continue;
        }
        thrown_away += data.len();
        if thrown_away > THROWN_AWAY_BYTES_MAX {
            break;
        }
    }
    if thrown_away == 0 { Ok(bytes.freeze()) } else { Err(ApiError::TooLarge) }
}

impl Body {
    /// The body as a JSON object.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what is not JSON, not an object, or nested too deep.
    pub(crate) fn object(self) -> Result<Object, ApiError> {
        if let Some(kind) = self.foreign {
            return Err(ApiError::MediaType(kind));
        }
        // The parser itself stops at 128 levels, so that no body can exhaust the stack.
        let value: Value = serde_json::from_slice(&self.bytes).map_err(|error| ApiError::MalformedBody(error.to_string()))?;
        if is_deeper(&value, DEPTH_MAX) {
            return Err(ApiError::MalformedBody(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        if has_nul(&value) {
            return Err(ApiError::MalformedBody("a text holds the character U+0000".to_owned()));
        }
        match value {
            Value::Object(object) => Ok(object),
            other => Err(ApiError::field("", format!("the body must be a JSON object, not {}", kind_of(&other)))),
        }
    }
}

/// The encoding or media type that is not ours. Without a media type a body is taken for JSON.
fn foreign(headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let encoding = header(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    encoding.or_else(|| header(CONTENT_TYPE).filter(|kind| !is_json(kind)))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(map) => levels == 0 || map.values().any(|item| is_deeper(item, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// No text of ours holds it, and the database could not keep it.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, item)| key.contains('\0') || has_nul(item)),
        Value::String(text) => text.contains('\0'),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The parameters of the query string. Unknown ones are passed over.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameter as sent; empty is absent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The parameter, parsed.
    ///
    /// # Errors
    /// [`ApiError::InvalidQuery`]: `page "x" is not an integer`, where `what` is `an integer`.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, what: impl Display) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| ApiError::InvalidQuery(format!("{name} {text:?} is not {what}")));
        self.text(name).map(parse).transpose()
    }
}

impl FromRequestParts<Shared> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let illegal = || ApiError::InvalidQuery("the query string is not legal".to_owned());
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| illegal())?;
        if pairs.iter().any(|(_, value)| value.contains('\0')) { Err(illegal()) } else { Ok(Self(pairs)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_told_by_its_media_type() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data; boundary=x", ""] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn depth_counts_arrays_and_objects() {
        assert!(!is_deeper(&json!(1), 0));
        assert!(is_deeper(&json!([]), 0));
        assert!(!is_deeper(&json!({"a": [1]}), 2));
        assert!(is_deeper(&json!({"a": [[1]]}), 2));
    }
}
