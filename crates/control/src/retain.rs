//! Housekeeping of the events: days ahead are made, old days go. Old previews go too.

use std::time::Duration;

use quorate_store::{Db, Error, events, previews};
use tokio_util::sync::CancellationToken;

use crate::error::{bounded, chain};
use crate::reconcile::Rhythm;

/// Daily partitions that are ready before they are needed.
const DAYS_AHEAD: u16 = 3;
const EVERY: Duration = Duration::from_hours(1);

/// Keeps house until the stop. Every replica does; the database lets one at a time.
pub(crate) async fn run(db: Db, retain_days: u16, stop: CancellationToken) {
    let mut rhythm = Rhythm::steady(&stop, EVERY);
    while rhythm.next().await {
        let Some(answer) = stop.run_until_cancelled(Box::pin(bounded(keep(&db, retain_days)))).await else { return };
        match answer {
            Ok((0, 0)) => {}
            Ok((created, dropped)) => tracing::info!(days.created = created, days.dropped = dropped, "the days of the event log were kept"),
            Err(error) => {
                metrics::counter!("quorate_housekeeping_failures_total").increment(1);
                tracing::warn!(error = chain(&error), "the days of the event log could not be kept; it is tried again in an hour");
            }
        }
    }
}

async fn keep(db: &Db, retain_days: u16) -> Result<(u32, u32), Error> {
    let mut op = db.operator().await?;
    let kept = events::keep_partitions(&mut op, DAYS_AHEAD, retain_days).await?;
    previews::forget_old(&mut op).await?;
    op.commit().await?;
    // A day at a time, so that no transaction is long, even where many were never counted.
    loop {
        let mut op = db.operator().await?;
        let counted = events::tally(&mut op).await?;
        op.commit().await?;
        if counted == 0 {
            return Ok(kept);
        }
    }
}
