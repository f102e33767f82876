//! A TCP origin that counts who comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::PATIENCE;

/// Dropped: connections are refused.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicUsize>,
    accepting: JoinSet<()>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Where another has died.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a loopback address has free ports");
        let address = listener.local_addr().expect("bound");
        let came = Arc::new(AtomicUsize::new(0));
        let mut accepting = JoinSet::new();
        let count = came.clone();
        accepting.spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, came, accepting }
    }

    pub(crate) fn times_probed(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }

    pub(crate) async fn dies(mut self) {
        self.accepting.shutdown().await;
    }

    /// Waits until so many more probes have come.
    pub(crate) async fn is_probed(&self, times: usize) {
        let before = self.came.load(Ordering::Relaxed);
        timeout(PATIENCE, async {
            while self.came.load(Ordering::Relaxed) < before + times {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("probing goes on");
    }
}
