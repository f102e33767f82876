//! Wake-ups from committed configuration changes and previews. Only a hint: who is woken also polls.

use std::future::Future;
use std::time::Duration;

use quorate_store::Db;
use quorate_store::listen::{self, Wake};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::reconcile::Poke;

/// Pause before listening is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Pokes until the stop.
pub(crate) async fn run(db: Db, follow: Poke, previews: Poke, stop: CancellationToken) {
    let mut failing = false;
    while let Some(result) = until(&stop, listen_once(&db, &follow, &previews, &mut failing)).await {
        if let Err(error) = result {
            if !failing {
                tracing::warn!(error = chain(&error), "configuration changes and previews are not announced; they are polled meanwhile");
            }
            failing = true;
        }
        if until(&stop, tokio::time::sleep(RETRY_AFTER)).await.is_none() {
            return;
        }
    }
}

async fn listen_once(db: &Db, follow: &Poke, previews: &Poke, failing: &mut bool) -> Result<(), quorate_store::Error> {
    let mut changes = listen::changes(db).await?;
    *failing = false;
    // What was missed before this began.
    let mut woken = Wake::Everything;
    loop {
        match woken {
            Wake::Config => follow.poke(),
            Wake::Previews => previews.poke(),
            Wake::Everything => {
                follow.poke();
                previews.poke();
            }
        }
        woken = changes.changed().await?;
    }
}

async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    stop.run_until_cancelled(work).await
}
