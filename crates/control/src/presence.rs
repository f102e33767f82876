//! Who is there, for whoever lists the workers; and whether everyone who is there still may be.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use quorate_core::pop::PopNo;
use quorate_core::timings::ms;
use quorate_store::verdicts::VerdictStore;
use quorate_store::worker_tokens::Sighting;

use crate::error::{bounded, chain};
use crate::identity::Identity;
use crate::registry::Registry;
use crate::shared::Shared;

/// Calls to the registry under way.
const CALLS_MAX: usize = 2;

/// Tells until the stop: at every start and end of a session, and once a round.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let mut rhythm = shared.presence.rhythm(shared.tasks.stop(), ms(shared.timings.round_ms));
    let mut told: HashSet<PopNo> = HashSet::new();
    while rhythm.next().await {
        let present = shared.sessions.present();
        metrics::gauge!("quorate_sessions").set(u32::try_from(present.len()).unwrap_or(u32::MAX));
        let here: HashSet<PopNo> = present.iter().map(|(sighting, ..)| sighting.pop).collect();
        let gone: Vec<_> = told.difference(&here).filter_map(|pop| shared.sessions.sighting(*pop)).collect();
        let saw = |sighting: Sighting| {
            let shared = &shared;
            async move {
                if let Err(error) = bounded(shared.registry.saw(shared.me.id, &sighting)).await {
                    tracing::debug!(error = chain(&error), pop.no = sighting.pop.0, "what was seen of a PoP could not be kept");
                }
            }
        };
        let check = |(sighting, epoch, secret): (Sighting, u64, crate::identity::Secret)| {
            let (shared, pop) = (&shared, sighting.pop);
            async move {
                saw(sighting).await;
                // Revoked is seen by the registry of PoPs at once; a token that was replaced by another only here.
                match shared.identities.identify(&shared.registry, &secret).await {
                    Identity::Known(known) if known.no == pop => {}
                    Identity::Known(_) | Identity::Stranger => shared.sessions.end_revoked(pop, epoch),
                    Identity::Unverified(error) => {
                        tracing::debug!(error = chain(&error), pop.no = pop.0, "a session could not be verified again; it goes on");
                    }
                }
            }
        };
        let work = async {
            stream::iter(present).for_each_concurrent(CALLS_MAX, check).await;
            stream::iter(gone).for_each_concurrent(CALLS_MAX, saw).await;
        };
        tokio::select! {
            biased;
            () = shared.tasks.stop().cancelled() => return,
            () = work => {}
        }
        told = here;
    }
}
