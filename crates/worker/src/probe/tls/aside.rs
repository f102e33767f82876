//! A thread of its own for the handshakes of OpenSSL: a server chooses how long the processor works on one,
//! and what is probed without it is not to wait for that.

use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::probe::pulse::Pulse;

const THREAD: &str = "tls";

/// Started by who needs it first; ends with this.
#[derive(Debug)]
pub(super) struct Aside {
    thread: OnceLock<Thread>,
    pulse: Arc<Pulse>,
}

#[derive(Debug)]
struct Thread(Option<Runtime>);

impl Default for Aside {
    fn default() -> Self {
        Self { thread: OnceLock::new(), pulse: Arc::new(Pulse::new(THREAD)) }
    }
}

impl Aside {
    /// Does `work` there, unless nobody waits for it any more.
    ///
    /// # Errors
    /// There is no thread, or not any more.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
        let thread = if let Some(thread) = self.thread.get() {
            thread
        } else {
            let started = Thread::start(self.pulse.clone())?;
            self.thread.get_or_init(|| started)
        };
        let runtime = thread.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        AbortOnDropHandle::new(runtime.spawn(work)).await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(stopped) => io::Error::other(stopped),
        })
    }

    /// All time that the thread has lost so far, as where there was more to do than it could.
    pub(super) fn lost(&self) -> Duration {
        self.pulse.lost()
    }
}

impl Thread {
    fn start(pulse: Arc<Pulse>) -> io::Result<Self> {
        // One handshake can take as long as a beat: the clock is looked at after each.
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(THREAD).event_interval(1).enable_time().build()?;
        runtime.spawn(async move { pulse.beat().await });
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Where it is dropped nobody may wait for a thread.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_takes_long_holds_up_nobody_but_what_waits_for_the_same_thread() {
        let (aside, here) = (Aside::default(), thread::current().id());
        let (begun, was_begun) = oneshot::channel();
        let (end, until_end) = std::sync::mpsc::channel();
        let long = aside.run(async move {
            begun.send(()).expect("the test listens");
            until_end.recv().expect("the test says when")
        });
        let meanwhile = async {
            was_begun.await.expect("it begins");
            let short = aside.run(async { thread::current().id() });
            tokio::pin!(short);
            assert!(timeout(Duration::from_millis(600), &mut short).await.is_err(), "it waits for its turn");
            assert!(aside.lost() >= Duration::from_millis(400), "{:?}", aside.lost());
            end.send("done").expect("it waits for this");
            short.await.expect("a thread")
        };
        let (long, there) = tokio::join!(long, meanwhile);
        assert_eq!(long.expect("a thread"), "done");
        assert_ne!(there, here);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_dropped() {
        let aside = Aside::default();
        let (kept, is_dropped) = oneshot::channel::<()>();
        let endless = aside.run(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        assert!(timeout(Duration::from_millis(10), endless).await.is_err());
        is_dropped.await.expect_err("nobody sends");
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_is_not_lost() {
        let _never = Aside::default().run(async { panic!("a bug") }).await;
    }
}
