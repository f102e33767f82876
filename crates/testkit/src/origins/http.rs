//! Just enough of HTTP/1.1 to answer a probe, right or wrong. Written by hand, because a server that
//! means well cannot be told to answer garbage.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Behaviour, Request, State};

/// Bytes of a request's head that are read before the peer is left alone.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Reads one request, answers it as told and closes.
pub(super) async fn converse(state: &State, mut stream: impl AsyncRead + AsyncWrite + Unpin, from: IpAddr, behaviour: Behaviour) {
    let Some(request) = read_head(&mut stream).await else {
        state.remember(from, behaviour, None);
        // Like any server; a peer that is gone does not mind.
        let _ = stream.write_all(reply(400, "", "that is no HTTP").as_bytes()).await;
        return;
    };
    let reply = match &behaviour {
        Behaviour::Healthy | Behaviour::Slow(_) => reply(200, "", "ok"),
        Behaviour::Code(code) => reply(*code, "", "ok"),
        Behaviour::Body(body) => reply(200, "", body),
        Behaviour::Redirect(to) => reply(302, &format!("Location: {to}\r\n"), ""),
        Behaviour::Garbage => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        Behaviour::Silent | Behaviour::Reset => String::new(),
    };
    if let Behaviour::Slow(delay) = behaviour {
        tokio::time::sleep(delay).await;
    }
    state.remember(from, behaviour, Some(request));
    if reply.is_empty() {
        return wait_for_the_end(stream).await;
    }
    // A peer that hangs up first has heard enough.
    if stream.write_all(reply.as_bytes()).await.is_ok() && stream.shutdown().await.is_ok() {
        wait_for_the_end(stream).await;
    }
}

/// Swallows what comes until the peer closes, so that our own close cannot reset what it still reads.
pub(super) async fn wait_for_the_end(mut stream: impl AsyncRead + Unpin) {
    let mut sink = [0; 1024];
    while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
}

fn reply(code: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {code} Told so\r\nContent-Type: text/plain\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// `None` where it is none: no method at its beginning, no end, or too long.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read_buf(&mut head).await.ok()?;
        if count == 0 || head.len() > HEAD_BYTES_MAX || !head[0].is_ascii_uppercase() {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let mut request = Request { method: words.next()?.to_owned(), path: words.next()?.to_owned(), ..Request::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("host") {
            request.host = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("user-agent") {
            request.user_agent = Some(value.trim().to_owned());
        } else {
            request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Some(request)
}
