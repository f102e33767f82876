//! What the parts of one replica share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use quorate_core::pop::Pop;
use quorate_core::timings::Timings;
use quorate_proto::convert::BucketMap;
use quorate_store::verdicts::Replica;
use tokio::sync::watch;

use crate::bucket::Board;
use crate::evaluate::Queue;
use crate::flip_watch::Fallen;
use crate::identity::Identities;
use crate::members::Membership;
use crate::reconcile::Poke;
use crate::sessions::Sessions;
use crate::tasks::Tasks;

/// Delta entries a second that a worker may send when nothing is wrong.
pub(crate) const DELTA_ENTRIES_PER_SECOND: u32 = 2_000;

/// See the module. `S` keeps the verdicts, `R` knows the workers.
pub(crate) struct Shared<S, R> {
    pub(crate) me: Replica,
    pub(crate) timings: Timings,
    pub(crate) verdicts: S,
    pub(crate) registry: R,
    pub(crate) tasks: Tasks,
    pub(crate) board: Board,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) identities: Identities,
    pub(crate) queue: Queue,
    pub(crate) fallen: Fallen,
    pub(crate) membership: ArcSwap<Membership>,
    /// The registered PoPs, as last read.
    pub(crate) registered: ArcSwap<Vec<Pop>>,
    /// Who owns which bucket; `None` before it was first read.
    pub(crate) map: watch::Sender<Option<Arc<BucketMap>>>,
    /// Moves when some manifest may be another one.
    pub(crate) manifests: watch::Sender<()>,
    /// Delta entries a second that each worker may send.
    pub(crate) throttle: watch::Sender<u32>,
    /// Follow the database now.
    pub(crate) follow: Poke,
    /// Look for previews now.
    pub(crate) previews: Poke,
    /// Tell the registry now who is there.
    pub(crate) presence: Poke,
}
