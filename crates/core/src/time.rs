//! The wall clock, as an argument. Waiting is tokio's; ordering of events is the database's.

use jiff::Timestamp;

/// Tells the time of day, for display only: no decision compares the clocks of two machines.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
