//! The head of an answer: bytes in, what a probe must know of it out. Pure.

use std::mem::MaybeUninit;

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

use super::hop::LOCATION_BYTES_MAX;

/// Headers of an answer.
const HEADERS_MAX: usize = 100;
/// A body that is said to be longer, some 16 EiB, is none to other readers either: hyper keeps the two numbers above for itself.
const LENGTH_BYTES_MAX: u64 = u64::MAX - 2;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// The first one.
    pub(super) location: Option<HeaderValue>,
    pub(super) framing: Framing,
    /// Its own, up to the body.
    pub(super) bytes: usize,
}

/// Where the body ends. RFC 9112, 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Why an answer is no HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("its head cannot be read")]
    Head(#[from] httparse::Error),
    #[error("its status is not of HTTP")]
    Status,
    #[error("its head is too long")]
    LongHead,
    #[error("its length is not one number")]
    Length,
    #[error("HTTP/1.0 knows no transfer coding")]
    Coding,
    #[error("its chunks cannot be told apart")]
    Chunk,
    #[error("there is too much beside its chunks")]
    LongFraming,
    #[error("it ends early")]
    Cut,
}

impl Head {
    /// Reads a head from the beginning of `bytes`; `None` where it goes on.
    pub(super) fn parse(bytes: &[u8], method: &Method) -> Result<Option<Self>, Malformed> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers)?;
        let Status::Complete(bytes) = parsed else { return Ok(None) };
        let (Some(code), Some(version)) = (response.code, response.version) else { return Err(Malformed::Status) };
        let status = StatusCode::from_u16(code).map_err(|_| Malformed::Status)?;
        // Of one that is too long only so much that it still is.
        let kept = |value: &[u8]| HeaderValue::from_bytes(&value[..value.len().min(LOCATION_BYTES_MAX + 1)]).ok();
        let location = values(response.headers, &LOCATION).next().and_then(kept);
        let framing = match status {
            // What comes after 101 is no HTTP any more, and nobody has asked for it.
            _ if method == Method::HEAD || status.is_informational() => Framing::Length(0),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
            _ => framing(response.headers, version)?,
        };
        Ok(Some(Self { status, location, framing, bytes }))
    }

    /// Whether the answer proper is still to come. 101 is one: there is nothing behind it.
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }
}

fn values<'a>(headers: &'a [Header<'a>], name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name.as_str())).map(|header| header.value)
}

fn framing(headers: &[Header<'_>], version: u8) -> Result<Framing, Malformed> {
    if let Some(codings) = values(headers, &TRANSFER_ENCODING).next_back() {
        let last = codings.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        return match version {
            0 => Err(Malformed::Coding),
            // What is no text names no coding.
            _ if codings.is_ascii() && last.trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            _ => Ok(Framing::UntilClose),
        };
    }
    let mut length = None;
    for told in values(headers, &CONTENT_LENGTH).flat_map(|value| value.split(|byte| *byte == b',')) {
        let told = number(told.trim_ascii()).filter(|bytes| *bytes <= LENGTH_BYTES_MAX).ok_or(Malformed::Length)?;
        if *length.get_or_insert(told) != told {
            return Err(Malformed::Length);
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Digits and nothing else: no sign, no spaces.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_of(head: &str) -> Option<Framing> {
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nbody");
        let head = Head::parse(text.as_bytes(), &Method::GET).ok()?.expect("a whole head");
        assert_eq!(&text[head.bytes..], "body");
        Some(head.framing)
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        assert_eq!(framing_of("X: y"), Some(Framing::UntilClose));
        assert_eq!(framing_of("content-length:  12 "), Some(Framing::Length(12)));
        assert_eq!(framing_of("Content-Length: 3, 3\r\nContent-Length: 3"), Some(Framing::Length(3)));
        assert_eq!(framing_of("Content-Length: 18446744073709551613"), Some(Framing::Length(LENGTH_BYTES_MAX)));
        assert_eq!(framing_of("Transfer-Encoding: gzip\r\nTransfer-Encoding: gzip , Chunked"), Some(Framing::Chunked));
        assert_eq!(framing_of("Transfer-Encoding: chunked\r\nContent-Length: 3"), Some(Framing::Chunked));
        assert_eq!(framing_of("Transfer-Encoding: chunked, gzip"), Some(Framing::UntilClose));
        for length in ["3\r\nContent-Length: 4", "3, 4", "+3", "-3", "3 4", "", "3,", "0x3", "18446744073709551614", "99999999999999999999"]
        {
            assert_eq!(framing_of(&format!("Content-Length: {length}")), None, "{length:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let parse = |status: &str, method: Method| {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n");
            Head::parse(text.as_bytes(), &method).expect("HTTP").expect("a whole head").framing
        };
        for status in ["204", "304", "101", "100"] {
            assert_eq!(parse(status, Method::GET), Framing::Length(0), "{status}");
        }
        assert_eq!((parse("200", Method::HEAD), parse("200", Method::GET)), (Framing::Length(0), Framing::Length(9)));
        assert!(Head::parse(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &Method::GET).is_err());
    }
}
