//! All verdicts of 100,000 checks × 39 votes from scratch, on one core, through the rule that runs in
//! production. Goal: at most 5 ms. `cargo bench --package quorate-core`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::pop::PopNo;
use quorate_core::quorum::{Ballots, Guards, decide, tally};
use quorate_core::region::Region;
use quorate_core::vote::{Verdict, VoteState};

const CHECKS: usize = 100_000;
const PER_REGION: u16 = 3;

fn electorate() -> Electorate {
    let mut numbers = (0..).map(PopNo);
    let seats = |region| RegionSeats::new(Some(region), numbers.by_ref().take(PER_REGION.into()).collect());
    Electorate::new(Region::ALL.into_iter().map(seats).collect())
}

/// Votes of every check, of which `down` in a hundred are Down and as many missing.
fn votes(seats: usize, down: u64) -> Vec<Ballots> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        // xorshift: the same votes in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 100
    };
    let mut ballots = || {
        let mut ballots = Ballots::missing(seats);
        for seat in 0..seats {
            let vote = match draw() {
                drawn if drawn < down => VoteState::Down,
                drawn if drawn < 2 * down => VoteState::Unknown,
                _ => VoteState::Up,
            };
            ballots.set(seat, vote);
        }
        ballots
    };
    (0..CHECKS).map(|_| ballots()).collect()
}

fn verdicts(c: &mut Criterion) {
    let electorate = electorate();
    let mut group = c.benchmark_group("verdicts of 100000 x 39");
    group.throughput(Throughput::Elements(CHECKS as u64));
    for down in [0, 5, 40] {
        let votes = votes(electorate.seats(), down);
        group.bench_with_input(BenchmarkId::new("decide", format!("{down} % down")), &votes, |b, votes| {
            b.iter(|| {
                let down = votes.iter().filter(|ballots| decide(Guards::ALL, &electorate, ballots) == Some(Verdict::Down));
                black_box(down.count())
            });
        });
        group.bench_with_input(BenchmarkId::new("tally, with the evidence", format!("{down} % down")), &votes, |b, votes| {
            b.iter(|| black_box(votes.iter().filter(|ballots| tally(&electorate, ballots).quorum_lost()).count()));
        });
    }
    group.finish();
}

criterion_group!(benches, verdicts);
criterion_main!(benches);
