//! One HTTP/1.1 request and its answer over a stream of our own, so that every error is ours to see.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::Stream;
use super::meter::{Meter, Metered};
use crate::probe::fault::Fault;

/// Bytes of an answer's head, and of what is buffered of its body: with the searched part of the body
/// and its folded copy, what a hostile origin can make a probe hold.
const HEAD_BYTES_MAX: usize = 16 * 1024;

type Connection = http1::Connection<TokioIo<Metered<Box<dyn Stream>>>, Empty<Bytes>>;

pub(super) struct Exchange(Metered<Box<dyn Stream>>);

/// The head of an answer; its body is still on the way.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    carrier: Carrier,
}

/// The connection, until it ends. What ends it is told to whoever waits for the answer.
struct Carrier(Option<Pin<Box<Connection>>>);

impl Exchange {
    pub(super) fn new(stream: Box<dyn Stream>) -> (Self, Meter) {
        let (metered, meter) = Metered::new(stream);
        (Self(metered), meter)
    }

    pub(super) async fn ask(self, request: Request<Empty<Bytes>>) -> Result<Answer, Fault> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .title_case_headers(true)
            .handshake(TokioIo::new(self.0))
            .await
            .map_err(Fault::Http)?;
        let mut carrier = Carrier(Some(Box::pin(connection)));
        let (head, body) = carrier.carry(sender.send_request(request)).await.map_err(Fault::Http)?.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body, carrier })
    }
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        while let Some(frame) = self.carrier.carry(self.body.frame()).await {
            // Trailers are no part of the body.
            if let Ok(bytes) = frame.map_err(Fault::Http)?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

impl Carrier {
    /// Waits for `work` while the connection moves its bytes.
    async fn carry<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Some(connection) = &mut self.0
                && let Poll::Ready(_told_to_work) = connection.as_mut().poll(cx)
            {
                self.0 = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}
