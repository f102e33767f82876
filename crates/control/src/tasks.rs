//! Every task of the control plane: none is forgotten at the stop, and none dies unnoticed.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failed: watch::Sender<Option<&'static str>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), failed: watch::Sender::new(None) }
    }

    /// Runs `work`, which ends by itself soon after [`stop`](Self::stop) is cancelled. A panic in it is told by [`failed`](Self::failed).
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let failed = self.failed.clone();
        self.tracker.spawn(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task of the control plane panicked; the process has to stop");
                failed.send_if_modified(|first| first.is_none() && first.replace(name).is_none());
            }
        });
    }

    pub(crate) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits until a task has panicked, and names it.
    pub(crate) async fn failed(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        // The sender lives in `self`.
        match failed.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Waits for all of them.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_is_named_and_the_others_are_waited_for() {
        let tasks = Tasks::new();
        let stop = tasks.stop().clone();
        tasks.spawn("patient", async move { stop.cancelled().await });
        tasks.spawn("clumsy", async { panic!("on purpose") });
        assert_eq!(tasks.failed().await, "clumsy");
        tasks.stop().cancel();
        tasks.ended().await;
    }
}
