//! Waiting for a condition, with a deadline and the last thing seen. Nothing here sleeps and hopes.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks: short beside every timing of the product, long beside a look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` answers `Ok`, and gives what it found. `Err` says what it saw instead.
///
/// # Panics
/// When `limit` has passed, with the last thing seen.
pub async fn until<T>(claim: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let seen = match look().await {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "not within {limit:?}: {claim}\nlast seen: {seen}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// For [`until`]: the claim holds, or what was seen instead.
pub fn holds(holds: bool, seen: impl std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{seen:#?}")) }
}
