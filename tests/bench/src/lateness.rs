//! How late probes are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::farm::Book;
use crate::worker::LATENESS_BUCKETS_SECONDS;

/// How late each probe came, in milliseconds, sorted: an origin's schedule is its interval, counted
/// from the phase that its earliest probe had. So nobody is late who is late by the same time always.
pub(crate) fn lateness_ms(book: &Book, interval: Duration) -> Vec<f64> {
    let mut by_origin: HashMap<IpAddr, Vec<Instant>> = HashMap::new();
    for (origin, at) in book {
        by_origin.entry(*origin).or_default().push(*at);
    }
    let interval_ms = interval.as_secs_f64() * 1_000.0;
    let mut late = Vec::with_capacity(book.len());
    for arrivals in by_origin.values() {
        let off = |at: &Instant| {
            let since = (*at - arrivals[0]).as_secs_f64() * 1_000.0;
            since - (since / interval_ms).round() * interval_ms
        };
        let earliest = arrivals.iter().map(off).fold(f64::INFINITY, f64::min);
        late.extend(arrivals.iter().map(|at| off(at) - earliest));
    }
    late.sort_by(f64::total_cmp);
    late
}

/// The bucket in which `percent` of the probes are, by its upper end in milliseconds; infinite for those
/// beyond the last. `before` and `after` are counts as the worker tells them, of all that were no later.
pub(crate) fn bucket_ms(before: &str, after: &str, percent: u64) -> Option<f64> {
    let counts = |told: &str| told.split_whitespace().map(str::parse::<u64>).collect::<Result<Vec<u64>, _>>().ok();
    let (before, after) = (counts(before)?, counts(after)?);
    let within: Vec<u64> = after.iter().zip(before.iter().chain(std::iter::repeat(&0))).map(|(after, before)| after - before).collect();
    let all = *within.last().filter(|all| **all > 0)?;
    let place = within.iter().position(|count| count * 100 >= all * percent)?;
    Some(LATENESS_BUCKETS_SECONDS.get(place).map_or(f64::INFINITY, |seconds| seconds * 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_phase_of_its_earliest_probe() {
        let (now, interval) = (Instant::now(), Duration::from_secs(1));
        let at = |ms: u64| now + Duration::from_millis(ms);
        let (one, other) = (IpAddr::from([127, 1, 0, 1]), IpAddr::from([127, 1, 0, 2]));
        let book = [(one, at(0)), (other, at(300)), (one, at(1_000)), (other, at(1_300)), (one, at(2_020))];
        let late: Vec<String> = lateness_ms(&book.to_vec(), interval).iter().map(|late| format!("{late:.1}")).collect();
        assert_eq!(late, ["0.0", "0.0", "0.0", "0.0", "20.0"]);
    }

    #[test]
    fn the_worker_tells_its_lateness_in_buckets() {
        let before = "0 0 10 10 10 10 10 10 10 10 10";
        assert_eq!(bucket_ms(before, "0 60 70 110 110 110 110 110 110 110 111", 50), Some(1.0));
        assert_eq!(bucket_ms(before, "0 60 70 110 110 110 110 110 110 110 111", 99), Some(2.0));
        assert_eq!(bucket_ms("", "0 0 0 0 0 0 0 0 0 0 1", 50), Some(f64::INFINITY));
        assert_eq!(bucket_ms(before, before, 50), None);
    }
}
