//! How `quorate demo` talks to the process that runs the origins: a line of JSON each way over a unix socket in its
//! data folder, which only its owner can connect to.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use quorate_core::region::Region;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::switchboard::Switchboard;
use crate::failure::{Failure, Result};

/// Bytes of a line; both sides stop reading there.
const LINE_BYTES_MAX: u64 = 4096;
/// Either side gives up on the other after this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Bytes of a unix socket's path, by the system's `sun_path`.
const SOCKET_PATH_BYTES_MAX: usize = 107;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub origin: String,
    pub from: Option<Region>,
    pub broken: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Done(String),
    Refused(String),
}

/// The socket of the process that keeps `data_dir`.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("demo.sock")
}

/// Takes the socket; one that a killed process left is replaced.
pub fn bind(data_dir: &Path) -> anyhow::Result<UnixListener> {
    let path = path(data_dir);
    ensure!(
        path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX,
        "the path {} is longer than the {SOCKET_PATH_BYTES_MAX} bytes of a unix socket",
        path.display()
    );
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(listener)
}

/// Answers one request after the other until `stop`; then the socket is gone.
pub async fn serve(listener: UnixListener, data_dir: PathBuf, board: Arc<Switchboard>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let served = async {
            match accepted {
                Ok((stream, _)) => {
                    tokio::time::timeout(ANSWER_WITHIN, answer(stream, &board)).await.context("the command took too long")?
                }
                Err(error) => {
                    // Out of files, mostly: at once the next one would fail as well.
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    Err(error).context("cannot accept")
                }
            }
        };
        let served = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            served = served => served,
        };
        if let Err(error) = served {
            tracing::warn!(error = format!("{error:#}"), "a demo command was not answered");
        }
    }
    if let Err(error) = std::fs::remove_file(path(&data_dir)) {
        tracing::warn!(error = %error, "cannot remove the socket of the demo commands");
    }
}

async fn answer(stream: UnixStream, board: &Switchboard) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read).take(LINE_BYTES_MAX).read_line(&mut line).await.context("cannot read the command")?;
    let reply = match serde_json::from_str::<Request>(&line) {
        Ok(request) => match board.turn(&request.origin, request.from, request.broken) {
            Ok(now) => {
                tracing::info!(origin.name = request.origin, from = request.from.map(Region::code), broken = request.broken, "{now}");
                Reply::Done(now)
            }
            Err(error) => Reply::Refused(error.to_string()),
        },
        Err(error) => Reply::Refused(format!("the command is not understood: {error}")),
    };
    let mut text = serde_json::to_string(&reply).context("cannot write the answer")?;
    text.push('\n');
    write.write_all(text.as_bytes()).await.context("cannot send the answer")
}

/// Asks the process that keeps `data_dir`; answers what it says is true now.
pub async fn ask(data_dir: &Path, request: &Request) -> Result<String> {
    let path = path(data_dir);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(Failure::Failed(anyhow::anyhow!(
                "no demo origins run on the data folder {}: start `quorate up` there, or name its folder with --data-dir",
                data_dir.display()
            )));
        }
        Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot connect to {}", path.display())).into()),
    };
    let exchange = async {
        let (read, mut write) = stream.into_split();
        let mut text = serde_json::to_string(request)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(read).take(LINE_BYTES_MAX).read_line(&mut line).await?;
        anyhow::Ok(serde_json::from_str::<Reply>(&line)?)
    };
    let reply = tokio::time::timeout(ANSWER_WITHIN, exchange).await.context("the demo origins did not answer")?;
    match reply.context("the demo origins answered with something else")? {
        Reply::Done(now) => Ok(now),
        Reply::Refused(why) => Err(Failure::Failed(anyhow::anyhow!(why))),
    }
}
