//! Tells a person what is being waited for, once it takes longer than a second.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::output;

const SILENT_FOR: Duration = Duration::from_secs(1);
const AGAIN_EVERY: Duration = Duration::from_secs(5);

/// Runs `work`; `what` is what it does, as `starting Postgres`.
pub(super) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut next = started + SILENT_FOR;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep_until(next) => {
                let seconds = started.elapsed().as_secs();
                tell(&if seconds < AGAIN_EVERY.as_secs() { format!("… {what}") } else { format!("… still {what} ({seconds} s)") });
                next += AGAIN_EVERY;
            }
        }
    }
}

/// A line of progress. Nobody reading is no reason to stop.
pub(super) fn tell(text: &str) {
    if let Err(failure) = output::line(text) {
        tracing::debug!(error = %failure, "cannot write to standard output");
    }
}
