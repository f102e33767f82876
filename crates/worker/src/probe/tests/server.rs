//! Servers that do with each connection what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Dropped: it and its connections are gone.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    came: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    /// Serves every connection by `serve`, on a free port of 127.0.0.1.
    pub(super) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_on("127.0.0.1:0", serve).await
    }

    pub(super) async fn start_on<F>(address: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a loopback address has free ports");
        let address = listener.local_addr().expect("bound");
        let came = Arc::new(AtomicUsize::new(0));
        let count = came.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream));
            }
        });
        Self { address, came, _serving: serving }
    }

    /// Accepts, and is silent until the peer goes.
    pub(super) async fn silent() -> Self {
        Self::start(hold).await
    }

    /// Reads a request, and sends these pieces one by one; then closes.
    pub(super) async fn answering(pieces: &'static [&'static str]) -> Self {
        Self::start(move |mut stream| async move {
            read_head(&mut stream).await;
            send(&mut stream, pieces).await;
        })
        .await
    }

    /// Reads a request, sends `bytes`, and waits for the peer to go.
    pub(super) async fn stalling_after(bytes: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            read_head(&mut stream).await;
            send(&mut stream, &[bytes]).await;
            hold(stream).await;
        })
        .await
    }

    /// Sends bytes to whoever connects, whatever is said.
    pub(super) async fn shouting(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            if stream.write_all(bytes).await.is_ok() {
                hold(stream).await;
            }
        })
        .await
    }

    /// Reads something, sends `bytes`, and resets the connection.
    pub(super) async fn resetting_after(bytes: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            if stream.read(&mut [0; 4096]).await.is_ok() {
                send(&mut stream, &[bytes]).await;
                socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
            }
        })
        .await
    }

    /// Connections that came so far.
    pub(super) fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

/// Reads until the peer goes.
pub(super) async fn hold(mut stream: TcpStream) {
    while stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {}
}

/// The head of a request, as it came.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("requests are ASCII")
}

/// Each piece in a packet of its own.
pub(super) async fn send(stream: &mut (impl AsyncWrite + Unpin), pieces: &[&str]) {
    for piece in pieces {
        // The probe may have seen enough and gone.
        if stream.write_all(piece.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
