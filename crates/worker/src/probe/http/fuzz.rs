//! Attacks on what an origin can say: answers, bodies, redirects. And on what a user can write.

use http::HeaderValue;
use quorate_core::failure::FailureReason as R;
use quorate_core::monitor::{BODY_BYTES_MAX, ExpectedCodes};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::probe::Finding;
use crate::probe::classify::classify;
use crate::probe::limit::Asker;
use crate::probe::net::UserAgent;
use crate::probe::target::Ask;
use crate::probe::tests::checks::http_check;
use crate::probe::tests::fuzz::attack;
use std::time::Duration;

/// A check of www.example.com that holds a secret, looks for `ok` and follows redirects.
fn target() -> (Target, HttpAsk) {
    let check = http_check("192.0.2.1", 8080, |ask| {
        ask.host = Some("www.example.com".to_owned());
        ask.headers = vec![("Authorization".to_owned(), "secret".to_owned())];
        ask.expected_codes = "2xx".to_owned();
        ask.expected_body = "ok".to_owned();
        ask.follow_redirects = true;
    });
    let target = Target::new(&check).expect("runnable");
    let Ask::Http(ask) = &target.ask else { panic!("an HTTP check") };
    let ask = (**ask).clone();
    (target, ask)
}

/// What a probe makes of these bytes as all that an origin says before it closes.
async fn judged(bytes: &[u8]) -> Finding {
    let (_, ask) = target();
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let mut room = Vec::new();
    let mut attempt = Attempt::new(Duration::from_mins(1), &Asker::Once, &mut room);
    let serving = async {
        // The probe may have seen enough and gone.
        let _rest = theirs.write_all(bytes).await;
        let _closed = theirs.shutdown().await;
        // The request is not read: it fits.
        theirs
    };
    let probing = async {
        let answer = exchange::ask(ours, b"GET / HTTP/1.1\r\n\r\n".to_vec(), &ask.method, &mut attempt).await?;
        judge(&ask, answer, &mut attempt).await
    };
    let (done, _theirs) = tokio::join!(probing, serving);
    done.map_or_else(|fault| classify(&fault), |()| Finding::Passed)
}

#[test]
fn an_answer_is_passed_only_if_it_is_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    attack("answer", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match runtime.block_on(judged(bytes)) {
            Finding::Passed => {
                assert!(text.contains("HTTP/1.1 2") || text.contains("HTTP/1.0 2"), "{text:?}");
                assert!(fold(&text).contains("ok") || text.contains("chunked"), "{text:?}");
            }
            Finding::Failed(R::HttpInvalidResponse | R::ResponseCodeMismatch | R::ResponseBodyMismatch) => {}
            other => panic!("{other:?} of {text:?}"),
        }
    });
}

#[test]
fn a_redirect_keeps_what_it_must_and_leads_nowhere_odd() {
    let (target, ask) = target();
    for tls in [false, true] {
        let ask = HttpAsk { tls, ..ask.clone() };
        let first = Hop::first(&target, &ask);
        attack("location", |bytes| {
            let Ok(location) = HeaderValue::from_bytes(bytes) else { return };
            let Ok(elsewhere) = first.next(StatusCode::FOUND, Some(&location)) else { return };
            let hop = elsewhere.hop();
            let mut request = Vec::new();
            hop.request(&ask, &UserAgent::for_tests(), &mut request);
            let request = String::from_utf8(request).expect("ASCII");
            let path = request.split(' ').nth(1).expect("a path");
            let is_ours = hop.connect_to.to_string() == "192.0.2.1" && hop.tls_name == first.tls_name;
            assert!(!tls || hop.tls, "from https to http by {location:?}");
            assert!(hop.port != 0 && path.starts_with('/'), "{location:?}");
            assert!(!request.contains("Authorization: ") || is_ours, "the secret goes elsewhere by {location:?}");
            assert!(!hop.is_trusted() || hop.port == 8080, "another port is another server, {location:?}");
            // And on from there: what was dropped stays dropped.
            if let Ok(further) = hop.next(StatusCode::FOUND, Some(&HeaderValue::from_static("https://www.example.com:8080/"))) {
                assert!(!further.hop().is_trusted() || hop.is_trusted(), "{location:?}");
            }
        });
    }
}

#[test]
fn a_body_is_searched_as_if_it_had_come_in_one_piece() {
    attack("body", |bytes| {
        // The first line is what is looked for; the rest is the body, in pieces with `|` between them.
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
        let (Ok(needle), pieces) = (std::str::from_utf8(&bytes[..end]), bytes[end + 1..].split(|byte| *byte == b'|')) else { return };
        let needle = fold(needle);
        let body = pieces.clone().collect::<Vec<_>>().concat();
        let mut window = Window::new(&needle);
        for piece in pieces {
            if !window.is_decided() {
                window.push(piece);
            }
        }
        if !window.is_decided() {
            window.end();
        }
        let whole = fold(&String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_MAX)]));
        assert_eq!(window.found(), whole.contains(&needle), "{needle:?} in {whole:?}");
    });
}

#[test]
fn expected_codes_mean_what_they_say_or_are_refused() {
    attack("expected_codes", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(codes) = text.parse::<ExpectedCodes>() else { return };
        let named = |code: u16| {
            let mut parts = text.split(',').map(str::trim).peekable();
            if parts.clone().all(str::is_empty) {
                return code == 200;
            }
            parts.any(|part| match part.split_once('-') {
                Some((from, to)) => (number(from)..=number(to)).contains(&code),
                None if part.to_ascii_lowercase().ends_with("xx") => {
                    part.starts_with(char::from(b'0' + u8::try_from(code / 100).unwrap_or(0)))
                }
                None => number(part) == code,
            })
        };
        for code in 0..1000 {
            assert_eq!(codes.matches(code), named(code) && (100..600).contains(&code), "{code} by {text:?}");
        }
    });
}

fn number(text: &str) -> u16 {
    text.trim().parse().unwrap_or(0)
}
