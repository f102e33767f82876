//! Who the workers are: a seam, because tests and simulations have a registry of their own.

use std::future::Future;

use quorate_core::pop::{Pop, PopNo};
use quorate_store::tokens::Pepper;
use quorate_store::{Db, Error, worker_tokens};

/// What the gateway saw of a PoP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub pop: PopNo,
    pub connected: bool,
    /// Release of the worker.
    pub version: String,
    /// Checks that it is asked to probe, over all buckets of this replica.
    pub checks: u32,
}

/// The registry of PoPs.
pub trait Registry: Send + Sync + 'static {
    /// The PoP that a secret speaks for; `None` for an unknown or revoked one.
    fn authenticate(&self, secret: &str) -> impl Future<Output = Result<Option<Pop>, Error>> + Send;

    /// Keeps what was seen, for whoever lists the workers.
    fn saw(&self, sighting: &Sighting) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The registry in Postgres.
#[derive(Clone, Debug)]
pub struct PgRegistry {
    db: Db,
    pepper: Pepper,
}

impl PgRegistry {
    pub fn new(db: Db, pepper: Pepper) -> Self {
        Self { db, pepper }
    }
}

impl Registry for PgRegistry {
    async fn authenticate(&self, secret: &str) -> Result<Option<Pop>, Error> {
        worker_tokens::authenticate(&self.db, &self.pepper, secret).await
    }

    async fn saw(&self, sighting: &Sighting) -> Result<(), Error> {
        worker_tokens::saw(&self.db, sighting.pop, sighting.connected, &sighting.version, sighting.checks).await
    }
}
