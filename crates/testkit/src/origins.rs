//! Origins to probe: real sockets on loopback that answer each peer as they are told, and remember
//! what they did. What an origin remembers is the truth that a story holds the product to.

mod http;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use tls::Certificate;

/// What an origin does with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 with the body `ok`; a TCP origin accepts.
    Healthy,
    /// This status with the body `ok`.
    Code(u16),
    /// 200 with this body.
    Body(String),
    /// 302 to this URL.
    Redirect(String),
    /// Healthy, after so long.
    Slow(Duration),
    /// The connection is accepted and nothing is said.
    Silent,
    /// The connection is reset as soon as it is accepted.
    Reset,
    /// Bytes that are no HTTP.
    Garbage,
}

impl Behaviour {
    /// Whether a plain HTTP check (200 expected, no body expected) fails on it.
    pub fn fails_a_plain_check(&self) -> bool {
        !matches!(self, Self::Healthy | Self::Slow(_) | Self::Code(200) | Self::Body(_))
    }
}

/// What an origin speaks.
#[derive(Clone, Debug)]
enum Protocol {
    Http,
    Https(Certificate),
    Tcp,
}

/// One connection as the origin saw it.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Just before the answer left, or the connection was reset.
    pub at: Instant,
    pub from: IpAddr,
    pub behaviour: Behaviour,
    /// The request's head, where the protocol has one and it arrived.
    pub request: Option<Request>,
}

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub host: Option<String>,
    pub user_agent: Option<String>,
    /// All others, their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// A running origin. Dropped: everything it holds open is closed.
#[derive(Debug)]
pub struct Origin {
    state: Arc<State>,
    open: tokio::sync::Mutex<Option<Door>>,
    tasks: TaskTracker,
}

/// An open listener; cancelled, it and its connections are closed.
#[derive(Debug)]
struct Door {
    shut: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    address: SocketAddr,
    protocol: Protocol,
    orders: Mutex<Orders>,
    contacts: Mutex<Vec<Contact>>,
}

#[derive(Debug)]
struct Orders {
    everyone: Behaviour,
    peers: HashMap<IpAddr, Behaviour>,
}

impl Origin {
    /// A healthy HTTP origin on a free port of `ip`.
    pub async fn http(ip: IpAddr) -> Self {
        Self::start(ip, Protocol::Http).await
    }

    /// A healthy HTTPS origin.
    pub async fn https(ip: IpAddr, certificate: Certificate) -> Self {
        Self::start(ip, Protocol::Https(certificate)).await
    }

    /// A TCP origin: accepts, says nothing, closes when the peer does.
    pub async fn tcp(ip: IpAddr) -> Self {
        Self::start(ip, Protocol::Tcp).await
    }

    async fn start(ip: IpAddr, protocol: Protocol) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            address,
            protocol,
            orders: Mutex::new(Orders { everyone: Behaviour::Healthy, peers: HashMap::new() }),
            contacts: Mutex::default(),
        });
        let origin = Self { state, open: tokio::sync::Mutex::default(), tasks: TaskTracker::new() };
        *origin.open.lock().await = Some(origin.open_door(listener));
        origin
    }

    pub fn address(&self) -> IpAddr {
        self.state.address.ip()
    }

    pub fn port(&self) -> u16 {
        self.state.address.port()
    }

    /// Behaves so towards everyone from now on.
    pub fn behaves(&self, behaviour: Behaviour) {
        let mut orders = lock(&self.state.orders);
        orders.everyone = behaviour;
        orders.peers.clear();
    }

    /// Behaves so towards these peers, and towards the others as before.
    pub fn behaves_towards(&self, peers: &[IpAddr], behaviour: &Behaviour) {
        let mut orders = lock(&self.state.orders);
        orders.peers.extend(peers.iter().map(|peer| (*peer, behaviour.clone())));
    }

    /// Closes the port: connections are refused when this returns.
    pub async fn closes(&self) {
        if let Some(door) = self.open.lock().await.take() {
            door.shut.cancel();
            door.serving.await.expect("serving never panics");
        }
    }

    /// Opens the port again; nothing happens where it is open.
    pub async fn opens(&self) {
        let mut open = self.open.lock().await;
        if open.is_none() {
            let listener = TcpListener::bind(self.state.address).await.expect("the port is still ours: the address is");
            *open = Some(self.open_door(listener));
        }
    }

    /// Every contact so far, in order.
    pub fn contacts(&self) -> Vec<Contact> {
        lock(&self.state.contacts).clone()
    }

    /// Contacts from the `skip`th on: a story notes how many there were, acts, and looks at what came after.
    pub fn contacts_after(&self, skip: usize) -> Vec<Contact> {
        lock(&self.state.contacts).iter().skip(skip).cloned().collect()
    }

    pub fn contact_count(&self) -> usize {
        lock(&self.state.contacts).len()
    }

    fn open_door(&self, listener: TcpListener) -> Door {
        let shut = CancellationToken::new();
        let serving = self.tasks.spawn(serve(Arc::clone(&self.state), listener, shut.clone()));
        Door { shut, serving }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(door) = self.open.get_mut().take() {
            door.shut.cancel();
        }
    }
}

async fn serve(state: Arc<State>, listener: TcpListener, shut: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = shut.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // The peer gave up between its SYN and our accept.
                Err(_) => continue,
            },
        };
        let (state, shut) = (Arc::clone(&state), shut.clone());
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = shut.cancelled() => {}
                () = answer(&state, stream, peer.ip()) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn answer(state: &State, stream: TcpStream, from: IpAddr) {
    let behaviour = {
        let orders = lock(&state.orders);
        orders.peers.get(&from).unwrap_or(&orders.everyone).clone()
    };
    if behaviour == Behaviour::Reset {
        state.remember(from, behaviour, None);
        // Lingering for zero seconds is how a socket says RST instead of FIN.
        if stream.set_zero_linger().is_ok() {
            drop(stream);
        }
        return;
    }
    match &state.protocol {
        Protocol::Tcp => {
            state.remember(from, behaviour, None);
            http::wait_for_the_end(stream).await;
        }
        Protocol::Http => http::converse(state, stream, from, behaviour).await,
        Protocol::Https(certificate) => {
            // A peer that refuses the certificate leaves here; that is an answer too.
            match certificate.accept(stream).await {
                Ok(stream) => http::converse(state, stream, from, behaviour).await,
                Err(_) => state.remember(from, behaviour, None),
            }
        }
    }
}

impl State {
    fn remember(&self, from: IpAddr, behaviour: Behaviour, request: Option<Request>) {
        lock(&self.contacts).push(Contact { at: Instant::now(), from, behaviour, request });
    }
}

/// A story that panicked while it held the lock has failed already; the others may look.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));

    async fn ask_from(source: IpAddr, origin: &Origin) -> std::io::Result<String> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let mut stream = socket.connect((origin.address(), origin.port()).into()).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    #[tokio::test]
    async fn an_origin_answers_each_peer_as_it_is_told_and_remembers_it() {
        let origin = Origin::http(HERE).await;
        let (near, far) = (IpAddr::from([127, 9, 1, 1]), IpAddr::from([127, 9, 2, 1]));
        origin.behaves_towards(&[far], &Behaviour::Code(503));

        assert!(ask_from(near, &origin).await.unwrap().starts_with("HTTP/1.1 200 "));
        assert!(ask_from(far, &origin).await.unwrap().starts_with("HTTP/1.1 503 "));

        let seen: Vec<_> = origin.contacts().into_iter().map(|contact| (contact.from, contact.behaviour)).collect();
        assert_eq!(seen, [(near, Behaviour::Healthy), (far, Behaviour::Code(503))]);
        let request = origin.contacts()[0].request.clone().unwrap();
        assert_eq!((request.path.as_str(), request.host.as_deref()), ("/health", Some("shop.example.com")));
    }

    #[tokio::test]
    async fn a_closed_origin_refuses_and_an_opened_one_answers_on_the_same_port() {
        let origin = Origin::http(HERE).await;
        origin.closes().await;
        assert_eq!(ask_from(HERE, &origin).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        origin.opens().await;
        assert!(ask_from(HERE, &origin).await.unwrap().ends_with("\r\n\r\nok"));
    }

    #[tokio::test]
    async fn a_reset_is_seen_as_a_reset_and_silence_as_silence() {
        let origin = Origin::http(HERE).await;
        origin.behaves(Behaviour::Reset);
        assert_eq!(ask_from(HERE, &origin).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        origin.behaves(Behaviour::Silent);
        assert!(tokio::time::timeout(Duration::from_millis(100), ask_from(HERE, &origin)).await.is_err());
    }
}
