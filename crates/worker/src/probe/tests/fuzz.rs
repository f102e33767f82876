//! What strangers send, and then some: a target is given each file of its corpus as it is, and then
//! files with pieces changed, lost, doubled and mixed, for a second, or `QUORATE_FUZZ_MS`.
//!
//! Stable Rust has no coverage to be guided by, so the corpora say what is worth starting from: a
//! file for each branch of what is parsed. A failure is shrunk to the fewest edits; the input that is
//! printed belongs into the corpus. The targets are beside what they attack, in files named `fuzz.rs`.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Changes of one input.
const EDITS_MAX: usize = 8;
/// Inputs between two looks at the clock.
const BATCH: u32 = 256;

/// A change; places are taken modulo the length.
#[derive(Clone, Debug)]
enum Edit {
    Flip {
        at: u16,
        bit: u8,
    },
    Set {
        at: u16,
        byte: u8,
    },
    Insert {
        at: u16,
        byte: u8,
    },
    Remove {
        at: u16,
        bytes: u8,
    },
    /// A piece once more, behind itself.
    Double {
        at: u16,
        bytes: u8,
    },
    /// What follows is of another file.
    Cross {
        at: u16,
        file: u8,
    },
}

fn any_edit() -> impl Strategy<Value = Edit> {
    (0..6, any::<u16>(), any::<u8>()).prop_map(|(kind, at, byte)| match kind {
        0 => Edit::Flip { at, bit: byte % 8 },
        1 => Edit::Set { at, byte },
        2 => Edit::Insert { at, byte },
        3 => Edit::Remove { at, bytes: byte },
        4 => Edit::Double { at, bytes: byte },
        _ => Edit::Cross { at, file: byte },
    })
}

/// Attacks `target` with the corpus `crates/worker/fuzz/<name>`.
pub(in crate::probe) fn attack(name: &str, target: impl Fn(&[u8])) {
    let corpus = corpus(name);
    for file in &corpus {
        target(file);
    }
    let lasts = std::env::var("QUORATE_FUZZ_MS").map_or(1_000, |text| text.parse().expect("QUORATE_FUZZ_MS holds milliseconds"));
    let end = Instant::now() + Duration::from_millis(lasts);
    let mut runner = TestRunner::new(Config { cases: BATCH, failure_persistence: None, ..Config::default() });
    let inputs = (0..corpus.len(), vec(any_edit(), 1..=EDITS_MAX)).prop_map(|(file, edits)| edited(&corpus, file, &edits));
    while Instant::now() < end {
        let outcome = runner.run(&inputs, |bytes| {
            target(&bytes);
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{name}: {failure}");
        }
    }
}

pub(in crate::probe) fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name);
    let read = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = read.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

fn edited(corpus: &[Vec<u8>], file: usize, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = corpus[file].clone();
    for edit in edits {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        let piece = |at: u16, length: u8| place(at)..bytes.len().min(place(at) + usize::from(length));
        match *edit {
            Edit::Flip { at, bit } => {
                let place = place(at);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
            Edit::Set { at, byte } => {
                let place = place(at);
                bytes.iter_mut().skip(place).take(1).for_each(|old| *old = byte);
            }
            Edit::Insert { at, byte } => bytes.insert(place(at), byte),
            Edit::Remove { at, bytes: length } => {
                bytes.drain(piece(at, length));
            }
            Edit::Double { at, bytes: length } => {
                let piece = piece(at, length);
                let doubled = bytes[piece.clone()].to_vec();
                bytes.splice(piece.end..piece.end, doubled);
            }
            Edit::Cross { at, file } => {
                let other = &corpus[usize::from(file) % corpus.len()];
                let place = place(at);
                bytes.truncate(place);
                bytes.extend_from_slice(&other[place.min(other.len())..]);
            }
        }
    }
    bytes
}
