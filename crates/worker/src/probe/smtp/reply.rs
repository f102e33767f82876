//! Replies of a mail server: one or more lines of one code, `250-` until the last, which is `250 `.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Bytes of one reply; RFC 5321 gives a line 512, and a greeting has seldom more than ten.
const REPLY_BYTES_MAX: usize = 8 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 1024;

/// Reads replies from a stream.
#[derive(Debug)]
pub(super) struct Replies<S>(BufReader<S>);

impl<S: AsyncRead + Unpin> Replies<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::with_capacity(READ_BYTES, stream))
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        self.0.get_mut()
    }

    /// The code of the next reply.
    ///
    /// # Errors
    /// `InvalidData` for what is no reply or too long for one, `UnexpectedEof`, or the stream's.
    pub(super) async fn next(&mut self) -> io::Result<u16> {
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidData, text);
        let mut code = None;
        let mut room = REPLY_BYTES_MAX;
        loop {
            let mut line = Vec::new();
            (&mut self.0).take(room as u64).read_until(b'\n', &mut line).await?;
            if line.len() == room {
                return Err(invalid("a reply is too long"));
            }
            room -= line.len();
            let line = line.strip_suffix(b"\n").ok_or(io::ErrorKind::UnexpectedEof)?;
            let (told, is_last) = parse(line.strip_suffix(b"\r").unwrap_or(line)).ok_or_else(|| invalid("not a reply of SMTP"))?;
            if code.is_some_and(|code| code != told) {
                return Err(invalid("a reply with two codes"));
            }
            if is_last {
                return Ok(told);
            }
            code = Some(told);
        }
    }
}

/// Code, and whether it is the reply's last line: `220 text`, `220-text`, or `220` alone.
fn parse(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
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

    /// The codes in `bytes`, and what ends them.
    async fn check(bytes: &str, codes: &[u16], end: &str) {
        let mut replies = Replies::new(bytes.as_bytes());
        for code in codes {
            assert_eq!(replies.next().await.expect("a reply"), *code, "{bytes:?}");
        }
        assert_eq!(replies.next().await.expect_err("no reply").to_string(), end, "{bytes:?}");
    }

    #[tokio::test]
    async fn a_reply_ends_with_its_last_line() {
        let eof = "unexpected end of file";
        check("220 mail.example ESMTP\r\n250 more", &[220], eof).await;
        check("250-mail.example\r\n250-SIZE\r\n250 OK\r\n221\n", &[250, 221], eof).await;
        for part in ["", "2", "220", "220 mail", "250-a\r\n", "250-a\r\n250 b\r"] {
            check(part, &[], eof).await;
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_is_refused_as_soon_as_its_line_is_read() {
        for bytes in ["HTTP/1.1 400 Bad\r\n", "SSH-2.0-x\r\n", "\r\n", "22\r\n", "2200 x\r\n", "120 x\r\n", "620 x\r\n", "250-a\r\nx\r\n"] {
            check(bytes, &[], "not a reply of SMTP").await;
        }
        check("250-a\r\n251 b\r\n", &[], "a reply with two codes").await;
    }

    #[tokio::test]
    async fn a_reply_that_never_ends_is_left_where_it_is_too_long() {
        check(&"250-x\r\n".repeat(10_000), &[], "a reply is too long").await;
        check(&"2".repeat(10_000), &[], "a reply is too long").await;
        check(&format!("220 {}\r\n", "x".repeat(REPLY_BYTES_MAX - 7)), &[220], "unexpected end of file").await;
    }
}
