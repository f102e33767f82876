//! A demo origin: a port, and what happens to those who connect to it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::http::{answer, read_head};
use super::manner::Manner;
use super::switchboard::Switchboard;
use super::tls::DemoTls;

/// A connection is closed after this long, whatever it does.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Connections served at once by one origin; more wait in the accept queue.
const CONNECTIONS_MAX: usize = 256;
/// Connections that wait to be accepted.
const ACCEPT_QUEUE: u32 = 1024;
/// Connections tried to fill an accept queue of length 0.
const FILLERS_MAX: usize = 8;
/// A connection attempt that takes longer on one's own machine met a full accept queue.
const FULL_AFTER: Duration = Duration::from_millis(200);

/// TLS alerts, fatal, as a record of TLS 1.2: what a server may answer to a `ClientHello` before it has chosen a version.
const ALERT_UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const ALERT_HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// Which port an origin takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Free,
    /// This one, or a free one where it is taken.
    Rather(u16),
    /// This one or none.
    Exactly(u16),
}

/// An origin that has its port. It does what its manner says once [`serve`](Self::serve) runs.
#[derive(Debug)]
pub struct Origin {
    name: String,
    manner: Manner,
    address: SocketAddr,
    door: Door,
}

#[derive(Debug)]
enum Door {
    Open(TcpListener),
    /// Bound, not listening: the system refuses whoever knocks.
    Shut(TcpSocket),
    /// Listening with a full queue, and those who fill it.
    Full(TcpListener, Vec<TcpStream>),
}

impl Origin {
    /// Takes a port of `ip`.
    pub async fn bind(name: &str, manner: Manner, ip: IpAddr, port: Port) -> io::Result<Self> {
        let at = |port| open(manner, SocketAddr::new(ip, port));
        let (address, door) = match port {
            Port::Free => at(0)?,
            Port::Exactly(port) => at(port)?,
            Port::Rather(port) => match at(port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => at(0)?,
                opened => opened?,
            },
        };
        let door = match door {
            Door::Full(listener, _) => Door::Full(listener, fill(address).await),
            door => door,
        };
        Ok(Self { name: name.to_owned(), manner, address, door })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Until `stop`.
    pub async fn serve(self, board: Arc<Switchboard>, tls: Arc<DemoTls>, stop: CancellationToken) {
        let listener = match self.door {
            Door::Open(listener) => listener,
            Door::Shut(socket) => {
                stop.cancelled().await;
                drop(socket);
                return;
            }
            Door::Full(listener, fillers) => {
                stop.cancelled().await;
                drop((listener, fillers));
                return;
            }
        };
        let name: Arc<str> = self.name.into();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Dropped at the end, and every connection with it: nobody waits for a demo origin.
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let served = serve_one(stream, peer, self.manner, Arc::clone(&name), Arc::clone(&board), Arc::clone(&tls));
                    connections.spawn(async move {
                        // A peer that goes away early is no news to an origin that exists to be probed.
                        let _ = tokio::time::timeout(CONNECTION_TIME_MAX, served).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(origin = %name, error = %error, "a demo origin cannot accept connections");
                    tokio::time::sleep(FULL_AFTER).await;
                }
            }
        }
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip().to_canonical(), place))
}

fn open(manner: Manner, address: SocketAddr) -> io::Result<(SocketAddr, Door)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The port of the last run may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    let door = match manner {
        Manner::Refused => Door::Shut(socket),
        Manner::Unanswered => Door::Full(socket.listen(0)?, Vec::new()),
        _ => Door::Open(socket.listen(ACCEPT_QUEUE)?),
    };
    Ok((address, door))
}

async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut fillers = Vec::new();
    while fillers.len() < FILLERS_MAX {
        match tokio::time::timeout(FULL_AFTER, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => fillers.push(stream),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    fillers
}

async fn serve_one(
    mut stream: TcpStream,
    peer: IpAddr,
    manner: Manner,
    name: Arc<str>,
    board: Arc<Switchboard>,
    tls: Arc<DemoTls>,
) -> io::Result<()> {
    match manner {
        Manner::Switched => {
            read_head(&mut stream).await?;
            let (status, body) = if board.is_broken(&name, peer) { ("503 Service Unavailable", "broken\n") } else { ("200 OK", "ok\n") };
            answer(&mut stream, status, body).await
        }
        Manner::WrongCode => over(&tls.good, stream, async |stream| answer(stream, "500 Internal Server Error", "ok\n").await).await,
        Manner::WrongBody => over(&tls.good, stream, async |stream| answer(stream, "200 OK", "maintenance\n").await).await,
        Manner::UntrustedCertificate => over(&tls.untrusted, stream, async |stream| answer(stream, "200 OK", "ok\n").await).await,
        Manner::OtherName => over(&tls.other_name, stream, async |stream| answer(stream, "200 OK", "ok\n").await).await,
        Manner::Silent => over(&tls.good, stream, async |stream| until_closed(stream).await).await,
        Manner::InvalidHttp => {
            over(&tls.good, stream, async |stream| {
                stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await?;
                stream.shutdown().await
            })
            .await
        }
        Manner::Reset => {
            let mut secured = tls.good.accept(stream).await?;
            read_head(&mut secured).await?;
            secured.get_ref().0.set_zero_linger()
        }
        Manner::NotTls => {
            // The ClientHello is read first: closing with unread bytes would be a reset.
            read_some(&mut stream).await?;
            answer(&mut stream, "400 Bad Request", "this is plain HTTP\n").await?;
            until_closed(&mut stream).await
        }
        Manner::UnrecognizedName => alert(stream, &ALERT_UNRECOGNIZED_NAME).await,
        Manner::HandshakeFailure => alert(stream, &ALERT_HANDSHAKE_FAILURE).await,
        // These never accept.
        Manner::Refused | Manner::Unanswered => Ok(()),
    }
}

type Secured = tokio_rustls::server::TlsStream<TcpStream>;

async fn over<F>(tls: &TlsAcceptor, stream: TcpStream, then: F) -> io::Result<()>
where
    F: AsyncFnOnce(&mut Secured) -> io::Result<()>,
{
    let mut secured = tls.accept(stream).await?;
    read_head(&mut secured).await?;
    then(&mut secured).await
}

async fn alert(mut stream: TcpStream, record: &[u8]) -> io::Result<()> {
    read_some(&mut stream).await?;
    stream.write_all(record).await?;
    stream.shutdown().await?;
    until_closed(&mut stream).await
}

async fn read_some(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut bytes = [0; 4096];
    stream.read(&mut bytes).await.map(|_| ())
}

async fn until_closed<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// The origins of a process, running.
pub fn serve_all(
    origins: Vec<Origin>,
    board: &Arc<Switchboard>,
    tls: &Arc<DemoTls>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let mut running: JoinSet<()> = JoinSet::new();
    for origin in origins {
        running.spawn(origin.serve(Arc::clone(board), Arc::clone(tls), stop.clone()));
    }
    async move { while running.join_next().await.is_some() {} }
}
