//! Connections by role. `Tenant` sees the rows of its accounts and nothing else (row-level security);
//! `Operator` is the control plane and the admin commands.

use quorate_core::ids::AccountId;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::error::Error;

/// The pools of one process: API requests, authentication, verdict commits and heartbeat are apart,
/// so that none can starve another.
#[derive(Clone, Debug)]
pub struct Db {}

/// A transaction as the application role, for some accounts.
#[derive(Debug)]
pub struct Tenant {
    tx: Transaction<'static, Postgres>,
}

/// A transaction as the control role: all accounts.
#[derive(Debug)]
pub struct Operator {
    tx: Transaction<'static, Postgres>,
}

impl Db {
    /// Connects as the service login of `url`. Fails where the schema is missing, older or newer than this program.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        unimplemented!("{url}")
    }

    /// Begins a transaction that sees only `accounts`. Dropped without [`Tenant::commit`]: rolled back.
    pub async fn tenant(&self, accounts: &[AccountId]) -> Result<Tenant, Error> {
        unimplemented!("{accounts:?}")
    }

    /// Begins a transaction as the control role.
    pub async fn operator(&self) -> Result<Operator, Error> {
        unimplemented!()
    }

    /// Answers when the database does: for `/readyz`.
    pub async fn ping(&self) -> Result<(), Error> {
        unimplemented!()
    }

    pub async fn close(&self) {
        unimplemented!()
    }
}

impl Tenant {
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl Operator {
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
