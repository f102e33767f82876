//! Replies of a mail server: one or more lines of one code, `250-` until the last, which is `250 `.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of one reply; RFC 5321 gives a line 512, and a greeting has seldom more than ten.
const REPLY_BYTES_MAX: usize = 8 * 1024;

/// Reads replies from a stream.
#[derive(Debug)]
pub(super) struct Replies<S> {
    stream: S,
    /// What was read and belongs to no reply yet.
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Replies<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(super) const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The code of the next reply.
    ///
    /// # Errors
    /// `InvalidData` for what is no reply or too long for one, `UnexpectedEof`, or the stream's.
    pub(super) async fn next(&mut self) -> io::Result<u16> {
        loop {
            if let Some((bytes, code)) = parse(&self.buffer)? {
                self.buffer.drain(..bytes);
                return Ok(code);
            }
            if self.buffer.len() >= REPLY_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply is too long"));
            }
            let room = REPLY_BYTES_MAX - self.buffer.len();
            if (&mut self.stream).take(room as u64).read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The first reply, if it is whole: its length and its code.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, u16)>> {
    let mut code = None;
    let mut at = 0;
    while let Some(line) = bytes[at..].split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n")) {
        at += line.len();
        let (told, is_last) = parse_line(line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a reply of SMTP"))?;
        if code.is_some_and(|code| code != told) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply with two codes"));
        }
        if is_last {
            return Ok(Some((at, told)));
        }
        code = Some(told);
    }
    Ok(None)
}

/// Code, and whether it is the reply's last line: `220 text`, `220-text`, or `220` alone.
fn parse_line(line: &[u8]) -> Option<(u16, bool)> {
    let line = line.strip_suffix(b"\n")?;
    let (digits, rest) = line.strip_suffix(b"\r").unwrap_or(line).split_first_chunk::<3>()?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits[0], b'2'..=b'5') {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.first() {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Result<Option<(usize, u16)>, &str>) {
        assert_eq!(parse(bytes.as_bytes()).map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn a_reply_ends_with_its_last_line() {
        check("220 mail.example ESMTP\r\n", Ok(Some((24, 220))));
        check("220 mail.example ESMTP\r\n250 more", Ok(Some((24, 220))));
        check("250-mail.example\r\n250-SIZE\r\n250 OK\r\n", Ok(Some((36, 250))));
        check("221\n", Ok(Some((4, 221))));
        for part in ["", "2", "220", "220 mail", "250-a\r\n", "250-a\r\n250 b\r"] {
            check(part, Ok(None));
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_as_soon_as_its_line_is_read() {
        for bytes in
            ["HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-x\r\n", "\r\n", "22\r\n", "2200 x\r\n", "120 x\r\n", "620 x\r\n", "250-a\r\nx\r\n"]
        {
            check(bytes, Err("not a reply of SMTP"));
        }
        check("250-a\r\n251 b\r\n", Err("a reply with two codes"));
    }

    #[tokio::test]
    async fn a_reply_that_never_ends_is_left_where_it_is_too_long() {
        let endless = "250-x\r\n".repeat(10_000);
        let mut replies = Replies::new(endless.as_bytes());
        assert_eq!(replies.next().await.map_err(|error| error.kind()), Err(io::ErrorKind::InvalidData));
        assert!(replies.buffer.len() <= REPLY_BYTES_MAX);
    }
}
