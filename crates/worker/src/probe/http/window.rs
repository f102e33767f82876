//! The searched part of a body: its first 10,240 bytes.

use quorate_core::monitor::BODY_BYTES_MAX;

/// Bytes that are folded at once: folded they may be three times as many.
const PIECE_BYTES: usize = 1024;

/// Looks for a text in what arrives in chunks, ignoring case. Bytes that are no UTF-8 match nothing
/// but U+FFFD; a character or a match may lie across chunks.
#[derive(Debug)]
pub(super) struct Window<'a> {
    needle: &'a str,
    /// What arrived last, folded: no more than a match may still begin in.
    text: String,
    /// The beginning of a character whose end has not arrived.
    pending: Vec<u8>,
    /// Bytes of the body seen.
    seen: usize,
    found: bool,
    ended: bool,
}

impl<'a> Window<'a> {
    /// `needle` is folded.
    pub(super) fn new(needle: &'a str) -> Self {
        Self { needle, text: String::new(), pending: Vec::new(), seen: 0, found: needle.is_empty(), ended: false }
    }

    /// Whether more of the body would change nothing.
    pub(super) const fn is_decided(&self) -> bool {
        self.found || self.ended
    }

    pub(super) const fn found(&self) -> bool {
        self.found
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(BODY_BYTES_MAX - self.seen)];
        self.seen += bytes.len();
        for piece in bytes.chunks(PIECE_BYTES) {
            self.take(piece);
            self.search();
        }
        if self.seen == BODY_BYTES_MAX {
            self.end();
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        if !std::mem::take(&mut self.pending).is_empty() {
            self.text.push(char::REPLACEMENT_CHARACTER);
            self.search();
        }
        self.ended = true;
    }

    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, after) = rest.split_at(error.valid_up_to());
            self.text.push_str(&fold(&String::from_utf8_lossy(valid)));
            let Some(invalid) = error.error_len() else {
                self.pending = after.to_vec();
                return;
            };
            self.text.push(char::REPLACEMENT_CHARACTER);
            rest = &after[invalid..];
        }
        self.text.push_str(&fold(&String::from_utf8_lossy(rest)));
    }

    /// Searches what is there, and keeps as much of it as a match may begin in.
    fn search(&mut self) {
        self.found = self.found || self.text.contains(self.needle);
        let kept = self.text.floor_char_boundary(self.text.len().saturating_sub(self.needle.len()));
        self.text.drain(..kept);
    }
}

/// One case for all: each character's lower case, whatever stands around it.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(needle: &str, chunks: &[&[u8]]) -> bool {
        let needle = fold(needle);
        let mut window = Window::new(&needle);
        for chunk in chunks {
            if !window.is_decided() {
                window.push(chunk);
            }
        }
        if !window.is_decided() {
            window.end();
        }
        window.found()
    }

    #[test]
    fn a_match_ignores_case_and_the_borders_of_chunks() {
        assert!(found("All Is WELL", &[b"<p>all i", b"s we", b"ll</p>"]));
        assert!(found("ÄRGER", &["xä".as_bytes(), "rger".as_bytes()]));
        assert!(found("ÄRGER", &[b"x\xc3", b"\xa4rger"]), "a character in two halves");
        assert!(found("ΣΑΣ", &["σας".replace('ς', "σ").as_bytes()]), "no rule for the end of words");
        assert!(!found("well", &[b"we", b"-ll"]));
        assert!(found("b", &[b"\xff\xfeb"]), "bytes that are no text do not end the search");
        assert!(found("", &[]));
    }

    #[test]
    fn no_more_is_kept_than_a_match_may_begin_in() {
        let needle = "n".repeat(100);
        let mut window = Window::new(&needle);
        for _ in 0..5 {
            window.push(&[0xff; 2_000]);
            assert!(window.text.len() < needle.len() + char::REPLACEMENT_CHARACTER.len_utf8(), "{}", window.text.len());
            assert!(window.text.capacity() <= 8 * PIECE_BYTES, "{}", window.text.capacity());
        }
        assert!(!window.is_decided(), "240 bytes are left");
    }

    #[test]
    fn the_window_ends_with_byte_10240() {
        let filler = |bytes: usize| vec![b'.'; bytes];
        let last = [filler(BODY_BYTES_MAX - 2), b"ok".to_vec(), filler(9)].concat();
        assert!(found("OK", &[&last]));
        let beyond = [filler(BODY_BYTES_MAX - 1), b"ok".to_vec()].concat();
        assert!(!found("ok", &[&beyond]));
        assert!(!found("ok", &[&filler(BODY_BYTES_MAX), b"ok"]));
        assert!(found("\u{fffd}", &[&[filler(BODY_BYTES_MAX - 1), "é".as_bytes().to_vec()].concat()]), "a character cut by the window");
    }

    proptest! {
        /// However a body is cut into chunks, it is found exactly if it is found in one piece.
        #[test]
        fn chunks_change_nothing(body in "[aAbBäÄß\u{fffd}]{0,40}", needle in "[abä]{1,3}", cuts in proptest::collection::vec(0_usize..40, 0..6)) {
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(found(&needle, &chunks), fold(&body).contains(&needle));
        }
    }
}
