//! How much a server may say before something comes of it: the libraries keep what they cannot use yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes after the handshake without one of an answer: a whole record, and the tickets before it.
const UNANSWERED_BYTES_MAX: usize = 24 * 1024;

/// A stream that gives no more once its ration is used up; what is read at once is not cut.
#[derive(Debug)]
pub(super) struct Rationed<S> {
    stream: S,
    /// Bytes.
    left: usize,
}

/// Why a stream gives no more.
#[derive(Debug, thiserror::Error)]
#[error("the server goes on and on, and nothing comes of it")]
struct UsedUp;

impl<S> Rationed<S> {
    /// For a handshake of at most so many bytes.
    pub(super) const fn new(stream: S, handshake_bytes_max: usize) -> Self {
        Self { stream, left: handshake_bytes_max }
    }

    /// Something has come of it.
    pub(super) const fn renew(&mut self) {
        self.left = UNANSWERED_BYTES_MAX;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rationed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(UsedUp)));
        }
        let had = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.left = self.left.saturating_sub(buffer.filled().len() - had);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rationed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
