//! Attacks on what a mail server can say.

use super::reply::Replies;
use crate::probe::tests::fuzz::attack;

#[test]
fn a_reply_has_one_code_however_it_arrives() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let read = |bytes: &[u8], piece: usize| {
        runtime.block_on(async {
            let mut stream = in_pieces(bytes, piece);
            let mut replies = Replies::new(&mut stream);
            let mut codes = Vec::new();
            loop {
                match replies.next().await {
                    Ok(code) => codes.push(code),
                    Err(error) => return (codes, error.kind()),
                }
            }
        })
    };
    attack("smtp", |bytes| {
        let (codes, end) = read(bytes, usize::MAX);
        assert!(codes.iter().all(|code| (200..=599).contains(code)), "{codes:?} of {bytes:?}");
        assert_eq!(read(bytes, 1), (codes, end), "byte by byte: {bytes:?}");
    });
}

/// A stream that hands over at most `piece` bytes at once.
fn in_pieces(bytes: &[u8], piece: usize) -> impl tokio::io::AsyncRead + Unpin {
    tokio_util::io::StreamReader::new(tokio_stream::iter(
        bytes
            .chunks(piece.min(bytes.len().max(1)))
            .map(|chunk| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    ))
}
