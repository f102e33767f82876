//! Who the workers are: a seam, because tests and simulations have a registry of their own.

use std::future::Future;

use quorate_core::ids::ReplicaId;
use quorate_core::pop::Pop;
use quorate_store::tokens::Pepper;
use quorate_store::worker_tokens::{self, Sighting};
use quorate_store::{Db, Error};

/// The registry of PoPs.
pub trait Registry: Send + Sync + 'static {
    /// The PoP that a secret speaks for; `None` for an unknown or revoked one.
    fn authenticate(&self, secret: &str) -> impl Future<Output = Result<Option<Pop>, Error>> + Send;

    /// Keeps what was seen, for whoever lists the workers.
    fn saw(&self, by: ReplicaId, sighting: &Sighting) -> impl Future<Output = Result<(), Error>> + Send;
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

    async fn saw(&self, by: ReplicaId, sighting: &Sighting) -> Result<(), Error> {
        worker_tokens::saw(&self.db, by, sighting).await
    }
}
