//! Wake-ups from committed configuration changes. Only a hint: the follower also polls.

use std::future::Future;
use std::time::Duration;

use quorate_store::{Db, listen};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::reconcile::Poke;

/// Pause before listening is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Pokes until the stop.
pub(crate) async fn run(db: Db, follow: Poke, stop: CancellationToken) {
    let mut failing = false;
    while let Some(result) = until(&stop, listen_once(&db, &follow, &mut failing)).await {
        if let Err(error) = result {
            if !failing {
                tracing::warn!(error = chain(&error), "configuration changes are not announced; they are polled meanwhile");
            }
            failing = true;
        }
        if until(&stop, tokio::time::sleep(RETRY_AFTER)).await.is_none() {
            return;
        }
    }
}

async fn listen_once(db: &Db, follow: &Poke, failing: &mut bool) -> Result<(), quorate_store::Error> {
    let mut changes = listen::config_changes(db).await?;
    *failing = false;
    loop {
        // What was missed before this began.
        follow.poke();
        changes.changed().await?;
    }
}

async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    stop.run_until_cancelled(work).await
}
