//! Wake-ups from configuration changes. A lost one costs latency, never truth: every listener also polls.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgNotification};
use tokio::time::{Instant, timeout, timeout_at};

use crate::db::Db;
use crate::error::Error;

/// The channels; their messages are empty.
const CONFIG: &str = "quorate_config";
const PREVIEWS: &str = "quorate_preview";

/// A connection that was silent for so long is asked whether it lives: one whose other end vanished
/// without a word would wait for ever.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long it has for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    Config,
    Previews,
    /// The connection was lost, and is there again.
    Everything,
}

/// Wake-ups, one after another.
pub struct Changes {
    listener: PgListener,
    heard: Instant,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes(..)")
    }
}

/// Starts to listen for committed configuration changes and previews, on a connection of its own; one listener a process.
pub async fn changes(db: &Db) -> Result<Changes, Error> {
    let mut listener = PgListener::connect_with(&db.listener()).await?;
    listener.listen_all([CONFIG, PREVIEWS]).await?;
    Ok(Changes { listener, heard: Instant::now() })
}

impl Changes {
    /// Waits until something may have changed: a change was committed, or the connection was lost and
    /// is there again. Safe to drop and call again. An error means that the database is away: call
    /// again later.
    pub async fn changed(&mut self) -> Result<Wake, Error> {
        loop {
            if let Ok(notified) = timeout_at(self.heard + SILENCE_MAX, self.listener.try_recv()).await {
                let notified = notified?;
                self.heard = Instant::now();
                return Ok(match notified.as_ref().map(PgNotification::channel) {
                    Some(CONFIG) => Wake::Config,
                    Some(PREVIEWS) => Wake::Previews,
                    Some(_) | None => Wake::Everything,
                });
            }
            let alive = sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(&mut self.listener);
            timeout(ANSWER_MAX, alive).await.map_err(|elapsed| sqlx::Error::Io(elapsed.into()))??;
            self.heard = Instant::now();
        }
    }
}
