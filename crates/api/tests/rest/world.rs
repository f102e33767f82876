//! The world of these tests: a database each, a server on loopback, a client that speaks plain HTTP,
//! and the operator's hand for what the API cannot make.

mod trail;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use quorate_api::{Access, Api, ServeLimits};
use quorate_core::ids::{AccountId, ZoneId};
use quorate_core::pop::Pop;
use quorate_core::region::Region;
use quorate_core::time::SystemClock;
use quorate_store::accounts::{self, Limits};
use quorate_store::header_secrets::{HeaderKey, HeaderKeys, HeaderSecrets};
use quorate_store::tokens::{self, NewToken, Pepper, Scope, Token};
use quorate_store::worker_tokens::{self, NewPop};
use quorate_store::{Db, schema, zones};
use rand::RngExt;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, raw_sql};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const PEPPER: Pepper = Pepper([7; 32]);

/// Limits that no test meets by accident.
pub(crate) const LIMITS: Limits = Limits {
    load_balancers: 20,
    pools: 20,
    origins: 100,
    monitors: 30,
    healthchecks: 20,
    max_origins_per_pool: 5,
    minimum_monitor_interval: 10,
};

/// A running server with its database, dropped at the end.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) address: std::net::SocketAddr,
    /// What `/readyz` says.
    pub(crate) ready: Arc<AtomicBool>,
    admin: PgConnectOptions,
    database: String,
    stop: CancellationToken,
    serving: TaskTracker,
}

/// An account with a zone and a token that may edit it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) account: AccountId,
    pub(crate) zone: ZoneId,
    /// `example.com`, or another one where asked for.
    pub(crate) zone_name: String,
    pub(crate) secret: String,
}

/// An answer: status, headers, and the body as sent and as read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The result of a success, whose envelope is whole.
    pub(crate) fn result(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!((&self.body["success"], &self.body["errors"]), (&json!(true), &json!([])), "{}", self.text);
        assert!(self.body["messages"].is_array(), "{}", self.text);
        let Value::Object(mut body) = self.body else { panic!("an object") };
        body.remove("result").expect("a result")
    }

    /// Status and errors of a failure, whose envelope is whole.
    pub(crate) fn refused(self) -> (u16, Value) {
        assert!(self.status >= 400, "{} {}", self.status, self.text);
        assert_eq!(
            (&self.body["success"], &self.body["messages"], &self.body["result"]),
            (&json!(false), &json!([]), &Value::Null),
            "{}",
            self.text
        );
        assert_eq!(self.headers["content-type"], "application/json");
        (self.status, self.body["errors"].clone())
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Access::default()).await
    }

    pub(crate) async fn start_with(access: Access) -> Self {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL is the URL of an administrator of a throw-away server");
        let admin = PgConnectOptions::from_str(&url).expect("a URL");
        let database = format!("quorate_api_{:016x}", rand::rng().random::<u64>());
        run(&admin, format!("create database {database}")).await;
        let url_of = |user: &str| {
            let options = admin.clone().database(&database).username(user);
            options.to_url_lossy().to_string()
        };
        schema::migrate(&url_of(admin.get_username()), None).await.expect("migrates");
        let secrets = HeaderSecrets::new(HeaderKeys::new(vec![HeaderKey::new([9; 32])]), &["X-Api-Key".to_owned()], None);
        let db = Db::connect(&url_of(schema::SERVICE_LOGIN)).await.expect("connects").with_header_secrets(secrets);
        let ready = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&ready);
        let api = Api {
            db: db.clone(),
            pepper: PEPPER,
            clock: Arc::new(SystemClock),
            access,
            ready: Arc::new(move || if told.load(Ordering::SeqCst) { Ok(()) } else { Err("not yet".to_owned()) }),
            metrics: Arc::new(|| "quorate_up 1\n".to_owned()),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, serving) = (CancellationToken::new(), TaskTracker::new());
        serving.spawn(quorate_api::serve(listener, quorate_api::router(api), ServeLimits::default(), stop.clone()));
        serving.close();
        Self { db, address, ready, admin, database, stop, serving }
    }

    /// Stops the server and drops the database, in which every object has to have its trail.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.serving.wait().await;
        self.db.close().await;
        let mut admin = self.admin_session().await;
        trail::is_complete(&mut admin).await;
        admin.close().await.expect("closes");
        run(&self.admin, format!("drop database {} with (force)", self.database)).await;
    }

    /// An administrator's session, past all row-level security.
    pub(crate) async fn admin_session(&self) -> PgConnection {
        self.admin.clone().database(&self.database).connect().await.expect("the server answers")
    }

    pub(crate) async fn tenant(&self, zone_name: &str) -> Tenant {
        self.tenant_with(zone_name, LIMITS).await
    }

    pub(crate) async fn tenant_with(&self, zone_name: &str, limits: Limits) -> Tenant {
        let mut op = self.db.operator().await.expect("a transaction");
        let account = accounts::create(&mut op, &format!("account of {zone_name}"), limits).await.expect("an account");
        let zone = zones::create(&mut op, account.id, zone_name).await.expect("a zone");
        op.commit().await.expect("commits");
        self.load_balancing(account.id, zone.id, true, true).await;
        let (_, secret) = self.token(Scope::Admin, &[account.id], None).await;
        Tenant { account: account.id, zone: zone.id, zone_name: zone_name.to_owned(), secret }
    }

    pub(crate) async fn load_balancing(&self, account: AccountId, zone: ZoneId, of_account: bool, of_zone: bool) {
        let mut op = self.db.operator().await.expect("a transaction");
        accounts::update(&mut op, account, None, Some(of_account)).await.expect("updates");
        zones::set_load_balancing(&mut op, zone, of_zone).await.expect("updates");
        op.commit().await.expect("commits");
    }

    pub(crate) async fn token(&self, scope: Scope, accounts: &[AccountId], expires_on: Option<jiff::Timestamp>) -> (Token, String) {
        let mut op = self.db.operator().await.expect("a transaction");
        let new = NewToken { expires_on, ..NewToken::new("test", scope, accounts.to_vec()) };
        let made = tokens::create(&mut op, &PEPPER, new).await.expect("a token");
        op.commit().await.expect("commits");
        made
    }

    pub(crate) async fn pop(&self, code: &str, region: Region, city: &str, country: &str) -> Pop {
        let mut op = self.db.operator().await.expect("a transaction");
        let new = NewPop { code: code.parse().expect("a code"), region, city: city.to_owned(), country: country.to_owned() };
        let (pop, _) = worker_tokens::create(&mut op, &PEPPER, new).await.expect("a PoP");
        op.commit().await.expect("commits");
        pop
    }

    /// Makes all rows of a table as old as if they had been written an hour earlier.
    pub(crate) async fn an_hour_passes(&self, table: &str, column: &str) {
        let admin = self.admin.clone().database(&self.database);
        run(&admin, format!("update {table} set {column} = {column} - interval '1 hour'")).await;
    }

    /// One request on a connection of its own; the path begins below `/client/v4`.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.send_raw(method, &format!("/client/v4{path}"), headers, body).await
    }

    pub(crate) async fn send_raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("speaks HTTP");
        let mut request = http::Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let exchange = async {
            let (parts, body) = client.send_request(request).await.expect("an answer").into_parts();
            (parts, body.collect().await.expect("a body").to_bytes())
        };
        let (parts, bytes) = tokio::select! {
            // The connection may end with an error after the answer; it never returns before without one.
            answered = exchange => answered,
            Err(error) = connection => panic!("{method} {path}: {error}"),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    /// A request of a tenant with a JSON body, or without one.
    pub(crate) async fn ask(&self, tenant: &Tenant, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", tenant.secret);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, body.map_or_else(Vec::new, |body| body.to_string().into_bytes())).await
    }

    /// Creates an object and answers it.
    pub(crate) async fn make(&self, tenant: &Tenant, path: &str, body: Value) -> Value {
        self.ask(tenant, "POST", path, Some(body)).await.result()
    }
}

impl Tenant {
    /// Below the account's load balancing.
    pub(crate) fn lb(&self, rest: &str) -> String {
        format!("/accounts/{}/load_balancers/{rest}", self.account)
    }

    /// Below the account.
    pub(crate) fn of_account(&self, rest: &str) -> String {
        format!("/accounts/{}/{rest}", self.account)
    }

    /// Below the zone.
    pub(crate) fn in_zone(&self, rest: &str) -> String {
        format!("/zones/{}/{rest}", self.zone)
    }
}

async fn run(admin: &PgConnectOptions, statement: String) {
    let mut session = admin.connect().await.expect("the server answers");
    sqlx::Executor::execute(&mut session, raw_sql(AssertSqlSafe(statement.clone())))
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    session.close().await.expect("closes");
}

/// Errors of code 1002 as the body holds them, from pointer and message before its suffix.
pub(crate) fn errors_1002(errors: &[(&str, &str)]) -> Value {
    let item = |(pointer, detail): &(&str, &str)| json!({"code": 1002, "message": format!("{detail}: validation failed"), "source": {"pointer": pointer}});
    errors.iter().map(item).collect()
}

/// A pool of one origin, and whatever else.
pub(crate) fn pool_body(name: &str, change: Value) -> Value {
    with(json!({"name": name, "origins": [{"name": "a", "address": "192.0.2.1"}]}), change)
}

/// The first object with the fields of the second.
pub(crate) fn with(mut base: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("an object") };
    base.as_object_mut().expect("an object").extend(change);
    base
}

/// The `id` of an object.
pub(crate) fn id_of(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}
