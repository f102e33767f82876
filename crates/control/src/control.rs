//! One replica of the control plane, from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quorate_core::bucket::Bucket;
use quorate_core::ids::ReplicaId;
use quorate_core::timings::{Timings, ms};
use quorate_store::Db;
use quorate_store::audit::SigningKey;
use quorate_store::tokens::Pepper;
use quorate_store::verdicts::{PgVerdicts, Replica, VerdictStore};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bucket::Board;
use crate::error::{Error, chain};
use crate::evaluate::Queue;
use crate::flip_watch::Fallen;
use crate::gateway::Bound;
use crate::identity::Identities;
use crate::incoming::ServerTls;
use crate::reconcile::Poke;
use crate::registry::{PgRegistry, Registry};
use crate::sessions::Sessions;
use crate::shared::{DELTA_ENTRIES_PER_SECOND, Shared};
use crate::tasks::Tasks;
use crate::{
    audit_heads, describe, evaluate, flip_watch, follow, gap_watch, gateway, members, presence, previews, quorum_watch, retain,
    votes_behind, wake,
};

/// The tasks have this long to end, and the farewell to the database as long as is left of [`STOP_MAX`].
const DRAIN_MAX: Duration = Duration::from_millis(3_500);
/// All of a stop.
const STOP_MAX: Duration = Duration::from_millis(4_800);

/// What a replica is told.
#[derive(Debug)]
pub struct ControlConfig {
    pub timings: Timings,
    /// Where workers dial in; bound by the caller, so that it may be a free port.
    pub listener: TcpListener,
    /// `None` only where the listener is on a loopback address.
    pub tls: Option<ServerTls>,
    /// Under which workers reach this replica: `https://control-1:8081`. `None`: the bound address.
    pub advertise_url: Option<String>,
    /// Release of this program.
    pub version: String,
    /// Days for which events are kept.
    pub retain_days: u16,
}

/// A running replica.
pub struct Control<S = PgVerdicts, R = PgRegistry> {
    shared: Arc<Shared<S, R>>,
    address: SocketAddr,
}

impl<S, R> std::fmt::Debug for Control<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("address", &self.address).field("replica", &self.shared.me).finish_non_exhaustive()
    }
}

impl Control {
    /// Starts a replica over Postgres, with its housekeeping.
    ///
    /// # Errors
    /// Where the listener or the certificate cannot be used. A database that is away is no error: it is waited for.
    pub fn start(config: ControlConfig, db: Db, pepper: Pepper) -> Result<Self, Error> {
        let retain_days = config.retain_days;
        let signing = SigningKey::of(&pepper);
        let control = Self::start_over(config, PgVerdicts::new(db.clone()), PgRegistry::new(db.clone(), pepper))?;
        let shared = &control.shared;
        let tasks = &shared.tasks;
        tasks.spawn("wake", wake::run(db.clone(), shared.follow.clone(), shared.previews.clone(), tasks.stop().clone()));
        tasks.spawn("previews", previews::run(Arc::clone(shared), db.clone()));
        tasks.spawn("audit heads", audit_heads::run(db.clone(), signing, tasks.stop().clone()));
        tasks.spawn("retain", retain::run(db, retain_days, tasks.stop().clone()));
        Ok(control)
    }
}

impl<S: VerdictStore, R: Registry> Control<S, R> {
    /// Starts a replica over a verdict store and a registry: what [`start`](Control::start) does, without the housekeeping.
    ///
    /// # Errors
    /// As there.
    pub fn start_over(config: ControlConfig, verdicts: S, registry: R) -> Result<Self, Error> {
        describe::all();
        let tasks = Tasks::new();
        let bound = Bound::new(config.listener, config.tls.as_ref(), ms(config.timings.introduction_ms), &tasks)?;
        let address = bound.address;
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let me = Replica {
            id: ReplicaId::random(&mut rand::rng()),
            url: config.advertise_url.unwrap_or_else(|| format!("{scheme}://{address}")),
            version: config.version,
        };
        tracing::info!(replica.id = %me.id, replica.url = me.url, grpc.address = %address, "the control plane starts");
        let shared = Arc::new(Shared {
            me,
            timings: config.timings,
            verdicts,
            registry,
            tasks,
            board: Board::new(),
            sessions: Arc::new(Sessions::new(ms(config.timings.session_lease_ms))),
            identities: Identities::default(),
            queue: Queue::new(),
            fallen: Fallen::default(),
            membership: ArcSwap::default(),
            registered: ArcSwap::default(),
            map: watch::Sender::new(None),
            manifests: watch::Sender::new(()),
            throttle: watch::Sender::new(DELTA_ENTRIES_PER_SECOND),
            follow: Poke::new(),
            previews: Poke::new(),
            presence: Poke::new(),
        });
        let tasks = &shared.tasks;
        tasks.spawn("members", members::run(Arc::clone(&shared)));
        tasks.spawn("follow", follow::run(Arc::clone(&shared)));
        tasks.spawn("evaluate", evaluate::run(Arc::clone(&shared)));
        tasks.spawn("votes behind", votes_behind::run(Arc::clone(&shared)));
        tasks.spawn("quorum watch", quorum_watch::run(Arc::clone(&shared)));
        tasks.spawn("flip watch", flip_watch::run(Arc::clone(&shared)));
        tasks.spawn("gap watch", gap_watch::run(Arc::clone(&shared)));
        tasks.spawn("presence", presence::run(Arc::clone(&shared)));
        tasks.spawn("gateway", gateway::serve(Arc::clone(&shared), bound));
        Ok(Self { shared, address })
    }

    /// Where workers dial in.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Under which workers are told to reach this replica.
    pub fn url(&self) -> &str {
        &self.shared.me.url
    }

    pub fn replica(&self) -> ReplicaId {
        self.shared.me.id
    }

    /// Whether it does its work: its heartbeat reaches the database, it knows who owns the buckets, and it
    /// has the configuration of those that it owns.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn ready(&self) -> Result<(), String> {
        let dead_after = ms(self.shared.timings.replica_dead_ms);
        if !self.shared.membership.load().is_current(dead_after) {
            return Err("the heartbeat does not reach the database".to_owned());
        }
        let map = self.shared.map.borrow().clone();
        let Some(map) = map else { return Err("who owns the buckets is not known yet".to_owned()) };
        if Bucket::all().all(|bucket| map.owner(bucket).is_none()) {
            return Err("the buckets have no living owner yet".to_owned());
        }
        let unserved: Vec<u16> = Bucket::all().filter(|bucket| self.shared.board.lock(*bucket).is_unserved()).map(Bucket::number).collect();
        match unserved.as_slice() {
            [] => Ok(()),
            [first, ..] => Err(format!(
                "{} of the buckets that this replica owns are not served, as bucket {first}: their configuration is not loaded",
                unserved.len()
            )),
        }
    }

    /// Waits until a task has panicked, and names it: the process has to stop then, rather than live on by half.
    pub async fn failed(&self) -> &'static str {
        self.shared.tasks.failed().await
    }

    /// Stops within five seconds: streams end, commits under way are waited for, and the buckets are
    /// left to others. What does not end in time is left behind.
    pub async fn stop(self) {
        let begun = tokio::time::Instant::now();
        let tasks = &self.shared.tasks;
        tasks.stop().cancel();
        if tokio::time::timeout(DRAIN_MAX, tasks.ended()).await.is_err() {
            tracing::warn!("some tasks of the control plane did not end in time");
        }
        match tokio::time::timeout_at(begun + STOP_MAX, self.shared.verdicts.leave(self.shared.me.id)).await {
            Ok(Ok(())) => tracing::info!("the control plane stopped, and left its buckets to others"),
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "the buckets could not be left; others take them when this replica counts as dead");
            }
            Err(_) => tracing::warn!("the buckets could not be left in time; others take them when this replica counts as dead"),
        }
    }
}
