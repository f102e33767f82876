//! What can go wrong with a request, and the only place that knows which status and code say so.
//! What the client reads and what the log reads are two texts.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use quorate_core::ids::MonitorId;
use quorate_core::validate::FieldError;
use quorate_store::error::Referrer;

use crate::BODY_BYTES_MAX;
use crate::envelope::{self, Cause, ErrorItem, Source};

/// Why a request failed. Codes: `docs/compatibility.md`, table of errors.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// No header that could authenticate.
    NoCredentials,
    /// A header that cannot be what it has to be.
    MalformedCredentials(Malformed),
    /// A pair of e-mail address and key that nobody has.
    UnknownKey,
    /// A token that is unknown, revoked or expired.
    InvalidToken {
        expired: bool,
    },
    /// A token that is valid from a later time on.
    TokenNotYetValid,
    /// A token that may not be used from there.
    AddressNotAllowed(IpAddr),
    /// An unknown token, where the request was to verify it.
    NothingToVerify,
    /// A route for tokens, asked with an e-mail address and a key.
    NotForKeys,
    /// Over the quota of the token, or of an address without one.
    TooManyRequests {
        /// Until the next one is admitted.
        wait: Duration,
    },
    /// An account that does not exist or that the token does not reach: one answer for both.
    OutOfReach,
    /// The token lacks the permission.
    NotPermitted,
    /// No such object in this account; foreign ones included.
    NotFound {
        resource: &'static str,
    },
    /// No such route, or an identifier that cannot be one.
    NoRoute {
        path: String,
    },
    MethodNotAllowed,
    /// Bad fields of a body.
    Invalid(Vec<FieldError>),
    /// A bad parameter of the query string.
    InvalidQuery(String),
    /// Load balancing is switched off for the `account` or the `zone`.
    NotEnabled {
        place: &'static str,
    },
    /// The account's limit, as the store tells it.
    Quota(String),
    NotUnique {
        field: &'static str,
    },
    Referenced(Vec<Referrer>),
    /// Members of a monitor group, by index, name monitors that are not there.
    MissingMembers(Vec<(usize, MonitorId)>),
    /// Not JSON, or nested too deep.
    MalformedBody(String),
    TooLarge,
    /// A body of another kind than JSON.
    MediaType(String),
    TimedOut,
    /// The database does not answer.
    Unavailable(Box<dyn StdError + Send + Sync>),
    Internal(Box<dyn StdError + Send + Sync>),
    /// A failure of a layer that knows nothing of envelopes.
    Status(StatusCode),
}

/// Which header of credentials cannot be what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Authorization,
    Email,
    Key,
}

impl Malformed {
    const fn cause(self) -> Cause {
        match self {
            Self::Authorization => Cause { code: 6111, message: "Invalid format for Authorization header" },
            Self::Email => Cause { code: 6102, message: "Invalid format for X-Auth-Email header" },
            Self::Key => Cause { code: 6103, message: "Invalid format for X-Auth-Key header" },
        }
    }
}

/// Codes of our own for what the transport refuses: 10000 + the HTTP status.
const fn of_status(status: StatusCode) -> u32 {
    10_000 + status.as_u16() as u32
}

impl ApiError {
    const fn status_and_code(&self) -> (StatusCode, u32) {
        match self {
            Self::NoCredentials => (StatusCode::BAD_REQUEST, 9106),
            Self::MalformedCredentials(_) => (StatusCode::BAD_REQUEST, 6003),
            Self::UnknownKey => (StatusCode::FORBIDDEN, 9103),
            Self::InvalidToken { .. } | Self::TokenNotYetValid | Self::AddressNotAllowed(_) | Self::OutOfReach => {
                (StatusCode::FORBIDDEN, 9109)
            }
            Self::NothingToVerify => (StatusCode::UNAUTHORIZED, 1000),
            Self::NotPermitted => (StatusCode::FORBIDDEN, 10_000),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, 971),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, 1001),
            Self::NoRoute { .. } => (StatusCode::NOT_FOUND, 7003),
            Self::Invalid(_) | Self::InvalidQuery(_) | Self::NotEnabled { .. } => (StatusCode::BAD_REQUEST, 1002),
            Self::Quota(_) => (StatusCode::FORBIDDEN, 1004),
            Self::NotUnique { .. } => (StatusCode::BAD_REQUEST, 1003),
            Self::Referenced(_) => (StatusCode::PRECONDITION_FAILED, 1005),
            Self::MissingMembers(_) => (StatusCode::PRECONDITION_FAILED, 1001),
            Self::MalformedBody(_) => (StatusCode::BAD_REQUEST, 6007),
            Self::MethodNotAllowed | Self::NotForKeys => with_code(StatusCode::METHOD_NOT_ALLOWED),
            Self::TooLarge => with_code(StatusCode::PAYLOAD_TOO_LARGE),
            Self::MediaType(_) => with_code(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TimedOut => with_code(StatusCode::GATEWAY_TIMEOUT),
            Self::Unavailable(_) => with_code(StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal(_) => with_code(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Status(status) => with_code(*status),
        }
    }

    /// What the client reads.
    fn message(&self) -> String {
        match self {
            Self::NoCredentials => "Missing X-Auth-Key, X-Auth-Email or Authorization headers".to_owned(),
            Self::MalformedCredentials(_) => "Invalid request headers".to_owned(),
            Self::UnknownKey => "Unknown X-Auth-Key or X-Auth-Email".to_owned(),
            Self::InvalidToken { expired: false } => "Invalid access token".to_owned(),
            Self::InvalidToken { expired: true } => "Invalid access token: it has expired".to_owned(),
            Self::TokenNotYetValid => "Invalid access token: it is not valid yet".to_owned(),
            Self::AddressNotAllowed(address) => format!("Cannot use the access token from location: {address}"),
            Self::NotForKeys => "Method not allowed for this authentication scheme".to_owned(),
            Self::TooManyRequests { .. } => "Please wait and consider throttling your request speed".to_owned(),
            Self::OutOfReach => "Unauthorized to access requested resource".to_owned(),
            Self::NothingToVerify => "Invalid API Token".to_owned(),
            Self::NotPermitted => "Authentication error".to_owned(),
            Self::NotFound { resource } => format!("{resource} not found"),
            Self::NoRoute { path } => format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            Self::MethodNotAllowed => "Method not allowed for this route".to_owned(),
            Self::Invalid(_) | Self::MissingMembers(_) => String::new(),
            Self::InvalidQuery(detail) => format!("{detail}: validation failed"),
            Self::NotEnabled { place } => format!("load balancing not enabled for {place}: validation failed"),
            Self::Quota(detail) => format!("Exceeded quota: {detail}"),
            Self::NotUnique { field } => format!("value not unique: {field}"),
            Self::Referenced(referrers) => {
                let named: Vec<String> = referrers.iter().map(ToString::to_string).collect();
                format!("This object is referenced by other objects, delete them first. {}", named.join(", "))
            }
            Self::MalformedBody(why) => format!("Malformed JSON in request body: {why}"),
            Self::TooLarge => format!("The request body is larger than {BODY_BYTES_MAX} bytes"),
            Self::MediaType(kind) => format!("The request body is {kind}, and must be application/json without encoding"),
            Self::TimedOut => "The request took too long".to_owned(),
            Self::Unavailable(_) => "service failure".to_owned(),
            Self::Internal(_) => "internal error".to_owned(),
            Self::Status(status) => status.canonical_reason().unwrap_or("failed").to_owned(),
        }
    }

    fn items(&self) -> Vec<ErrorItem> {
        let (_, code) = self.status_and_code();
        let item = |message: String, pointer: Option<String>| ErrorItem {
            code,
            message,
            source: pointer.map(|pointer| Source { pointer }),
            error_chain: Vec::new(),
        };
        match self {
            Self::Invalid(problems) => problems
                .iter()
                .map(|problem| item(format!("{}: validation failed", problem.detail), Some(problem.pointer.clone())))
                .collect(),
            Self::MissingMembers(missing) => missing
                .iter()
                .map(|(index, id)| item(format!("monitor {id} not found"), Some(format!("/members/{index}/monitor_id"))))
                .collect(),
            Self::NotUnique { field } => vec![item(self.message(), Some(format!("/{field}")))],
            Self::MalformedCredentials(header) => vec![ErrorItem { error_chain: vec![header.cause()], ..item(self.message(), None) }],
            Self::NoRoute { .. } => vec![
                item(self.message(), None),
                ErrorItem { code: 7000, message: "No route for that URI".to_owned(), source: None, error_chain: Vec::new() },
            ],
            _ => vec![item(self.message(), None)],
        }
    }

    /// A field whose value is not legal.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }
}

const fn with_code(status: StatusCode) -> (StatusCode, u32) {
    (status, of_status(status))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = self.status_and_code();
        if let Self::Unavailable(error) | Self::Internal(error) = &self {
            tracing::error!(error = %chain(error.as_ref()), "a request failed");
        }
        let mut response = envelope::failure(status, self.items());
        if let Self::TooManyRequests { wait } = self {
            // Whole seconds, rounded up: who comes then is admitted.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// An error with its causes, on one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<quorate_store::Error> for ApiError {
    fn from(error: quorate_store::Error) -> Self {
        use quorate_store::Error as Store;
        match error {
            Store::QuotaExceeded { .. } => Self::Quota(error.to_string()),
            Store::NotUnique { field } => Self::NotUnique { field },
            Store::TakenElsewhere { .. } => Self::field("/name", format!("name {error}")),
            Store::Referenced { referrers } => Self::Referenced(referrers),
            Store::MissingMembers { missing } => Self::MissingMembers(missing),
            Store::MissingReference { resource, id } => Self::field(format!("/{resource}"), format!("{resource} {id} does not exist")),
            Store::Database(_) => Self::Unavailable(Box::new(error)),
            Store::NoHeaderKey { .. } | Store::Corrupt { .. } | Store::Schema(_) | Store::Migrate(_) => Self::Internal(Box::new(error)),
        }
    }
}
