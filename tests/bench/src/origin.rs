//! The plain origins, as lean as can be: what they take of the second CPU is not to be what limits
//! the programs on the first.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tokio::time::Instant;

use crate::farm::{ANSWER, Book, FAILURE, lock};

/// Events taken at once.
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

/// An origin that fails, and when it first did.
#[derive(Debug, Default)]
pub(crate) struct Failing(Mutex<Option<(IpAddr, Option<Instant>)>>);

impl Failing {
    /// Which one fails from now on, if any.
    pub(crate) fn set(&self, address: Option<IpAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address.map(|address| (address, None));
    }

    /// When the one that fails was first asked.
    pub(crate) fn answered(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).and_then(|(_, answered)| answered)
    }

    /// What an origin says, which is about to.
    fn answer(&self, asked: IpAddr) -> &'static [u8] {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((address, answered)) if *address == asked => {
                answered.get_or_insert_with(Instant::now);
                FAILURE
            }
            _ => ANSWER,
        }
    }
}

/// Serves for ever: notes whom each connection asks, answers a request, if one comes, and closes.
///
/// # Errors
/// The listener has failed.
pub(crate) fn serve(mut listener: TcpListener, book: &Mutex<Book>, failing: &Failing) -> io::Result<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut open: Vec<Option<(TcpStream, IpAddr)>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let place = event.token().0;
                if open[place].take_if(|(stream, asked)| is_answered(stream, *asked, failing)).is_some() {
                    free.push(place);
                }
                continue;
            }
            while let Some((mut stream, asked)) = accepted(&listener)? {
                lock(book).push((asked, Instant::now()));
                // Most requests are there already when the connection is.
                if is_answered(&mut stream, asked, failing) {
                    continue;
                }
                let place = free.pop().unwrap_or(open.len());
                poll.registry().register(&mut stream, Token(place), Interest::READABLE)?;
                let stream = Some((stream, asked));
                if place == open.len() { open.push(stream) } else { open[place] = stream }
            }
        }
    }
}

fn accepted(listener: &TcpListener) -> io::Result<Option<(TcpStream, IpAddr)>> {
    match listener.accept() {
        Ok((stream, _)) => {
            // A connection that is reset already has no address any more.
            let asked = stream.local_addr().map_or(SocketAddr::from(([0; 4], 0)), |asked| asked);
            Ok(Some((stream, asked.ip())))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is nothing more to do for a connection, which may then be closed.
fn is_answered(stream: &mut TcpStream, asked: IpAddr, failing: &Failing) -> bool {
    match stream.read(&mut [0; 2048]) {
        Ok(1..) => {
            // A probe that goes early has seen enough.
            let _sent = stream.write_all(failing.answer(asked));
            true
        }
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        Ok(0) => true,
    }
}
