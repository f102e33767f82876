//! One HTTP/1.1 request and its answer over a stream of our own: no more is sent, read or kept than
//! a probe needs, and every error is ours to see.

use std::pin::pin;

use http::header::HeaderValue;
use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::body::{Body, Next};
use super::head::{Head, Malformed};
use crate::probe::Phase;
use crate::probe::attempt::Attempt;
use crate::probe::fault::Fault;

/// Bytes of an answer's head, those of interim answers before it included: with the searched part of
/// the body and its folded copy, what a hostile origin can make a probe hold.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes that are read at first: most heads, and the bodies of health pages.
const READ_BYTES_MIN: usize = 1024;
/// Bytes of a body that are read at once.
const BODY_READ_BYTES: usize = 4 * 1024;

/// The head of an answer; its body is still on the way.
pub(super) struct Answer<S> {
    pub(super) status: StatusCode,
    pub(super) location: Option<HeaderValue>,
    body: Body,
    wire: Wire<S>,
}

/// A stream, and what has come that nobody has looked at.
struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been looked at.
    seen: usize,
}

/// An empty buffer for a request and its answer, in the room that an earlier one has left.
pub(super) fn empty(room: &mut Vec<u8>) -> Vec<u8> {
    let mut buffer = std::mem::take(room);
    buffer.clear();
    // Most requests are shorter.
    buffer.reserve_exact(READ_BYTES_MIN);
    buffer
}

/// Sends a request, and reads the head of its answer, where the request was.
pub(super) async fn ask<S>(stream: S, request: Vec<u8>, method: &Method, attempt: &mut Attempt<'_>) -> Result<Answer<S>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let seen = request.len();
    let mut wire = Wire { stream, buffer: request, seen };
    let writing = async {
        wire.stream.write_all(&wire.buffer).await.map_err(Fault::Http)?;
        wire.stream.flush().await.map_err(Fault::Http)
    };
    attempt.within(Phase::Request, pin!(writing)).await?;
    let mut room = HEAD_BYTES_MAX;
    attempt.within(Phase::FirstByte, pin!(wire.read_of_head(room))).await?;
    let head = match wire.head(&mut room, method)? {
        Some(head) => head,
        None => attempt.within(Phase::Headers, pin!(wire.rest_of_head(room, method))).await?,
    };
    Ok(Answer { status: head.status, location: head.location, body: Body::new(head.framing), wire })
}

impl<S: AsyncRead + Unpin> Answer<S> {
    /// Leaves its room to the next one, unless the origin has made it large.
    pub(super) fn give_back(self, room: &mut Vec<u8>) {
        if self.wire.buffer.capacity() <= 2 * READ_BYTES_MIN {
            *room = self.wire.buffer;
        }
    }

    /// Where it leads; nothing else of it is held any more.
    pub(super) fn leads(self) -> (StatusCode, Option<HeaderValue>) {
        (self.status, self.location)
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<&[u8]>, Fault> {
        loop {
            match self.body.next(self.wire.unseen())? {
                Next::Data(bytes) => return Ok(Some(self.wire.take(bytes))),
                Next::Framing(bytes) => {
                    self.wire.take(bytes);
                }
                Next::Wait => {
                    if self.wire.more(BODY_READ_BYTES).await? == 0 {
                        self.body.close()?;
                    }
                }
                Next::End => return Ok(None),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// The head of the answer, after interim ones, once more of it has come.
    async fn rest_of_head(&mut self, mut room: usize, method: &Method) -> Result<Head, Fault> {
        loop {
            if self.read_of_head(room).await?
                && let Some(head) = self.head(&mut room, method)?
            {
                return Ok(head);
            }
        }
    }

    /// Reads on within a head, of which `room` bytes may come. Whether a head may have ended: one that was unfinished still is, unless a
    /// line has ended.
    async fn read_of_head(&mut self, room: usize) -> Result<bool, Fault> {
        let had = self.unseen().len();
        let wanted = had.max(READ_BYTES_MIN).min(room - had);
        if wanted == 0 {
            return Err(Malformed::LongHead.into());
        }
        if self.more(wanted).await? == 0 {
            return Err(Malformed::Cut.into());
        }
        Ok(had == 0 || self.unseen()[had..].contains(&b'\n'))
    }

    /// The head of the answer, after interim ones, which take up room; `None` where it has not ended.
    fn head(&mut self, room: &mut usize, method: &Method) -> Result<Option<Head>, Fault> {
        while !self.unseen().is_empty()
            && let Some(head) = Head::parse(self.unseen(), method)?
        {
            self.take(head.bytes);
            if !head.is_interim() {
                return Ok(Some(head));
            }
            *room -= head.bytes;
        }
        Ok(None)
    }

    fn unseen(&self) -> &[u8] {
        &self.buffer[self.seen..]
    }

    fn take(&mut self, bytes: usize) -> &[u8] {
        let taken = &self.buffer[self.seen..self.seen + bytes];
        self.seen += bytes;
        taken
    }

    /// Reads what has come, at most `wanted` bytes; none at the end.
    async fn more(&mut self, wanted: usize) -> Result<usize, Fault> {
        self.buffer.drain(..self.seen);
        self.seen = 0;
        self.buffer.reserve_exact(wanted);
        (&mut self.stream).take(wanted as u64).read_buf(&mut self.buffer).await.map_err(Fault::Http)
    }
}
