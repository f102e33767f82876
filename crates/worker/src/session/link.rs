//! One URL, dialled again and again until nobody wants it.

use std::error::Error as _;
use std::time::Duration;

use metrics::counter;
use quorate_core::timings::ms;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::directory::Directory;
use super::pace::Backoff;
use super::stream::{self, Around, Ended};
use super::transport::{Dial, Transport};
use crate::hub::Hub;

/// Keeps a session at `url` until `stop` or `hang_up`.
pub(super) async fn run(
    hub: &Hub,
    directory: &Directory,
    transport: &Transport,
    url: &str,
    stop: &CancellationToken,
    hang_up: &CancellationToken,
) {
    let dial = match Dial::parse(url) {
        Ok(dial) => dial,
        Err(error) => {
            tracing::error!(control.url = url, error = %error, "a replica names a URL that is not dialled");
            return;
        }
    };
    let mut backoff = Backoff::default();
    loop {
        let around = Around { hub, directory, url, stop, hang_up };
        let timings = directory.timings();
        let connected = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = hang_up.cancelled() => return,
            connected = transport.connect(&dial, &timings) => connected,
        };
        let wait = match connected {
            Ok(client) => {
                let ended = stream::run(around, transport, client, &mut backoff).await;
                if stop.is_cancelled() || hang_up.is_cancelled() {
                    return;
                }
                after(directory, url, ended, &mut backoff)
            }
            Err(error) => {
                counter!("quorate_worker_sessions_ended_total", "cause" => "connect").increment(1);
                let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(control.url = url, error = cause, "control cannot be reached; probing goes on");
                backoff.next(&timings, &mut rand::rng())
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = hang_up.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// How long to wait after a session.
fn after(directory: &Directory, url: &str, ended: Result<(), Ended>, backoff: &mut Backoff) -> Duration {
    let timings = directory.timings();
    let (cause, wait) = match ended {
        Ok(()) => return Duration::ZERO,
        Err(Ended::Fenced { reason, retry_after }) => {
            directory.fenced(url, &reason);
            let wait = if retry_after.is_zero() { ms(timings.fence_retry_ms) } else { retry_after };
            tracing::error!(
                control.url = url,
                fence.reason = reason,
                retry_after_ms = wait.as_millis(),
                "control fences this worker off; probing goes on"
            );
            ("fence", wait)
        }
        Err(error @ (Ended::Stream(_) | Ended::Closed)) => {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            tracing::warn!(control.url = url, error = cause, "a session with control has ended; probing goes on");
            ("stream", backoff.next(&timings, &mut rand::rng()))
        }
        Err(error @ (Ended::NoWelcome | Ended::Epochs | Ended::Malformed(_))) => {
            tracing::error!(control.url = url, error = %error, "a session with control makes no sense; probing goes on");
            ("protocol", backoff.next(&timings, &mut rand::rng()))
        }
    };
    counter!("quorate_worker_sessions_ended_total", "cause" => cause).increment(1);
    wait
}
