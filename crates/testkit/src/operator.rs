//! The operator: somebody with a token who speaks REST and nothing else.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

/// Longer than any answer takes on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A REST client with a token, at home in one account and one zone.
#[derive(Clone, Debug)]
pub struct Operator {
    http: reqwest::Client,
    /// Ends in `/client/v4`.
    base: String,
    token: String,
    pub account: String,
    pub zone: String,
}

/// An answer: HTTP status and the whole envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The result of a success.
    ///
    /// # Panics
    /// Where it is none.
    pub fn result(&self) -> &Value {
        assert!(self.status == 200 && self.body["success"] == true, "not a success: {self:#?}");
        &self.body["result"]
    }

    /// Status and first error code of a refusal.
    ///
    /// # Panics
    /// Where it is none, or not in the envelope.
    pub fn refusal(&self) -> (u16, u64) {
        let envelope = ["success", "errors", "messages", "result"];
        assert!(envelope.iter().all(|key| self.body.get(key).is_some()), "not the envelope: {self:#?}");
        let failed = self.body["success"] == false && self.body["result"].is_null() && self.body["messages"].is_array();
        let code = self.body["errors"][0]["code"].as_u64().filter(|_| failed && self.status >= 400);
        (self.status, code.unwrap_or_else(|| panic!("not a refusal: {self:#?}")))
    }
}

/// The `id` of a created object.
///
/// # Panics
/// Where it has none.
pub fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object:#}")).to_owned()
}

impl Operator {
    /// `base` ends in `/client/v4`.
    pub fn new(base: &str, token: &str, account: &str, zone: &str) -> Self {
        Self { http: http_client(), base: base.to_owned(), token: token.to_owned(), account: account.to_owned(), zone: zone.to_owned() }
    }

    /// The same operator at another replica.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// One request; `path` begins with a slash, below the base.
    ///
    /// # Panics
    /// Without an answer, or with one that is not JSON.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Like [`Operator::send`], where the server may be away.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
        let body = serde_json::from_str(&text).map_err(|error| format!("status {status}, {error}: {text:?}"))?;
        Ok(Answer { status, body })
    }

    /// The underlying client and URL, for requests that no well-behaved client sends. No token is attached.
    pub fn raw(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub fn monitors_path(&self) -> String {
        format!("/accounts/{}/load_balancers/monitors", self.account)
    }

    pub fn monitor_groups_path(&self) -> String {
        format!("/accounts/{}/load_balancers/monitor_groups", self.account)
    }

    pub fn pools_path(&self) -> String {
        format!("/accounts/{}/load_balancers/pools", self.account)
    }

    pub fn pool_path(&self, pool: &str) -> String {
        format!("{}/{pool}", self.pools_path())
    }

    pub fn load_balancers_path(&self) -> String {
        format!("/zones/{}/load_balancers", self.zone)
    }

    /// Creates a monitor and gives its id.
    pub async fn creates_monitor(&self, settings: &Value) -> String {
        id_of(self.post(&self.monitors_path(), settings).await.result())
    }

    /// Creates a pool and gives its id.
    pub async fn creates_pool(&self, settings: &Value) -> String {
        id_of(self.post(&self.pools_path(), settings).await.result())
    }

    /// Every event of a pool, oldest first.
    pub async fn events_of(&self, pool: &str) -> Vec<Value> {
        let answer = self.get(&format!("/user/load_balancing_analytics/events?pool_id={pool}")).await;
        let mut events = answer.result().as_array().expect("events are a list").clone();
        events.reverse();
        events
    }

    /// The quorum view of a pool.
    pub async fn quorum_of(&self, pool: &str) -> Value {
        self.get(&format!("{}/quorum", self.pool_path(pool))).await.result().clone()
    }

    /// The health of a pool, by place.
    pub async fn health_of(&self, pool: &str) -> Value {
        self.get(&format!("{}/health", self.pool_path(pool))).await.result().clone()
    }
}

pub(crate) fn http_client() -> reqwest::Client {
    // The client has no crypto of its own; a second installation is refused, and that is fine.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().timeout(ANSWER_WITHIN).build().expect("a client without options")
}

/// An HTTP monitor at the smallest interval: every second, one second of patience, no retries.
pub fn every_second() -> Value {
    json!({ "type": "http", "path": "/health", "interval": 1, "timeout": 1, "retries": 0, "expected_codes": "200" })
}
