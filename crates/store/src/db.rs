//! Connections by role. `Tenant` sees the rows of its accounts and nothing else (row-level security);
//! `Operator` is the control plane and the admin commands.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quorate_core::ids::AccountId;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor, PgConnection, Postgres, Transaction};

use crate::audit::Actor;
use crate::error::Error;
use crate::events::Tallied;
use crate::header_secrets::HeaderSecrets;
use crate::reader::{self, Reader, ReaderPool};
use crate::schema;

/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool of connections for one purpose.
struct Purpose {
    name: &'static str,
    connections_max: u32,
    /// Whether a connection is asked if it lives before it is used. In the verdict path it is not: that
    /// would be a round trip before each verdict, and an answer that does not come has its own meaning there.
    tested: bool,
    /// What a new connection becomes. Never with the just-in-time compiler: of a statement over all days of the events the
    /// server takes the number of partitions for work, and compiles for seconds what then runs for a millisecond.
    becomes: &'static str,
}

/// API requests that change something, or read more than one thing as of one instant.
const API: Purpose = Purpose {
    name: "api",
    connections_max: 10,
    tested: true,
    becomes: "set role quorate_app; set statement_timeout = '30s'; set idle_in_transaction_session_timeout = '60s'; set jit = off",
};
/// API requests that read: see [`Reader`].
const READER: Purpose = Purpose { name: "reader", ..API };
/// Pages of events. Each is milliseconds of the database's work: more at once would not be served faster, but take its
/// processors from everything else; they wait for each other in the order in which they came.
const EVENTS: Purpose = Purpose { name: "events", connections_max: 4, ..API };
/// Authentication: apart, so that slow requests do not lock everybody out.
const AUTH: Purpose = Purpose {
    name: "auth",
    connections_max: 4,
    tested: true,
    becomes: "set role quorate_auth; set statement_timeout = '5s'; set idle_in_transaction_session_timeout = '10s'; set jit = off",
};
/// The control plane outside the verdict path: loads, votes, housekeeping, admin commands.
const OPERATOR: Purpose = Purpose {
    name: "operator",
    connections_max: 4,
    tested: true,
    becomes: "set role quorate_control; set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'; set jit = off",
};
/// Verdict commits and claims.
const VERDICT: Purpose = Purpose {
    name: "verdict",
    connections_max: 4,
    tested: false,
    becomes: "set role quorate_control; set statement_timeout = '5s'; set idle_in_transaction_session_timeout = '10s'; set jit = off",
};
/// The heartbeat: its own connection, so that nothing else can cost ownership.
const HEARTBEAT: Purpose = Purpose { name: "heartbeat", connections_max: 1, ..VERDICT };
/// Wake-ups: one connection that waits.
const LISTENER: Purpose = Purpose { name: "listener", connections_max: 1, tested: true, becomes: "set role quorate_control" };

/// The pools of one process: API requests, authentication, verdict commits and heartbeat are apart,
/// so that none can starve another.
///
/// The pools of a process whose heartbeat gets no answer are left behind for new ones: a connection
/// whose other end vanished without a word would otherwise keep its place until the kernel gives up,
/// a quarter of an hour later.
#[derive(Clone)]
pub struct Db {
    options: Arc<PgConnectOptions>,
    pools: Arc<ArcSwap<Pools>>,
    secrets: HeaderSecrets,
    tallied: Tallied,
}

struct Pools {
    api: PgPool,
    reader: ReaderPool,
    events: ReaderPool,
    auth: PgPool,
    operator: PgPool,
    verdict: PgPool,
    heartbeat: PgPool,
    listener: PgPool,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.pools.load();
        f.debug_struct("Db").field("api_connections", &pools.api.size()).field("closed", &pools.api.is_closed()).finish_non_exhaustive()
    }
}

/// A transaction as the application role, for some accounts.
#[derive(Debug)]
pub struct Tenant {
    tx: Transaction<'static, Postgres>,
    accounts: Vec<AccountId>,
    secrets: HeaderSecrets,
}

/// A transaction as the control role: all accounts.
#[derive(Debug)]
pub struct Operator {
    tx: Transaction<'static, Postgres>,
    secrets: HeaderSecrets,
}

/// Sessions tell the server what they are for.
fn named(options: &PgConnectOptions, purpose: &Purpose) -> PgConnectOptions {
    options.clone().application_name(&format!("quorate {}", purpose.name))
}

fn pool(options: &PgConnectOptions, purpose: &Purpose) -> PgPool {
    let options = named(options, purpose);
    let becomes = purpose.becomes;
    PgPoolOptions::new()
        .max_connections(purpose.connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(purpose.tested)
        .after_connect(move |conn, _| {
            Box::pin(async move {
                conn.execute(becomes).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

fn reader_pool(options: &PgConnectOptions, purpose: &Purpose) -> ReaderPool {
    reader::pool(named(options, purpose), purpose.becomes, purpose.connections_max as usize, ACQUIRE_TIMEOUT)
}

impl Pools {
    fn new(options: &PgConnectOptions) -> Self {
        Self {
            api: pool(options, &API),
            reader: reader_pool(options, &READER),
            events: reader_pool(options, &EVENTS),
            auth: pool(options, &AUTH),
            operator: pool(options, &OPERATOR),
            verdict: pool(options, &VERDICT),
            heartbeat: pool(options, &HEARTBEAT),
            listener: pool(options, &LISTENER),
        }
    }
}

impl Db {
    /// Connects as the service login of `url`. Fails where the schema is missing, older or newer than
    /// this program, and for a login that row-level security would not hold (a superuser, the owner).
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?;
        schema::check(&options).await?;
        let pools = Arc::new(ArcSwap::from_pointee(Pools::new(&options)));
        let db = Self { options: Arc::new(options), pools, secrets: HeaderSecrets::without_key(), tallied: Tallied::default() };
        db.ping().await?;
        Ok(db)
    }

    /// The same connections, sealing and opening secret headers.
    #[must_use]
    pub fn with_header_secrets(self, secrets: HeaderSecrets) -> Self {
        Self { secrets, ..self }
    }

    /// What seals and opens secret headers.
    pub fn header_secrets(&self) -> &HeaderSecrets {
        &self.secrets
    }

    /// Begins a transaction that sees only `accounts`, in which the operator acts. Dropped without
    /// [`Tenant::commit`]: rolled back.
    pub async fn tenant(&self, accounts: &[AccountId]) -> Result<Tenant, Error> {
        self.tenant_by(accounts, &Actor::Operator).await
    }

    /// As [`tenant`](Self::tenant), and what it changes is the `actor`'s doing.
    pub async fn tenant_by(&self, accounts: &[AccountId], actor: &Actor) -> Result<Tenant, Error> {
        let mut tx = self.pools.load().api.begin().await?;
        let ids: Vec<&[u8]> = accounts.iter().map(|id| id.as_bytes().as_slice()).collect();
        let actor = serde_json::to_string(actor).expect("an actor has string keys and no failing serializer");
        sqlx::query!(
            "select set_config('quorate.accounts', $1::bytea[]::text, true) as accounts, set_config('quorate.actor', $2, true) as actor",
            &ids as &[&[u8]],
            actor
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(Tenant { tx, accounts: accounts.to_vec(), secrets: self.secrets.clone() })
    }

    /// Reads that see only `accounts`, each one statement by itself.
    pub fn reader(&self, accounts: &[AccountId]) -> Reader {
        let pools = self.pools.load();
        Reader::new(pools.reader.clone(), pools.events.clone(), accounts.to_vec(), self.tallied.clone())
    }

    /// Begins a transaction as the control role.
    pub async fn operator(&self) -> Result<Operator, Error> {
        Ok(Operator { tx: self.pools.load().operator.begin().await?, secrets: self.secrets.clone() })
    }

    /// Answers when the database does: for `/readyz`.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(&self.auth()).await?;
        Ok(())
    }

    pub async fn close(&self) {
        let pools = self.pools.load_full();
        for pool in [&pools.listener, &pools.api, &pools.auth, &pools.operator, &pools.verdict, &pools.heartbeat] {
            pool.close().await;
        }
        pools.reader.close();
        pools.events.close();
    }

    /// Leaves all connections behind: what is under way keeps its own until it ends, everything else
    /// connects anew.
    pub(crate) fn renew(&self) {
        self.pools.store(Arc::new(Pools::new(&self.options)));
    }

    pub(crate) fn auth(&self) -> PgPool {
        self.pools.load().auth.clone()
    }

    pub(crate) fn operator_pool(&self) -> PgPool {
        self.pools.load().operator.clone()
    }

    pub(crate) fn verdict(&self) -> PgPool {
        self.pools.load().verdict.clone()
    }

    pub(crate) fn heartbeat(&self) -> PgPool {
        self.pools.load().heartbeat.clone()
    }

    pub(crate) fn listener(&self) -> PgPool {
        self.pools.load().listener.clone()
    }
}

impl Tenant {
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }

    /// The accounts that it sees.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub(crate) fn header_secrets(&self) -> &HeaderSecrets {
        &self.secrets
    }
}

impl Operator {
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub(crate) fn header_secrets(&self) -> &HeaderSecrets {
        &self.secrets
    }
}
