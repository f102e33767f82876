//! The body of an answer, out of its framing: bytes in, where the body lies in them out. Pure.

use super::head::{Framing, Malformed};

/// Bytes of chunk sizes, extensions and trailers in all: with some 10 KiB of body nobody needs more.
const FRAMING_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one line of a chunk's size, and of the trailers.
const PART_BYTES_MAX: usize = 4 * 1024;
/// Fields of the trailers.
const TRAILERS_MAX: usize = 100;
const NEW_LINE: &[u8] = b"\r\n";

#[derive(Debug)]
pub(super) struct Body {
    state: State,
    /// Bytes of framing so far.
    framing: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes, and the body ends.
    Length(u64),
    UntilClose,
    ChunkSize,
    /// So many bytes of the chunk.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    End,
}

/// What comes next in the bytes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes of the body, one or more.
    Data(usize),
    /// So many bytes around it.
    Framing(usize),
    /// Nothing before there are more bytes.
    Wait,
    End,
}

impl Body {
    pub(super) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, framing: 0 }
    }

    /// Says what `bytes` begin with; those that are spoken of are not shown again.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Next, Malformed> {
        match &mut self.state {
            State::Length(0) | State::End => {
                self.state = State::End;
                Ok(Next::End)
            }
            _ if bytes.is_empty() => Ok(Next::Wait),
            State::Length(left) => Ok(Next::Data(part_of(left, bytes))),
            State::UntilClose => Ok(Next::Data(bytes.len())),
            State::Chunk(left) => {
                let part = part_of(left, bytes);
                if *left == 0 {
                    self.state = State::ChunkEnd;
                }
                Ok(Next::Data(part))
            }
            State::ChunkSize => match chunk_size(bytes)? {
                Some((line, 0)) => self.framed(line, State::Trailers),
                Some((line, size)) => self.framed(line, State::Chunk(size)),
                None => wait(bytes),
            },
            State::ChunkEnd if bytes.starts_with(NEW_LINE) => self.framed(NEW_LINE.len(), State::ChunkSize),
            State::ChunkEnd if NEW_LINE.starts_with(bytes) => Ok(Next::Wait),
            State::ChunkEnd => Err(Malformed::Chunk),
            State::Trailers => match end_of_trailers(bytes) {
                Some(end) if are_trailers(&bytes[..end])? => self.framed(end, State::End),
                Some(_) => Err(Malformed::Chunk),
                None => wait(bytes),
            },
        }
    }

    /// The connection has ended.
    pub(super) const fn close(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::UntilClose | State::End | State::Length(0) => {
                self.state = State::End;
                Ok(())
            }
            State::Length(_) | State::ChunkSize | State::Chunk(_) | State::ChunkEnd | State::Trailers => Err(Malformed::Cut),
        }
    }

    fn framed(&mut self, bytes: usize, then: State) -> Result<Next, Malformed> {
        self.state = then;
        self.framing += bytes;
        if self.framing > FRAMING_BYTES_MAX { Err(Malformed::LongFraming) } else { Ok(Next::Framing(bytes)) }
    }
}

/// The bytes of a chunk's first line, and the size in it; `None` where it goes on. What begins like none is refused at once.
fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, Malformed> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = match end {
        Some(end) => bytes[..end].strip_suffix(b"\r").ok_or(Malformed::Chunk)?,
        None => bytes.strip_suffix(b"\r").unwrap_or(bytes),
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let blanks = line[digits..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &line[digits + blanks..];
    if digits == 0 || line.contains(&b'\r') || !(extension.is_empty() || extension.starts_with(b";")) {
        return Err(Malformed::Chunk);
    }
    let mut size = 0_u64;
    for digit in line[..digits].iter().filter_map(|byte| char::from(*byte).to_digit(16)) {
        size = size.checked_mul(16).ok_or(Malformed::Chunk)? + u64::from(digit);
    }
    Ok(end.map(|end| (end + 1, size)))
}

/// Behind the empty line.
fn end_of_trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(NEW_LINE) {
        return Some(NEW_LINE.len());
    }
    bytes.windows(2 * NEW_LINE.len()).position(|end| end == b"\r\n\r\n").map(|at| at + 2 * NEW_LINE.len())
}

/// Whether these are trailers, and no more than there are lines: one that a mere LF ends would hide in another.
fn are_trailers(bytes: &[u8]) -> Result<bool, Malformed> {
    let lines = bytes.windows(NEW_LINE.len()).filter(|end| *end == NEW_LINE).count().saturating_sub(1);
    let mut room = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    Ok(httparse::parse_headers(bytes, &mut room[..lines.min(TRAILERS_MAX)])?.is_complete())
}

const fn wait(bytes: &[u8]) -> Result<Next, Malformed> {
    if bytes.len() >= PART_BYTES_MAX { Err(Malformed::LongFraming) } else { Ok(Next::Wait) }
}

/// Takes what of `bytes` is of the body; so many are left to come then.
fn part_of(left: &mut u64, bytes: &[u8]) -> usize {
    let part = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= part as u64;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body within `bytes`, which come `step` at a time before the connection ends.
    fn body(framing: Framing, bytes: &[u8], step: usize) -> Result<Vec<u8>, Malformed> {
        let (mut body, mut found) = (Body::new(framing), Vec::new());
        let (mut from, mut to) = (0, 0);
        loop {
            match body.next(&bytes[from..to])? {
                Next::Data(count) => {
                    found.extend_from_slice(&bytes[from..from + count]);
                    from += count;
                }
                Next::Framing(count) => from += count,
                Next::Wait if to == bytes.len() => body.close()?,
                Next::Wait => to = bytes.len().min(to + step),
                Next::End => return Ok(found),
            }
        }
    }

    fn check(framing: Framing, bytes: &str, expected: Option<&str>) {
        for step in [1, 2, 3, bytes.len().max(1)] {
            let found = body(framing, bytes.as_bytes(), step).ok();
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{framing:?}, {bytes:?}, {step} at a time");
        }
    }

    #[test]
    fn a_body_is_found_in_its_framing_however_it_arrives() {
        check(Framing::Length(5), "hello, and more", Some("hello"));
        check(Framing::Length(0), "no", Some(""));
        check(Framing::UntilClose, "all of it", Some("all of it"));
        check(Framing::Chunked, "5\r\nhello\r\nA ;x=\"y\"\r\n 123456789\r\n0\r\n\r\nrest", Some("hello 123456789"));
        check(Framing::Chunked, "00000000000000000002\r\nok\r\n0\r\n\r\n", Some("ok"));
        check(Framing::Chunked, "0000\r\nTrailer: x\r\n\r\n", Some(""));
    }

    #[test]
    fn what_is_cut_or_out_of_frame_is_no_body() {
        check(Framing::Length(5), "hell", None);
        for bytes in ["", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\nTrailer: x\r\n"] {
            check(Framing::Chunked, bytes, None);
        }
        for bytes in [
            "zz\r\n",
            "\r\n\r\n",
            ";x\r\n\r\n",
            "-1\r\n",
            "5\rhello",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "ffffffffffffffff1\r\n",
            "2;x\ny\r\nok\r\n",
        ] {
            check(Framing::Chunked, &format!("{bytes}{}", "0\r\n\r\n".repeat(9)), None);
        }
        check(Framing::Chunked, "0\r\nno colon\r\n\r\n", None);
        check(Framing::Chunked, "0\r\nX: one\nY: other\r\n\r\n", None);
    }

    #[test]
    fn framing_without_end_is_left() {
        let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(2 * PART_BYTES_MAX));
        assert!(matches!(body(Framing::Chunked, extension.as_bytes(), 100), Err(Malformed::LongFraming)));
        let chunks = "1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n".repeat(FRAMING_BYTES_MAX / 40);
        assert!(matches!(body(Framing::Chunked, chunks.as_bytes(), 100), Err(Malformed::LongFraming)));
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(TRAILERS_MAX + 1));
        assert!(body(Framing::Chunked, trailers.as_bytes(), 100).is_err());
    }
}
