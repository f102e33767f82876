//! A DNS server of our own: answers as a test says, and counts.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// Bytes that fit a datagram on any way, and the most that resolvers ask for.
const UDP_BYTES_MAX: usize = 1232;

/// What a name gets.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Addresses(Vec<IpAddr>),
    /// One list after the other, and again from the first.
    Turns(Vec<Vec<IpAddr>>),
    Code(ResponseCode),
    /// An alias of another name, and not its addresses.
    Alias(&'static str),
    /// A name server of this name.
    NameServer(&'static str),
    Silence,
}

/// Dropped: nobody answers. What it does not know does not exist.
pub(super) struct Dns {
    pub(super) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Zone {
    answers: HashMap<String, Answer>,
    asked: Vec<String>,
    /// Silence for everybody.
    is_down: bool,
    /// What every answer over UDP takes.
    takes: Duration,
}

impl Dns {
    pub(super) async fn start(answers: &[(&str, Answer)]) -> Self {
        let (socket, listener) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback address has free ports");
            // The same port for UDP may be somebody's.
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().expect("bound")).await {
                break (socket, listener);
            }
        };
        let address = socket.local_addr().expect("bound");
        let answers = answers.iter().map(|(name, answer)| (format!("{name}."), answer.clone())).collect();
        let zone = Arc::new(Mutex::new(Zone { answers, ..Zone::default() }));
        let mut serving = JoinSet::new();
        let shared = zone.clone();
        serving.spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((bytes, peer)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..bytes]).expect("a DNS message");
                let (answer, takes) = {
                    let mut zone = shared.lock().expect("no panic");
                    (zone.answer(&question), zone.takes)
                };
                if let Some(answer) = answer {
                    tokio::time::sleep(takes).await;
                    socket.send_to(&cut(answer), peer).await.expect("loopback");
                }
            }
        });
        let shared = zone.clone();
        serving.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.spawn(serve_stream(stream, shared.clone()));
            }
        });
        Self { address, zone, _serving: serving }
    }

    /// From now on this is what the name gets.
    pub(super) fn tells(&self, name: &str, answer: Answer) {
        self.zone.lock().expect("no panic").answers.insert(format!("{name}."), answer);
    }

    pub(super) fn takes(&self, takes: Duration) {
        self.zone.lock().expect("no panic").takes = takes;
    }

    pub(super) fn goes_down(&self) {
        self.zone.lock().expect("no panic").is_down = true;
    }

    /// Times that the name was asked for, by type: `a.example. A`.
    pub(super) fn asked(&self, question: &str) -> usize {
        self.zone.lock().expect("no panic").asked.iter().filter(|asked| *asked == question).count()
    }
}

/// The answer as UDP carries it: empty and marked where it is too long.
fn cut(mut answer: Message) -> Vec<u8> {
    let whole = answer.to_vec().expect("a DNS message");
    if whole.len() <= UDP_BYTES_MAX {
        return whole;
    }
    answer.answers.clear();
    answer.metadata.truncation = true;
    answer.to_vec().expect("a DNS message")
}

/// Questions and answers with their lengths before them, until the peer goes.
async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(bytes) = stream.read_u16().await {
        let mut question = vec![0; bytes.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let answer = zone.lock().expect("no panic").answer(&Message::from_vec(&question).expect("a DNS message"));
        let Some(answer) = answer.map(|answer| answer.to_vec().expect("a DNS message")) else { return };
        let length = u16::try_from(answer.len()).expect("a DNS message");
        if stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await.is_err() {
            return;
        }
    }
}

impl Zone {
    fn answer(&mut self, question: &Message) -> Option<Message> {
        let query = question.queries.first().expect("a question");
        let (name, kind) = (query.name().to_ascii(), query.query_type());
        self.asked.push(format!("{name} {kind}"));
        if self.is_down {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let addresses = match self.answers.get_mut(&name) {
            Some(Answer::Silence) => return None,
            Some(Answer::Addresses(addresses)) => addresses.clone(),
            Some(Answer::Turns(turns)) => {
                turns.rotate_left(1);
                turns.last().cloned().unwrap_or_default()
            }
            Some(Answer::Code(code)) => {
                answer.metadata.response_code = *code;
                Vec::new()
            }
            Some(Answer::Alias(name)) => {
                let name = CNAME(Name::from_ascii(*name).expect("a name"));
                answer.add_answer(Record::from_rdata(query.name().clone(), 0, RData::CNAME(name)));
                Vec::new()
            }
            Some(Answer::NameServer(server)) => {
                let server = NS(Name::from_ascii(*server).expect("a name"));
                answer.add_answer(Record::from_rdata(query.name().clone(), 0, RData::NS(server)));
                Vec::new()
            }
            None => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                Vec::new()
            }
        };
        for address in addresses {
            let data = match (address, kind) {
                (IpAddr::V4(address), RecordType::A) => RData::A(address.into()),
                (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(address.into()),
                _ => continue,
            };
            answer.add_answer(Record::from_rdata(query.name().clone(), 0, data));
        }
        Some(answer)
    }
}
