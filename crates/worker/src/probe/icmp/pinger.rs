//! One socket for all pings of a family and source address, and the task that reads its replies.
//!
//! A socket a ping would be simpler, and cost four times as much. Shared, the socket hears replies and
//! errors of everybody: each is told to whose it is, by what it carries.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, recvmsg};
use nix::sys::time::TimeSpec;
use socket2::{SockAddr, SockRef};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::packet::{self, REPLY_BYTES_MAX};
use super::socket::{self, Form};
use super::waiting::{Ticket, Waiting};
use crate::probe::fault::Fault;

/// Replies that are read at once.
const BATCH: usize = 32;
/// Batches after which others get their turn.
const BATCHES_MAX: usize = 32;
/// Requests that are sent before replies are read, however busy the reader is: the kernel keeps some
/// hundred replies, and drops the rest.
const UNREAD_MAX: u32 = 64;
/// The kernel tells a sender of an error that is not its own, once. To be told so each of so many
/// times somebody else's error has to arrive in each of the microseconds between.
const SENDS_MAX: u32 = 4;
/// Until a send buffer that is full has room.
const FULL_PAUSE: Duration = Duration::from_millis(1);
/// Errors in a row after which a socket is given up.
const ERRORS_MAX: usize = 1_024;
/// Room for what the kernel says of an error: `sock_extended_err`, and the longest address of who says so.
type ErrorRoom = [u8; 16 + 28];

/// Reads until it is dropped.
#[derive(Debug)]
pub(super) struct Pinger {
    pub(super) line: Arc<Line>,
    reader: JoinSet<io::Error>,
}

/// What pings and their reader share.
#[derive(Debug)]
pub(super) struct Line {
    socket: UdpSocket,
    form: Form,
    v6: bool,
    /// Of the requests; a datagram socket sends another.
    id: u16,
    waiting: Mutex<Waiting>,
    /// Requests sent since replies were last read.
    unread: AtomicU32,
}

impl Pinger {
    /// Must be called within a runtime.
    pub(super) fn open(form: Form, v6: bool, source: Option<IpAddr>) -> io::Result<Self> {
        let id = rand::random();
        let socket = socket::shared(form, v6, source, id)?;
        // Tokio has no other socket for datagrams; which protocol they are of is nothing to it.
        let socket = UdpSocket::from_std(OwnedFd::from(socket).into())?;
        let line = Arc::new(Line { socket, form, v6, id, waiting: Mutex::default(), unread: AtomicU32::new(0) });
        let mut reader = JoinSet::new();
        reader.spawn(listen(line.clone()));
        Ok(Self { line, reader })
    }

    /// Whether replies are read. Where reading has failed, or its runtime is gone, they are not any more.
    pub(super) fn is_listening(&mut self) -> bool {
        match self.reader.try_join_next() {
            None => !self.reader.is_empty(),
            Some(Ok(error)) => {
                tracing::warn!(error = %error, "the socket of pings cannot be read; another one is opened");
                false
            }
            Some(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Some(Err(_)) => false,
        }
    }
}

/// Reads replies for as long as the socket lets it.
async fn listen(line: Arc<Line>) -> io::Error {
    let _closed = Closing(&line);
    loop {
        // An error alone makes a socket not readable.
        if let Err(error) = line.socket.async_io(Interest::READABLE | Interest::ERROR, || line.read()).await {
            return error;
        }
    }
}

/// However the reader ends, nobody waits for it in vain.
struct Closing<'a>(&'a Line);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.waiting().close();
    }
}

/// A ping that is waited for.
struct Asking<'a> {
    line: &'a Line,
    ticket: Ticket,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.line.waiting().forget(self.ticket.sequence, &self.ticket.payload);
    }
}

impl Line {
    /// Sends an echo request, and waits for its reply for as long as it is let. The round trip.
    pub(super) async fn ask(&self, address: IpAddr) -> Result<Duration, Fault> {
        let ticket = self.waiting().add(address, &mut rand::rng(), Instant::now());
        let ticket = ticket.ok_or_else(|| Fault::Socket(io::ErrorKind::ResourceBusy.into()))?;
        let mut asking = Asking { line: self, ticket };
        let request = packet::request(self.v6, self.id, asking.ticket.sequence, &asking.ticket.payload);
        let failed = |source| Fault::Ping { source, v6: self.v6 };
        self.send(&request, address).await.map_err(failed)?;
        let told = (&mut asking.ticket.told).await;
        told.map_err(|_| Fault::Socket(io::ErrorKind::BrokenPipe.into()))?.map_err(failed)
    }

    async fn send(&self, request: &[u8], address: IpAddr) -> io::Result<()> {
        let to = SockAddr::from(SocketAddr::new(address, 0));
        let mut refused = 0;
        loop {
            // Past tokio, for which a socket that once had an error can always be written to.
            match SockRef::from(&self.socket).send_to(request, &to) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL_PAUSE).await,
                Err(error) => {
                    refused += 1;
                    if refused == SENDS_MAX {
                        return Err(error);
                    }
                }
            }
        }
        if self.unread.fetch_add(1, Ordering::Relaxed) + 1 >= UNREAD_MAX {
            // What cannot be read here is the reader's to tell of.
            let _ends_dry = self.read();
        }
        Ok(())
    }

    /// Tells who waits of what has come.
    ///
    /// # Errors
    /// `WouldBlock`: everything was read. Else: the socket cannot be read.
    fn read(&self) -> io::Result<()> {
        self.unread.store(0, Ordering::Relaxed);
        let mut errors = 0;
        for _ in 0..BATCHES_MAX {
            self.read_errors()?;
            match self.read_replies() {
                Ok(BATCH) => {}
                Ok(_) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if errors == ERRORS_MAX => return Err(error),
                // Said of a request: it came between the two reads, and is in the queue of errors now.
                Err(_) => errors += 1,
            }
        }
        Ok(())
    }

    /// A batch of replies. How many packets were read; fewer than [`BATCH`] were all.
    fn read_replies(&self) -> io::Result<usize> {
        let mut buffers = [[0; REPLY_BYTES_MAX]; BATCH];
        let mut parts = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)));
        let messages = recvmmsg(self.socket.as_fd().as_raw_fd(), &mut headers, &mut parts, MsgFlags::MSG_DONTWAIT, None)?;
        let (now, day) = (Instant::now(), SystemTime::now());
        let mut waiting = self.waiting();
        let mut read = 0;
        for message in messages {
            read += 1;
            let Some((bytes, from)) = told_by(&message) else { continue };
            let Some(reply) = packet::reply(bytes, self.v6, self.form == Form::Raw) else { continue };
            if self.form == Form::Datagram || reply.id == self.id {
                // The kernel knows since when it has waited for us.
                let waited = received_at(&message).and_then(|at| day.duration_since(at).ok()).unwrap_or_default();
                waiting.replied(from, &reply, waited, now);
            }
        }
        Ok(read)
    }

    /// What the network says of requests, as far as it is there.
    fn read_errors(&self) -> io::Result<()> {
        let mut buffer = [0; REPLY_BYTES_MAX];
        loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let mut room = nix::cmsg_space!(TimeSpec, ErrorRoom);
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = match recvmsg::<SockaddrStorage>(self.socket.as_fd().as_raw_fd(), &mut parts, Some(&mut room), flags) {
                Ok(message) => message,
                Err(nix::errno::Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            };
            if let Some((bytes, to)) = told_by(&message)
                && let Some(quoted) = packet::quoted_request(bytes, self.v6)
                && (self.form == Form::Datagram || quoted.id == self.id)
                && let Some(error) = error_of(&message)
            {
                self.waiting().failed(to, &quoted, error);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a packet, and the address that it names: of its sender, or, for an error, of who was asked.
fn told_by<'a>(message: &RecvMsg<'_, 'a, SockaddrStorage>) -> Option<(&'a [u8], IpAddr)> {
    let address = message.address?;
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    let from = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
    Some((message.iovs().next().unwrap_or_default(), from))
}

/// When the kernel had it, by the clock of the day.
fn received_at(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SystemTime> {
    let stamped = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    })?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from(stamped))
}

/// What is said of the way. A redirect, or a plea to send less, says nothing: the request goes on.
fn error_of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<io::Error> {
    let number = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error.ee_errno),
        _ => None,
    })?;
    let number = i32::try_from(number).ok().filter(|number| *number != nix::libc::EREMOTEIO)?;
    Some(io::Error::from_raw_os_error(number))
}
