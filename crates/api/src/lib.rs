//! The REST surface: `/client/v4` in the shape that clients of the Cloudflare Load Balancing API know.
//!
//! Handlers extract, parse, call the store once or twice, and answer in one envelope. What is legal is
//! `quorate_core`'s to say, what is stored `quorate_store`'s; nothing here decides health.

mod accounts;
mod answer;
mod audit_logs;
mod auth;
mod body;
mod envelope;
mod error;
mod events;
mod extract;
mod guard;
mod load_balancers;
mod monitors;
mod page;
mod patch;
mod pools;
mod serve;
mod user;
mod zones;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use quorate_core::time::Clock;
use quorate_store::Db;
use quorate_store::tokens::Pepper;

use auth::TokenCache;
use error::ApiError;
pub use serve::{ServeLimits, serve};

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What the REST surface works with.
#[derive(Clone)]
pub struct Api {
    pub db: Db,
    /// Mixed into the digests of tokens.
    pub pepper: Pepper,
    /// Tells whether a token has expired.
    pub clock: Arc<dyn Clock>,
    /// Whether this process can do its work; `Err` says why not. For `/readyz`.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The figures of this process in the text format of Prometheus. For `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("db", &self.db).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) api: Api,
    pub(crate) tokens: TokenCache,
}

pub(crate) type Shared = Arc<AppState>;

/// The whole surface.
pub fn router(api: Api) -> Router {
    let state = Arc::new(AppState { api, tokens: TokenCache::default() });
    Router::new()
        .nest("/client/v4", guard::around(v4()))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|uri: Uri| async move { ApiError::NoRoute { path: uri.path().to_owned() } })
        .with_state(state)
}

fn v4() -> Router<Shared> {
    Router::new()
        .nest("/accounts/{account_id}/load_balancers", load_balancing())
        .nest("/user/load_balancers", load_balancing())
        .route("/zones/{zone_id}/load_balancers", get(load_balancers::list).post(load_balancers::create))
        .route(
            "/zones/{zone_id}/load_balancers/{load_balancer_id}",
            get(load_balancers::show).put(load_balancers::replace).patch(load_balancers::patch).delete(load_balancers::delete),
        )
        .route("/user/load_balancing_analytics/events", get(events::of_token))
        .route("/accounts/{account_id}/load_balancing_analytics/events", get(events::of_account))
        .route("/accounts", get(accounts::list))
        .route("/accounts/{account_id}", get(accounts::show))
        .route("/accounts/{account_id}/load_balancers/usage", get(accounts::usage))
        .route("/accounts/{account_id}/audit_logs", get(audit_logs::list))
        .route("/zones", get(zones::list))
        .route("/zones/{zone_id}", get(zones::show))
        .route("/user", get(user::show))
        .route("/user/tokens/verify", get(user::verify))
        .fallback(|| async { StatusCode::NOT_FOUND })
}

/// What is the same below an account and below the token's own account.
fn load_balancing() -> Router<Shared> {
    Router::new()
        .route("/monitors", get(monitors::list).post(monitors::create))
        .route("/monitors/{monitor_id}", get(monitors::show).put(monitors::replace).patch(monitors::patch).delete(monitors::delete))
        .route("/pools", get(pools::list).post(pools::create))
        .route("/pools/{pool_id}", get(pools::show).put(pools::replace).patch(pools::patch).delete(pools::delete))
        .route("/pools/{pool_id}/health", get(pools::health))
        .route("/pools/{pool_id}/quorum", get(pools::quorum))
}

async fn ready(State(state): State<Shared>) -> (StatusCode, String) {
    match (state.api.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(state): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.api.metrics)())
}
