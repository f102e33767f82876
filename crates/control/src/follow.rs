//! Following the database: who owns which bucket, how it is configured, who is registered, and who
//! sits where. Poked by configuration changes, and every poll in any case.

mod load;
mod roles;
mod seating;

use std::sync::Arc;

use quorate_core::timings::ms;
use quorate_store::verdicts::VerdictStore;
use tokio::time::Instant;

use crate::error::{CallError, bounded, chain};
use crate::registry::Registry;
use crate::shared::Shared;

/// What the loop remembers from pass to pass.
#[derive(Debug, Default)]
struct Follower {
    roles: roles::Roles,
    loading: load::Loading,
    seating: seating::Seating,
}

/// Follows until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let mut rhythm = shared.follow.rhythm(shared.tasks.stop(), ms(shared.timings.poll_ms));
    let mut follower = Follower::default();
    let mut failing = false;
    while rhythm.next().await {
        let answer = tokio::select! {
            biased;
            () = shared.tasks.stop().cancelled() => return,
            answer = follower.pass(&shared) => answer,
        };
        match answer {
            Ok(()) => {
                if failing {
                    tracing::info!("the configuration is followed again");
                }
                failing = false;
            }
            Err(error) => {
                metrics::counter!("quorate_follow_failures_total").increment(1);
                if !failing {
                    tracing::warn!(error = chain(&error), "the configuration cannot be followed; what is known stays in force");
                }
                failing = true;
            }
        }
    }
}

impl Follower {
    /// What fails does not keep the rest from being followed.
    async fn pass<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>) -> Result<(), CallError> {
        let registered = registry(shared).await;
        let ownerships = self.roles.pass(shared).await?;
        let loaded = self.loading.pass(shared, &ownerships).await;
        // Only now: votes that come because of the map find their bucket served.
        self.roles.publish_map(shared, &ownerships);
        if self.seating.pass(shared).await {
            shared.follow.poke();
        }
        registered.and(loaded)
    }
}

/// Who is registered. Who is not (any more) loses its session; where all PoPs vote, the electorate follows.
async fn registry<S: VerdictStore, R: Registry>(shared: &Shared<S, R>) -> Result<(), CallError> {
    let asked = Instant::now();
    let registered = bounded(shared.verdicts.registered_pops()).await?;
    shared.sessions.end_unregistered(&registered, asked);
    if **shared.registered.load() != registered {
        tracing::info!(pops = registered.len(), "the registry of PoPs changed");
        let registered = Arc::new(registered);
        shared.registered.store(Arc::clone(&registered));
        for bucket in quorate_core::bucket::Bucket::all() {
            let mut slot = shared.board.lock(bucket);
            slot.elect(&registered);
            shared.queue.push(bucket, &mut slot);
        }
    }
    Ok(())
}
