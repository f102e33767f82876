//! Wake-ups from configuration changes. A lost one costs latency, never truth: every listener also polls.

use std::fmt;

use sqlx::postgres::PgListener;

use crate::db::Db;
use crate::error::Error;

/// The channel; its messages are empty.
const CHANNEL: &str = "quorate_config";

/// Wake-ups, one after another.
pub struct ConfigChanges {
    listener: PgListener,
}

impl fmt::Debug for ConfigChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigChanges(..)")
    }
}

/// Starts to listen for committed configuration changes, on a connection of its own; one listener a process.
pub async fn config_changes(db: &Db) -> Result<ConfigChanges, Error> {
    let mut listener = PgListener::connect_with(db.listener()).await?;
    listener.listen(CHANNEL).await?;
    Ok(ConfigChanges { listener })
}

impl ConfigChanges {
    /// Waits until something may have changed: a change was committed, or the connection was lost and
    /// is there again. Safe to drop and call again. An error means that the database is away: call
    /// again later.
    pub async fn changed(&mut self) -> Result<(), Error> {
        self.listener.try_recv().await?;
        Ok(())
    }
}
