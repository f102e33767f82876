//! A throw-away Postgres around a piece of work.

use anyhow::{Context as _, Result};
use quorate_pg::{Binaries, Install, Server, Wanted, folder};
use tokio::signal::unix::{SignalKind, signal};

/// A running throw-away server and the programs it came from.
pub(crate) struct Database {
    pub(crate) binaries: Binaries,
    server: Server,
}

impl Database {
    /// Finds or gets Postgres and starts a server, whose folder goes when it stops.
    pub(crate) async fn start() -> Result<Self> {
        let cache = folder::default_programs().context("there is no home folder to keep programs in: set HOME")?;
        let wanted = Wanted { major: None, cache, install: Install::Allowed };
        let binaries = Binaries::find_or_get(&wanted, &|line| eprintln!("postgres: {line}")).await?;
        let server = Server::throw_away(&binaries).await?;
        eprintln!("postgres: {} on a throw-away server", binaries.major());
        Ok(Self { binaries, server })
    }

    /// The administrator's URL of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        self.server.admin_url(name)
    }

    /// Stops the server whatever `outcome` is, and returns the first failure.
    pub(crate) async fn stop_after<T>(self, outcome: Result<T>) -> Result<T> {
        let stopped = self.server.stop().await;
        let value = outcome?;
        stopped?;
        Ok(value)
    }
}

/// `cargo xtask db`.
pub(crate) async fn wait() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let database = Database::start().await?;
    println!("DATABASE_URL='{}'", database.url("quorate"));
    eprintln!("Ctrl-C stops it");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    database.stop_after(Ok(())).await
}
