//! Rounds and deltas: the whole state again and again, what changed at once, and the detail of a
//! sixteenth of the checks each time. The bytes of a round say nothing of how many origins are down.

use std::collections::BTreeMap;

use quorate_core::bucket::Bucket;
use quorate_proto::convert::WINDOW_ENTRY_BYTES;
use quorate_proto::v1::{DetailWindow, Round, RoundChunk};
use tokio::time::Instant;

use crate::board::Board;

/// Every position's detail is sent within this many rounds.
pub(crate) const DETAIL_ROUNDS: usize = 16;
/// Bytes of a round or a delta, also where control names a higher bound: control reads messages of
/// 256 KiB, and the rest is slack for what is around it.
pub(crate) const MESSAGE_BYTES_MAX: usize = (256 - 4) * 1024;
/// Bytes that an entry of a delta takes, at most.
pub(crate) const CHANGE_BYTES_MAX: usize = 64;
/// Bytes that a chunk or a window takes beside its bits or entries, at most.
const OVERHEAD_BYTES: usize = 40;

/// What one session has told so far.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    /// The manifest version under which each bucket was last told in full.
    told: BTreeMap<Bucket, u64>,
    /// Where the next window of detail begins.
    cursor: Option<(Bucket, usize)>,
}

impl Reporter {
    /// The next regular round: every state, and the next window of detail. More than one message
    /// where it does not fit; never none, since it is also the sign of life.
    pub(crate) fn round(&mut self, board: &Board, serves: impl Fn(Bucket) -> bool, bytes_max: usize, now: Instant) -> Vec<Round> {
        let sizes: Vec<(Bucket, usize)> =
            board.buckets().filter(|bucket| serves(*bucket)).filter_map(|bucket| Some((bucket, board.held(bucket)?.1))).collect();
        let mut pages = Pages::new(bytes_max);
        for (bucket, _) in &sizes {
            pages.chunk(board, *bucket, now);
        }
        let positions: usize = sizes.iter().map(|(_, count)| count).sum();
        for (bucket, from, count) in self.turn(&sizes, positions.div_ceil(DETAIL_ROUNDS)) {
            pages.window(board, bucket, from, count, now);
        }
        pages.finish()
    }

    /// Everything of the buckets that this session has not told under the version now held; none
    /// where there is nothing new.
    pub(crate) fn untold(&mut self, board: &Board, serves: impl Fn(Bucket) -> bool, bytes_max: usize, now: Instant) -> Vec<Round> {
        let mut pages = Pages::new(bytes_max);
        let mut told = BTreeMap::new();
        for bucket in board.buckets().filter(|bucket| serves(*bucket)) {
            let Some((held, count)) = board.held(bucket) else { continue };
            if self.told.get(&bucket) != Some(&held.version) {
                pages.chunk(board, bucket, now);
                pages.window(board, bucket, 0, count, now);
            }
            told.insert(bucket, held.version);
        }
        // A bucket that was served, was not, and is again, is told again.
        self.told = told;
        if pages.is_empty() { Vec::new() } else { pages.finish() }
    }

    /// The next `count` positions in order of bucket, round and round.
    fn turn(&mut self, sizes: &[(Bucket, usize)], count: usize) -> Vec<(Bucket, usize, usize)> {
        let mut windows = Vec::new();
        let start = self.cursor.map_or(0, |(bucket, _)| sizes.partition_point(|(other, _)| *other < bucket));
        let mut left = count;
        for (bucket, positions) in sizes.iter().cycle().skip(start).take(2 * sizes.len()) {
            let from = self.cursor.filter(|(at, _)| at == bucket).map_or(0, |(_, from)| from);
            let taken = left.min(positions.saturating_sub(from));
            if taken > 0 {
                windows.push((*bucket, from, taken));
            }
            left -= taken;
            self.cursor = Some((*bucket, from + taken));
            if left == 0 {
                break;
            }
            // The next bucket is read from its beginning, this one too when it comes again.
            self.cursor = None;
        }
        windows
    }
}

/// A round in as many messages as its size needs.
#[derive(Debug)]
struct Pages {
    bytes_max: usize,
    bytes: usize,
    current: Round,
    done: Vec<Round>,
}

impl Pages {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.max(2 * OVERHEAD_BYTES), bytes: 0, current: Round::default(), done: Vec::new() }
    }

    fn chunk(&mut self, board: &Board, bucket: Bucket, now: Instant) {
        if let Some(chunk) = board.chunk(bucket, now) {
            let chunk = RoundChunk::from(&chunk);
            self.make_room(chunk.bits.len() + OVERHEAD_BYTES);
            self.current.chunks.push(chunk);
        }
    }

    fn window(&mut self, board: &Board, bucket: Bucket, from: usize, count: usize, now: Instant) {
        let a_page = (self.bytes_max - OVERHEAD_BYTES) / WINDOW_ENTRY_BYTES;
        for from_here in (from..from + count).step_by(a_page) {
            let count_here = a_page.min(from + count - from_here);
            if let Some(window) = board.window(bucket, from_here, count_here, now) {
                self.make_room(window.details.len() * WINDOW_ENTRY_BYTES + OVERHEAD_BYTES);
                self.current.detail.push(DetailWindow::from(&window));
            }
        }
    }

    fn make_room(&mut self, bytes: usize) {
        if self.bytes > 0 && self.bytes + bytes > self.bytes_max {
            self.done.push(std::mem::take(&mut self.current));
            self.bytes = 0;
        }
        self.bytes += bytes;
    }

    const fn is_empty(&self) -> bool {
        self.bytes == 0 && self.done.is_empty()
    }

    fn finish(mut self) -> Vec<Round> {
        self.done.push(self.current);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use quorate_core::check::Check;
    use quorate_core::failure::FailureReason;
    use quorate_core::vote::VoteState;
    use quorate_proto::convert::{Chunk, Window};

    use super::*;
    use crate::board::tests::{BUCKET, board, check, finish, hold, outcome};
    use crate::manifest::Manifest;
    use crate::manifest::tests::whole;
    use crate::probe::Finding;

    /// 1,000 checks in four buckets of different sizes.
    fn thousand(now: Instant) -> (Board, Vec<Check>) {
        let mut board = board(now);
        let checks: Vec<Check> = (1..=1_000).map(check).collect();
        for (bucket, range) in [(3, 0..10), (4, 10..11), (5, 11..500), (900, 500..1_000)] {
            let manifest = Manifest::apply(None, &whole(bucket.into(), 7, &checks[range])).expect("whole");
            board.adopt(Bucket::new(bucket).expect("below 1024"), manifest, now);
        }
        (board, checks)
    }

    fn bytes_of_a_round(finding: Finding) -> (usize, usize) {
        let now = Instant::now();
        let (mut board, checks) = thousand(now);
        for check in &checks {
            finish(&mut board, check, &outcome(finding), now, now);
        }
        let mut rounds = Reporter::default().round(&board, |_| true, MESSAGE_BYTES_MAX, now);
        assert_eq!(rounds.len(), 1);
        let mut round = rounds.remove(0);
        round.seq = 77;
        let down = round.chunks.iter().flat_map(|chunk| {
            let chunk = Chunk::try_from(chunk.clone()).expect("well formed");
            let count = board.held(chunk.bucket).expect("held").1;
            chunk.states(count).expect("of this size").collect::<Vec<_>>()
        });
        (round.encoded_len(), down.filter(|state| *state == VoteState::Down).count())
    }

    #[test]
    fn a_round_has_the_same_bytes_with_0_and_with_100_percent_down() {
        let (all_up, none) = bytes_of_a_round(Finding::Passed);
        let (all_down, thousand) = bytes_of_a_round(Finding::Failed(FailureReason::ResponseCodeMismatch));
        println!("bytes of a round at 1,000 checks: {all_up} with 0 % down, {all_down} with 100 % down");
        assert_eq!((none, thousand), (0, 1_000));
        assert_eq!(all_up, all_down);
    }

    #[test]
    fn the_detail_of_every_check_is_sent_within_16_rounds_in_windows_of_one_size() {
        let now = Instant::now();
        let (board, _) = thousand(now);
        let mut reporter = Reporter::default();
        let mut seen = std::collections::BTreeSet::new();
        for turn in 0..3 * DETAIL_ROUNDS {
            let rounds = reporter.round(&board, |_| true, MESSAGE_BYTES_MAX, now);
            let windows: Vec<Window> =
                rounds[0].detail.iter().map(|window| Window::try_from(window.clone()).expect("well formed")).collect();
            assert_eq!(windows.iter().map(|window| window.details.len()).sum::<usize>(), 63, "turn {turn}");
            for window in windows {
                let from = window.from as usize;
                seen.extend((from..from + window.details.len()).map(|position| (window.bucket, position)));
            }
            if turn % DETAIL_ROUNDS == DETAIL_ROUNDS - 1 {
                assert_eq!(std::mem::take(&mut seen).len(), 1_000);
            }
        }
    }

    #[test]
    fn a_session_tells_everything_first_and_then_only_what_is_new() {
        let now = Instant::now();
        let mut board = board(now);
        let mut reporter = Reporter::default();
        assert!(reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now).is_empty());
        assert_eq!(reporter.round(&board, |_| true, MESSAGE_BYTES_MAX, now), [Round::default()], "a sign of life");
        hold(&mut board, 1, &[check(1), check(2)], now);
        let first = reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now);
        assert_eq!((first.len(), first[0].chunks.len(), first[0].detail[0].entries.len()), (1, 1, 16));
        assert!(reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now).is_empty());
        hold(&mut board, 2, &[check(1)], now);
        assert_eq!(reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now)[0].chunks[0].manifest_version, 2);
        assert!(reporter.untold(&board, |bucket| bucket != BUCKET, MESSAGE_BYTES_MAX, now).is_empty());
        assert_eq!(reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now).len(), 1, "served again, told again");
    }

    #[test]
    fn no_message_of_40_000_checks_is_over_its_bound() {
        let now = Instant::now();
        let mut board = board(now);
        let checks: Vec<Check> = (1..=40_000).map(check).collect();
        for (bucket, part) in (0..).zip(checks.chunks(100)) {
            let manifest = Manifest::apply(None, &whole(bucket, 7, part)).expect("whole");
            board.adopt(Bucket::new(u16::try_from(bucket).expect("small")).expect("below 1024"), manifest, now);
        }
        let mut reporter = Reporter::default();
        let mut rounds = reporter.untold(&board, |_| true, MESSAGE_BYTES_MAX, now);
        assert!(rounds.len() > 1, "320 KB of detail");
        rounds.extend(reporter.round(&board, |_| true, MESSAGE_BYTES_MAX, now));
        assert!(rounds.iter().all(|round| round.encoded_len() <= MESSAGE_BYTES_MAX));
    }

    #[test]
    fn what_does_not_fit_one_message_goes_in_several() {
        let now = Instant::now();
        let (board, _) = thousand(now);
        let rounds = Reporter::default().untold(&board, |_| true, 1_000, now);
        assert!(rounds.len() > 8);
        assert!(rounds.iter().all(|round| round.encoded_len() <= 1_000));
        assert_eq!(rounds.iter().map(|round| round.chunks.len()).sum::<usize>(), 4);
        let entries: usize = rounds.iter().flat_map(|round| &round.detail).map(|window| window.entries.len() / WINDOW_ENTRY_BYTES).sum();
        assert_eq!(entries, 1_000);
    }
}
