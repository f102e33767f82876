//! `quorate ready`: asks a role on this machine whether it is ready; for health checks of containers, which have no curl.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::Result;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// Where the role answers /readyz: 8080 for control, 8082 for a worker
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

/// Fails with what the role says it lacks.
pub async fn run(arguments: Arguments) -> Result<()> {
    let address = arguments.address;
    Ok(tokio::time::timeout(ANSWER_WITHIN, ask(address))
        .await
        .context("no answer in time")
        .flatten()
        .with_context(|| format!("{address} is not ready"))?)
}

async fn ask(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("cannot ask")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await.context("cannot read the answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    let status = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    match status {
        "200" => Ok(()),
        _ => bail!("{status} {}", body.trim()),
    }
}
