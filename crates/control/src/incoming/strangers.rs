//! Connections on which no worker has proved yet who it is. They have a time to do so, and they are
//! few: where one more comes, the oldest makes room for it. So whoever connects and says nothing, in
//! whatever number and at whatever stage, keeps no worker out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Strangers at once.
const STRANGERS_MAX: usize = 512;
/// A stranger makes room for another after this long at the earliest: when every worker comes back
/// together, each is given the time that it needs.
const GRACE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// By number, which is the order in which they came.
    present: Mutex<Present>,
    /// Rings when one is a stranger no more.
    left: Notify,
}

#[derive(Debug, Default)]
struct Present {
    last: u64,
    by_number: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// Somebody who was let in, a stranger at first.
#[derive(Debug)]
pub(super) struct Guest {
    standing: Standing,
    introduction: Duration,
    dismissed: Option<Dismissal>,
}

/// Completes when the guest has to go.
struct Dismissal(Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Dismissal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dismissal(..)")
    }
}

/// What the server knows of the guest of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Standing(Arc<Place>);

#[derive(Debug)]
struct Place {
    number: u64,
    strangers: Arc<Strangers>,
    gone: CancellationToken,
    introduced: AtomicBool,
}

impl Strangers {
    fn present(&self) -> MutexGuard<'_, Present> {
        // Nobody panics between two writes that belong together.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for one more, and keeps it.
    pub(super) async fn admit(strangers: &Arc<Self>, introduction: Duration) -> Guest {
        loop {
            let left = strangers.left.notified();
            let oldest_may_go_at = {
                let mut present = strangers.present();
                match present.by_number.first_key_value() {
                    Some((_, (came, _))) if present.by_number.len() >= STRANGERS_MAX && came.elapsed() < GRACE => *came + GRACE,
                    oldest => {
                        if let Some((number, _)) = oldest.filter(|_| present.by_number.len() >= STRANGERS_MAX) {
                            let number = *number;
                            if let Some((_, gone)) = present.by_number.remove(&number) {
                                gone.cancel();
                            }
                        }
                        present.last += 1;
                        let (number, gone) = (present.last, CancellationToken::new());
                        present.by_number.insert(number, (Instant::now(), gone.clone()));
                        drop(present);
                        let place = Place { number, strangers: Arc::clone(strangers), gone, introduced: AtomicBool::new(false) };
                        return Guest { standing: Standing(Arc::new(place)), introduction, dismissed: None };
                    }
                }
            };
            tokio::select! {
                () = left => {}
                () = sleep_until(oldest_may_go_at) => {}
            }
        }
    }

    fn leaves(&self, number: u64) {
        if self.present().by_number.remove(&number).is_some() {
            self.left.notify_one();
        }
    }
}

impl Guest {
    /// The place was kept for somebody, who has come now.
    pub(super) fn arrived(&mut self) {
        if let Some((came, _)) = self.standing.0.strangers.present().by_number.get_mut(&self.standing.0.number) {
            *came = Instant::now();
        }
        let (gone, introduction) = (self.standing.0.gone.clone(), self.introduction);
        self.dismissed = Some(Dismissal(Box::pin(async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = sleep(introduction) => {}
            }
        })));
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Whether it has to go; who has introduced itself may stay.
    pub(super) fn poll_dismissed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.standing.0.introduced.load(Ordering::Relaxed) {
            self.dismissed = None;
        }
        match &mut self.dismissed {
            Some(dismissed) => dismissed.0.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Waits until it has to go.
    pub(super) async fn dismissed(&mut self) {
        std::future::poll_fn(|cx| self.poll_dismissed(cx)).await;
    }
}

impl Standing {
    /// A worker has proved on this connection who it is.
    pub(crate) fn introduced(&self) {
        self.0.introduced.store(true, Ordering::Relaxed);
        self.0.strangers.leaves(self.0.number);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.standing.0.strangers.leaves(self.standing.0.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTRODUCTION: Duration = Duration::from_secs(15);

    async fn arrives(strangers: &Arc<Strangers>) -> Guest {
        let mut guest = Strangers::admit(strangers, INTRODUCTION).await;
        guest.arrived();
        guest
    }

    fn has_to_go(guest: &mut Guest) -> bool {
        guest.poll_dismissed(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_has_its_time_and_a_known_one_stays() {
        let strangers = Arc::default();
        let (mut stranger, mut known) = (arrives(&strangers).await, arrives(&strangers).await);
        known.standing().introduced();
        tokio::time::advance(INTRODUCTION / 2).await;
        assert!(!has_to_go(&mut stranger));
        tokio::time::timeout(INTRODUCTION, stranger.dismissed()).await.expect("its time is over");
        tokio::time::advance(INTRODUCTION).await;
        assert!(!has_to_go(&mut known));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_but_not_in_its_first_second() {
        let strangers = Arc::default();
        let mut guests = Vec::new();
        for _ in 0..STRANGERS_MAX {
            guests.push(arrives(&strangers).await);
        }
        let begun = Instant::now();
        let late = arrives(&strangers).await;
        assert_eq!(begun.elapsed(), GRACE);
        let dismissed: Vec<usize> = (0..guests.len()).filter(|index| has_to_go(&mut guests[*index])).collect();
        assert_eq!(dismissed, [0]);
        // Where one proves who it is, nobody has to go.
        guests[1].standing().introduced();
        let later = arrives(&strangers).await;
        assert!(guests.iter_mut().skip(1).all(|guest| !has_to_go(guest)));
        assert_eq!(strangers.present().by_number.len(), STRANGERS_MAX);
        drop((guests, late, later));
        assert!(strangers.present().by_number.is_empty());
    }
}
