//! `/accounts/{account_id}/workers`: how the workers of the installation do, for tokens that administer an account. Ours.
//! What they are asked by other accounts is not told, and nothing that would let one guess it.

use quorate_core::region::Region;
use quorate_store::worker_tokens::{self, Worker};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{Administer, InAccount};
use crate::envelope::Time;
use crate::page::Page;

/// The worker of a registered PoP.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WorkerBody {
    /// Short code: `lhr`.
    pop: String,
    region: Region,
    city: String,
    /// ISO 3166-1 alpha-2.
    country: String,
    /// Null before its first session.
    connected: Option<bool>,
    /// When its votes last came; null before the first.
    last_round_at: Option<Time>,
    /// Release of the worker; null before its first session.
    version: Option<String>,
    /// Whether it probes what is configured now, and not what was; null while no session of it is open.
    is_current: Option<bool>,
}

impl From<Worker> for WorkerBody {
    fn from(worker: Worker) -> Self {
        Self {
            pop: worker.pop.code.into(),
            region: worker.pop.region,
            city: worker.pop.city,
            country: worker.pop.country,
            connected: worker.connected,
            last_round_at: worker.last_round_at.map(Time),
            version: worker.version,
            is_current: worker.is_current,
        }
    }
}

/// In the order of their registration.
pub(crate) async fn list(place: InAccount<Administer>, page: Page) -> Answer<Vec<WorkerBody>> {
    let mut db = place.begin().await?;
    let found = worker_tokens::workers(&mut db).await?;
    Ok(page.cut(found.into_iter().map(WorkerBody::from).collect()))
}
