//! Reads of a request, without a transaction around them: each is one statement, which says itself for which accounts it
//! is, so that the database is asked once and not six times.
//!
//! Such a statement begins with `set_config('quorate.accounts', …, true)` in a row of its own, and all that it reads stands in
//! lateral subqueries that ask for that row: so the setting is there before row-level security looks at it, whatever plan is
//! chosen. It ends with the statement. Where it were not there in time, nothing would be seen.

use std::fmt;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use quorate_core::ids::AccountId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

use crate::error::Error;
use crate::events::Tallied;

/// A connection that rested for longer is asked if it lives before it is used.
const REST_MAX: Duration = Duration::from_secs(1);
/// A connection that is older is replaced: a server's session grows with what it has seen.
const AGE_MAX: Duration = Duration::from_mins(30);

/// How connections for reads are made, and what they become.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    options: PgConnectOptions,
    becomes: &'static str,
}

impl managed::Manager for Sessions {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        let mut session = self.options.connect().await?;
        session.execute(self.becomes).await?;
        Ok(session)
    }

    async fn recycle(&self, session: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > AGE_MAX {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > REST_MAX {
            session.ping().await?;
        }
        Ok(())
    }
}

pub(crate) type ReaderPool = Pool<Sessions>;

/// Connections are made when they are needed; who waits longer than `patience` for one gets an error.
pub(crate) fn pool(options: PgConnectOptions, becomes: &'static str, connections_max: usize, patience: Duration) -> ReaderPool {
    Pool::builder(Sessions { options, becomes })
        .max_size(connections_max)
        // The last one back is the next one out: few are busy rather than all a little.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(patience))
        .create_timeout(Some(patience))
        .recycle_timeout(Some(patience))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a pool with time-outs has a runtime")
}

/// Reads that see the rows of some accounts and nothing else.
#[derive(Clone)]
pub struct Reader {
    sessions: ReaderPool,
    for_events: ReaderPool,
    accounts: Vec<AccountId>,
    tallied: Tallied,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl Reader {
    pub(crate) fn new(sessions: ReaderPool, for_events: ReaderPool, accounts: Vec<AccountId>, tallied: Tallied) -> Self {
        Self { sessions, for_events, accounts, tallied }
    }

    /// How far events are known to be counted.
    pub(crate) fn tallied(&self) -> &Tallied {
        &self.tallied
    }

    /// The accounts that it sees.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    /// A connection for a statement or two.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        lend(&self.sessions).await
    }

    /// The same, for events: few are read at once.
    pub(crate) async fn session_for_events(&self) -> Result<Session, Error> {
        lend(&self.for_events).await
    }
}

async fn lend(sessions: &ReaderPool) -> Result<Session, Error> {
    let lent = sessions.get().await.map_err(|problem| match problem {
        PoolError::Backend(problem) => problem,
        PoolError::Closed => sqlx::Error::PoolClosed,
        PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => sqlx::Error::PoolTimedOut,
    })?;
    Ok(Session(Some(lent)))
}

/// A connection on loan. It goes back by [`Session::ended`]; dropped, as by a caller who went away or after a failure, it is
/// closed, since nobody knows what its server still has to say.
pub(crate) struct Session(Option<Object<Sessions>>);

impl Session {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is there until it ends")
    }

    /// What was asked has been answered.
    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(lent) = self.0.take() {
            drop(Object::take(lent));
        }
    }
}
