//! What can go wrong when the control plane starts, and what a call to the database may answer.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

/// A call to the database without an answer for longer is given up; its loop tries again.
pub(crate) const DATABASE_CALL_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Workers send their tokens over this connection, so it is encrypted wherever it leaves the machine.
    #[error("without TLS the gateway may only listen on a loopback address, not on {0}")]
    PlaintextBeyondLoopback(SocketAddr),
    #[error("the gateway's certificate chain or key cannot be used: {0}")]
    Certificate(String),
    #[error("the gateway cannot use its listener")]
    Listener(#[source] std::io::Error),
}

/// A call to the store that failed or did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Store(#[from] quorate_store::Error),
    #[error("the database did not answer within {} s", .0.as_secs())]
    Silent(Duration),
}

/// Bounds a call to the store: a server that hangs must not hang a loop.
pub(crate) async fn bounded<T>(call: impl Future<Output = Result<T, quorate_store::Error>>) -> Result<T, CallError> {
    bounded_by(DATABASE_CALL_MAX, call).await
}

/// The same for somebody who waits less long.
pub(crate) async fn bounded_by<T>(limit: Duration, call: impl Future<Output = Result<T, quorate_store::Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::Silent(limit)),
    }
}

/// An error with its causes, for one line of log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
