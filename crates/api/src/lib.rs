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
mod healthchecks;
mod limits;
mod load_balancers;
mod monitor_groups;
mod monitors;
mod openapi;
mod page;
mod patch;
mod pools;
mod previews;
mod references;
mod regions;
mod search;
mod serve;
mod user;
mod workers;
mod zones;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use ipnet::IpNet;
use quorate_core::time::Clock;
use quorate_store::Db;
use quorate_store::tokens::Pepper;

use auth::{EditBalancers, InAccount, InZone, ReadBalancers, TokenCache};
use error::ApiError;
use limits::Limiters;
pub use limits::RateLimits;
use openapi::routes::{Routes, get, post};
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
    /// Who may ask how often, and whom to believe where a request comes from.
    pub access: Access,
    /// Whether this process can do its work; `Err` says why not. For `/readyz`.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The figures of this process in the text format of Prometheus. For `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// How requests are admitted.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Proxies whose `X-Forwarded-For` tells where a request comes from; empty: nobody's does.
    pub trusted_proxies: Vec<IpNet>,
    pub limits: RateLimits,
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
    pub(crate) limiters: Limiters,
}

pub(crate) type Shared = Arc<AppState>;

/// The whole surface.
pub fn router(api: Api) -> Router {
    let limiters = Limiters::new(api.access.limits);
    let state = Arc::new(AppState { api, tokens: TokenCache::default(), limiters });
    openapi::described(routes())
        .into_router()
        .fallback(|uri: Uri| async move { ApiError::NoRoute { path: uri.path().to_owned() } })
        .with_state(state)
}

/// The OpenAPI document that `/openapi.json` answers.
pub fn openapi_document() -> serde_json::Value {
    openapi::document_of(routes())
}

/// Every route but those of its description.
fn routes() -> Routes {
    Routes::new()
        .nest("/client/v4", v4().around(|router| guard::around(router.fallback(|| async { StatusCode::NOT_FOUND }))))
        .route("/healthz", get(healthy).named("process::healthy", "Whether this process is alive"))
        .route("/readyz", get(ready).named("process::ready", "Whether this process can do its work"))
        .route("/metrics", get(metrics).named("process::metrics", "The figures of this process, in the text format of Prometheus"))
}

fn v4() -> Routes {
    Routes::new()
        .nest("/accounts/{account_id}/load_balancers", load_balancing())
        .nest("/accounts/{account_id}/load_balancers", of_accounts_only())
        .nest("/user/load_balancers", load_balancing())
        .merge(load_balancers_in::<InZone<ReadBalancers>, InZone<EditBalancers>>("/zones/{zone_id}/load_balancers"))
        .merge(load_balancers_in::<InAccount<ReadBalancers>, InAccount<EditBalancers>>("/accounts/{account_id}/load_balancers"))
        .route(
            "/accounts/{account_id}/load_balancers/search",
            get(search::search).query(search::query).says("Load balancers, pools and monitors by name"),
        )
        .route(
            "/accounts/{account_id}/load_balancers/regions",
            get(regions::list).query(regions::query).says("Which countries lie in which region"),
        )
        .route("/accounts/{account_id}/load_balancers/regions/{region_id}", get(regions::show).says("Which countries lie in the region"))
        .route(
            "/zones/{zone_id}/healthchecks",
            get(healthchecks::list).post(healthchecks::create).reads(healthchecks::told).says("Create a health check"),
        )
        .route(
            "/zones/{zone_id}/healthchecks/preview",
            post(healthchecks::create_preview).reads(healthchecks::told).says("Probe what a health check would give, without keeping it"),
        )
        .route(
            "/zones/{zone_id}/healthchecks/preview/{healthcheck_id}",
            get(healthchecks::show_preview)
                .says("A previewed health check with what has been seen")
                .delete(healthchecks::delete_preview)
                .says("Forget a previewed health check"),
        )
        .route(
            "/zones/{zone_id}/healthchecks/{healthcheck_id}",
            get(healthchecks::show)
                .put(healthchecks::replace)
                .reads(healthchecks::told)
                .patch(healthchecks::patch)
                .reads(healthchecks::told)
                .delete(healthchecks::delete),
        )
        .route(
            "/zones/{zone_id}/healthchecks/{healthcheck_id}/events",
            get(healthchecks::events).query(events::period_query).says("Verdicts of a health check that changed"),
        )
        .route(
            "/zones/{zone_id}/healthchecks/{healthcheck_id}/quorum",
            get(healthchecks::quorum).says("The verdict of a health check with who votes what, and what would flip it"),
        )
        .route(
            "/user/load_balancing_analytics/events",
            get(events::of_token).query(events::query).says("Verdicts that changed, of every account that the token reads"),
        )
        .route(
            "/accounts/{account_id}/load_balancing_analytics/events",
            get(events::of_account).query(events::query).says("Verdicts that changed, of one account"),
        )
        .route("/accounts", get(accounts::list).query(accounts::query))
        .route("/accounts/{account_id}", get(accounts::show))
        .route("/accounts/{account_id}/load_balancers/usage", get(accounts::usage).says("What the account has and may have"))
        .route(
            "/accounts/{account_id}/audit_logs",
            get(audit_logs::list).query(audit_logs::query).says("Changes, of one account: who made which, newest first"),
        )
        .route("/accounts/{account_id}/workers", get(workers::list).says("How the workers of the installation do"))
        .route("/zones", get(zones::list).query(zones::query).post(zones::create).reads(zones::told))
        .route("/zones/{zone_id}", get(zones::show).delete(zones::delete))
        .route("/user", get(user::show).says("Who is asking"))
        .route("/user/tokens/verify", get(user::verify).says("Whether the token works"))
}

/// Load balancers are the same in a zone and in the account itself. `R` lets read there, `W` change.
fn load_balancers_in<R, W>(path: &str) -> Routes
where
    R: load_balancers::Scope + FromRequestParts<Shared, Rejection = ApiError> + 'static,
    W: load_balancers::Scope + FromRequestParts<Shared, Rejection = ApiError> + 'static,
{
    let told = load_balancers::told;
    Routes::new().route(path, get(load_balancers::list::<R>).post(load_balancers::create::<W>).reads(told)).route(
        &format!("{path}/{{load_balancer_id}}"),
        get(load_balancers::show::<R>)
            .put(load_balancers::replace::<W>)
            .reads(told)
            .patch(load_balancers::patch::<W>)
            .reads(told)
            .delete(load_balancers::delete::<W>),
    )
}

/// What is the same below an account and below the token's own account.
fn load_balancing() -> Routes {
    Routes::new()
        .route("/monitors", get(monitors::list).post(monitors::create).reads(monitors::told))
        .route(
            "/monitors/{monitor_id}",
            get(monitors::show)
                .put(monitors::replace)
                .reads(monitors::told)
                .patch(monitors::patch)
                .reads(monitors::told)
                .delete(monitors::delete),
        )
        .route(
            "/monitors/{monitor_id}/preview",
            post(previews::of_monitor).reads(monitors::told).says("Probe what the pools of a monitor would give under other settings"),
        )
        .route("/monitors/{monitor_id}/references", get(references::of_monitor).says("What refers to the monitor"))
        .route(
            "/pools",
            get(pools::list)
                .query(pools::query)
                .post(pools::create)
                .reads(pools::told)
                .patch(pools::patch_all)
                .reads(pools::told_of_all)
                .says("Empty the addresses for notices of every pool"),
        )
        .route(
            "/pools/{pool_id}",
            get(pools::show).put(pools::replace).reads(pools::told).patch(pools::patch).reads(pools::told).delete(pools::delete),
        )
        .route(
            "/pools/{pool_id}/preview",
            post(previews::of_pool).reads(monitors::told).says("Probe what a pool would give under a monitor"),
        )
        .route("/preview/{preview_id}", get(previews::show).says("What a preview has seen so far"))
        .route("/pools/{pool_id}/references", get(references::of_pool).says("What refers to the pool, and what it refers to"))
        .route("/pools/{pool_id}/health", get(pools::health).says("Health of a pool by place"))
        .route("/pools/{pool_id}/quorum", get(pools::quorum::show).says("Verdicts of a pool with who votes what, and what would flip them"))
}

async fn healthy() -> &'static str {
    "ok\n"
}

/// What the older mirror below the token's own account never had.
fn of_accounts_only() -> Routes {
    Routes::new()
        .route("/monitor_groups", get(monitor_groups::list).post(monitor_groups::create).reads(monitor_groups::told))
        .route(
            "/monitor_groups/{monitor_group_id}",
            get(monitor_groups::show)
                .put(monitor_groups::replace)
                .reads(monitor_groups::told)
                .patch(monitor_groups::patch)
                .reads(monitor_groups::told)
                .delete(monitor_groups::delete),
        )
        .route(
            "/monitor_groups/{monitor_group_id}/references",
            get(references::of_monitor_group).says("What refers to the monitor group, and what it refers to"),
        )
}

async fn ready(State(state): State<Shared>) -> (StatusCode, String) {
    match (state.api.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(state): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.api.metrics)()).into_response()
}
