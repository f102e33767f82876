//! The beginning of a session: Hello, Welcome, or Fence.

use std::time::Duration;

use quorate_core::pop::Pop;
use quorate_core::register::EPOCH_MAX;
use quorate_proto::convert::Hello;
use quorate_proto::v1::control_message::Body as ToWorker;
use quorate_proto::v1::worker_message::Body as FromWorker;
use quorate_proto::{PROTOCOL, v1};
use quorate_store::verdicts::VerdictStore;
use tonic::Streaming;

use super::Ended;
use super::outbound::Outbound;
use crate::gateway::{MESSAGE_IN_MAX, MESSAGE_SLACK};
use crate::identity::Secret;
use crate::registry::Registry;
use crate::sessions::{Admission, Introduction, Ticket};
use crate::shared::Shared;

/// A worker introduces itself within this.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// The worker waits for its Welcome, but not for much longer.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// A worker with an absurd epoch has another one as soon as it is told.
const EPOCH_RETRY_MS: u32 = 100;
/// Introductions in one stream: the first, and those after being told of a higher epoch.
const HELLOS_MAX: u32 = 3;
/// Checks that one worker is asked to probe at most, told to it.
const CHECKS_MAX: u32 = 1_000_000;

/// Hears the Hello and lets the worker in, or not.
pub(super) async fn introduce<S: VerdictStore, R: Registry>(
    shared: &Shared<S, R>,
    pop: &Pop,
    secret: &Secret,
    inbound: &mut Streaming<v1::WorkerMessage>,
    out: &Outbound,
) -> Result<(Ticket, Hello), Ended> {
    for _ in 0..HELLOS_MAX {
        let heard = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
        let Ok(Ok(Some(v1::WorkerMessage { body: Some(FromWorker::Hello(hello)) }))) = heard else { return Err(Ended::NoHello) };
        let protocol = hello.protocol;
        let hello = match Hello::try_from(hello) {
            Ok(hello) => hello,
            Err(malformed) => {
                tracing::warn!(pop = %pop.code, error = %malformed, "a worker's introduction cannot be read");
                return Err(fence(shared, out, "the introduction cannot be read by this release").await);
            }
        };
        if protocol != PROTOCOL {
            return Err(fence(shared, out, "this release of control does not speak the worker's protocol").await);
        }
        if hello.pop != pop.code || hello.region != pop.region {
            return Err(fence(shared, out, "the token is of another PoP or region").await);
        }
        if hello.session_epoch > EPOCH_MAX {
            return Err(refuse_epoch(out, hello.session_epoch).await);
        }
        let introduction = Introduction {
            pop: pop.clone(),
            secret: secret.clone(),
            epoch: hello.session_epoch,
            boot_id: hello.boot_id,
            version: hello.version.clone(),
        };
        until_served(shared).await;
        match shared.sessions.admit(introduction) {
            Admission::Admitted(ticket) => {
                out.send(ToWorker::Welcome(welcome(shared, ticket.epoch()))).await?;
                return Ok((ticket, hello));
            }
            Admission::RaiseAbove(epoch) => out.send(ToWorker::Welcome(welcome(shared, epoch))).await?,
            Admission::Fenced => return Err(fence(shared, out, "another process speaks for this PoP").await),
        }
    }
    Err(Ended::NoHello)
}

/// Waits a little for a replica that has just started: votes for buckets that it does not serve yet would be
/// lost, and not said again before the next round.
async fn until_served<S, R>(shared: &Shared<S, R>) {
    let mut map = shared.map.subscribe();
    // Late: the worker need not wait for a database that is away. Its sender lives in `shared`.
    let _ = tokio::time::timeout(SERVED_WITHIN, map.wait_for(Option::is_some)).await;
}

fn welcome<S, R>(shared: &Shared<S, R>, min_epoch: u64) -> v1::Welcome {
    v1::Welcome {
        min_epoch,
        timings: Some((&shared.timings).into()),
        limits: Some(v1::Limits {
            delta_entries_per_second: *shared.throttle.borrow(),
            // What this side decodes, less room for the framing of the last part.
            message_bytes_max: (MESSAGE_IN_MAX - MESSAGE_SLACK).try_into().unwrap_or(u32::MAX),
            checks_max: CHECKS_MAX,
        }),
        replica_id: shared.me.id.as_bytes().to_vec().into(),
    }
}

/// Tells the worker that it may not vote.
pub(super) async fn fence<S, R>(shared: &Shared<S, R>, out: &Outbound, reason: &'static str) -> Ended {
    metrics::counter!("quorate_fences_total").increment(1);
    let message = v1::Fence { reason: reason.to_owned(), retry_after_ms: shared.timings.fence_retry_ms, epoch_max: 0 };
    send_fence(out, message, reason).await
}

/// Whoever was let in with such an epoch could be followed by nobody. The next attempt, with an epoch of the clock, succeeds.
async fn refuse_epoch(out: &Outbound, epoch: u64) -> Ended {
    metrics::counter!("quorate_fences_total").increment(1);
    let reason =
        format!("the session epoch {epoch} is above {EPOCH_MAX}, the highest that is taken: the worker's clock or folder is damaged");
    let message = v1::Fence { reason, retry_after_ms: EPOCH_RETRY_MS, epoch_max: EPOCH_MAX };
    send_fence(out, message, "its session epoch is absurdly high").await
}

async fn send_fence(out: &Outbound, message: v1::Fence, reason: &'static str) -> Ended {
    match out.send(ToWorker::Fence(message)).await {
        Ok(()) => Ended::Fenced(reason),
        Err(gone) => gone.into(),
    }
}
