//! A closed loop over HTTP/1.1: each connection sends its next request when the answer to the last one is there. It does
//! as little as a client can: fixed bytes out, and of the answer the status and the length of the body.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What a connection does again and again.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// One request.
    Get { path: String },
    /// Creates an object, and deletes it: one unit of work of two requests. `{}` in the body is the connection's number.
    CreateAndDelete { path: String, body: String },
}

/// Where to, as whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl Target {
    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let Self { address, token } = self;
        let length =
            if body.is_empty() { String::new() } else { format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()) };
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{length}\r\n{body}").into_bytes()
    }
}

/// One connection, kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn to(target: &Target) -> Self {
        let stream = TcpStream::connect(target.address).await.expect("the control process listens");
        stream.set_nodelay(true).expect("a socket has options");
        Self { stream, answer: Vec::new() }
    }

    /// Sends a request; answers the body of a success.
    async fn exchange(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.expect("the connection stays open");
        self.answer.clear();
        let (begin, end) = loop {
            let read = self.stream.read_buf(&mut self.answer).await.expect("the connection stays open");
            assert!(read > 0, "the server closed the connection");
            if let Some((begin, end)) = body_of(&self.answer)
                && self.answer.len() >= end
            {
                break (begin, end);
            }
        };
        assert!(self.answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&self.answer[..end]));
        &self.answer[begin..end]
    }

    /// Does one unit of work; answers the bytes of the bodies.
    pub(crate) async fn work(&mut self, target: &Target, work: &Work, number: usize) -> usize {
        match work {
            Work::Get { path } => self.exchange(&target.request("GET", path, "")).await.len(),
            Work::CreateAndDelete { path, body } => {
                let created = self.exchange(&target.request("POST", path, &body.replace("{}", &number.to_string()))).await;
                let text = std::str::from_utf8(created).expect("an answer is UTF-8");
                let id = text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next()).expect("what is created has an id");
                let (delete, length) = (target.request("DELETE", &format!("{path}/{id}"), ""), created.len());
                length + self.exchange(&delete).await.len()
            }
        }
    }
}

/// Where the body begins and ends, once the head is whole.
fn body_of(answer: &[u8]) -> Option<(usize, usize)> {
    const LENGTH: &[u8] = b"content-length: ";
    let begin = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = &answer[..begin];
    let at = head.windows(LENGTH.len()).position(|window| window.eq_ignore_ascii_case(LENGTH)).expect("an answer tells its length")
        + LENGTH.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some((begin, begin + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))))
}

/// What a loop saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Of each unit of work that ended within the window, sorted.
    pub(crate) times: Vec<Duration>,
    /// Of the bodies of one unit of work.
    pub(crate) bytes: usize,
}

/// Works on so many connections: for `before` uncounted, then for `window`; `between` is called at the window's begin.
pub(crate) async fn run(
    target: &Target,
    work: &Work,
    connections: usize,
    before: Duration,
    window: Duration,
    between: impl FnOnce(),
) -> Seen {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::to(target).await);
    }
    let begin = Instant::now() + before;
    let end = begin + window;
    let mut loops = JoinSet::new();
    for (number, mut connection) in opened.into_iter().enumerate() {
        let (target, work) = (target.clone(), work.clone());
        loops.spawn(async move {
            let (mut times, mut bytes) = (Vec::new(), 0);
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return (times, bytes);
                }
                bytes = connection.work(&target, &work, number).await;
                let answered = Instant::now();
                if sent >= begin && answered <= end {
                    times.push(answered - sent);
                }
            }
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    between();
    let ended = loops.join_all().await;
    let bytes = ended.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
    let mut times: Vec<Duration> = ended.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    Seen { times, bytes }
}
