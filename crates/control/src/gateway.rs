//! The gRPC server that workers dial: who may come in, and with how much.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::timings::{Timings, ms};
use quorate_proto::v1::worker_gateway_server::{WorkerGateway, WorkerGatewayServer};
use quorate_proto::v1::{ControlMessage, WorkerMessage};
use quorate_store::verdicts::VerdictStore;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::error::{Error, chain};
use crate::identity::{Identity, Secret};
use crate::incoming::{self, Connection, ServerTls, Standing};
use crate::registry::Registry;
use crate::session;
use crate::shared::Shared;
use crate::tasks::Tasks;

/// Bytes of a message from a worker.
pub(crate) const MESSAGE_IN_MAX: usize = 256 * 1024;
/// Bytes of a message that are told to nobody as usable.
pub(crate) const MESSAGE_SLACK: usize = 16 * 1024;
/// Bytes of a message to a worker.
pub(crate) const MESSAGE_OUT_MAX: usize = 4 * 1024 * 1024;
/// Messages to one worker that wait for it.
const OUTBOUND_MAX: usize = 64;
/// A worker needs one stream; a second one overlaps at a reconnect.
const STREAMS_PER_CONNECTION_MAX: u32 = 4;
const HEADER_BYTES_MAX: u32 = 16 * 1024;
const PENDING_RESETS_MAX: usize = 10;

/// Connections that are bound and not served yet.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    connections: mpsc::Receiver<std::io::Result<Connection>>,
}

impl Bound {
    /// `introduction`: how long a connection may be a stranger's.
    pub(crate) fn new(listener: TcpListener, tls: Option<&ServerTls>, introduction: Duration, tasks: &Tasks) -> Result<Self, Error> {
        let (address, connections) = incoming::accept(listener, tls, introduction, tasks)?;
        Ok(Self { address, connections })
    }
}

/// Serves until the stop.
pub(crate) async fn serve<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>, bound: Bound) {
    let stop = shared.tasks.stop().clone();
    let router = builder(&shared.timings).add_service(
        WorkerGatewayServer::new(Gateway { shared }).max_decoding_message_size(MESSAGE_IN_MAX).max_encoding_message_size(MESSAGE_OUT_MAX),
    );
    let end = router.serve_with_incoming_shutdown(ReceiverStream::new(bound.connections), stop.clone().cancelled_owned()).await;
    // Without the gateway there is nothing left to do here: whoever runs this has to know.
    assert!(stop.is_cancelled(), "the gateway ended by itself: {end:?}");
}

fn builder(timings: &Timings) -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(ms(timings.keepalive_ms)))
        .http2_keepalive_timeout(Some(ms(timings.keepalive_timeout_ms)))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
}

struct Gateway<S, R> {
    shared: Arc<Shared<S, R>>,
}

#[tonic::async_trait]
impl<S: VerdictStore, R: Registry> WorkerGateway for Gateway<S, R> {
    type SessionStream = ReceiverStream<Result<ControlMessage, Status>>;

    async fn session(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let shared = &self.shared;
        let secret = Secret::of_metadata(request.metadata())
            .ok_or_else(|| Status::unauthenticated("a worker authenticates by `authorization: Bearer <secret of its token>`"))?;
        let pop = match shared.identities.identify(&shared.registry, &secret).await {
            Identity::Known(pop) => pop,
            Identity::Stranger => {
                metrics::counter!("quorate_workers_refused_total").increment(1);
                return Err(Status::unauthenticated("the worker token is unknown or revoked"));
            }
            Identity::Unverified(error) => {
                tracing::warn!(error = chain(&error), "a worker could not be authenticated");
                return Err(Status::unavailable("the worker token cannot be checked now"));
            }
        };
        if let Some(standing) = request.extensions().get::<Standing>() {
            standing.introduced();
        }
        let (out, messages) = mpsc::channel(OUTBOUND_MAX);
        shared.tasks.spawn("session", session::run(Arc::clone(shared), pop, secret, request.into_inner(), out));
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}
