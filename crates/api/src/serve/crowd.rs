//! How many connections one address may have at once, so that none can take all places; and what one too many is answered.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::IntoResponse;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::error::ApiError;
use crate::limits::network;

/// Connections that are being told that they are too many; beyond them they are closed without a word.
const REFUSALS_MAX: usize = 64;
/// For a refused connection to ask and be answered.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// When a refused client may come again.
const WAIT: Duration = Duration::from_secs(1);

/// The connections that are open, by address.
#[derive(Debug)]
pub(super) struct Crowd {
    /// 0: as many as come.
    per_address_max: usize,
    unlimited: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
    refusals: Arc<Semaphore>,
}

/// A connection that counts for its address, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    crowd: Arc<Crowd>,
    /// `None`: it counts for nobody.
    network: Option<IpAddr>,
}

impl Crowd {
    pub(super) fn new(per_address_max: usize, unlimited: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { per_address_max, unlimited, open: Mutex::default(), refusals: Arc::new(Semaphore::new(REFUSALS_MAX)) })
    }

    /// `None` for one too many of its address (IPv6: of its /64).
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Counted> {
        let peer = peer.to_canonical();
        if self.per_address_max == 0 || self.unlimited.iter().any(|range| range.contains(&peer)) {
            return Some(Counted { crowd: Arc::clone(self), network: None });
        }
        let network = network(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= self.per_address_max {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Counted { crowd: Arc::clone(self), network: Some(network) })
    }

    /// Answers the first request of a connection that may not enter, or closes it at once where too many are being answered.
    pub(super) async fn refuse(&self, server: &auto::Builder<TokioExecutor>, stream: TcpStream) {
        let Ok(_turn) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let answered = Arc::new(Notify::new());
        let told = Arc::clone(&answered);
        let service = service_fn(move |request: Request<Incoming>| {
            told.notify_one();
            let mut answer = ApiError::TooManyRequests { wait: WAIT }.into_response();
            // HTTP/2 has a frame of its own for it, and no such header.
            if request.version() < Version::HTTP_2 {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let exchange = async {
            let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = answered.notified() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        };
        match tokio::time::timeout(REFUSAL_TIME, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a refused connection ended with an error"),
            Err(_) => tracing::debug!("a refused connection asked nothing in time"),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut open = self.crowd.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let crowd = Crowd::new(2, Vec::new());
        let first = crowd.enter(peer("192.0.2.1")).expect("a place");
        let _second = crowd.enter(peer("::ffff:192.0.2.1")).expect("the other place: it is the same address");
        assert!(crowd.enter(peer("192.0.2.1")).is_none());
        let _other = crowd.enter(peer("192.0.2.2")).expect("another address");
        drop(first);
        assert!(crowd.enter(peer("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_nobody_is_remembered_who_has_left() {
        let crowd = Crowd::new(1, Vec::new());
        let held = crowd.enter(peer("2001:db8::1")).expect("a place");
        assert!(crowd.enter(peer("2001:db8::ffff:1")).is_none());
        assert!(crowd.enter(peer("2001:db8:0:1::1")).is_some());
        drop(held);
        assert!(crowd.open.lock().expect("nobody panicked").is_empty());
    }

    #[test]
    fn a_proxy_and_whoever_has_no_limit_come_as_often_as_they_like() {
        let proxied = Crowd::new(1, vec!["10.0.0.0/8".parse().expect("a range")]);
        let unlimited = Crowd::new(0, Vec::new());
        let held: Vec<_> = (0..9).flat_map(|_| [proxied.enter(peer("10.0.0.1")), unlimited.enter(peer("192.0.2.1"))]).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
