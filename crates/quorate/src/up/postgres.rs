//! The private Postgres of `up`.

use std::path::Path;

use anyhow::Context as _;
use quorate_pg::{Binaries, Error, Install, Server, Settings, Wanted, folder};
use quorate_store::schema;

use super::progress::{during, tell};
use crate::failure::{Failure, Result};

/// A running server with a current schema.
#[derive(Debug)]
pub(super) struct Postgres {
    server: Server,
    /// As the login role, which owns nothing.
    pub service_url: String,
}

impl Postgres {
    /// Finds or gets the programs, starts the server or takes over one that a killed `up` left, and migrates.
    ///
    /// # Errors
    /// A usage error, with what to do, where the programs cannot be had or do not fit the folder.
    pub(super) async fn start(data_dir: &Path, install: Install) -> Result<Self> {
        let home = data_dir.join(super::POSTGRES_DIR);
        let wanted = Wanted { major: folder::major(&home).map_err(told)?, cache: data_dir.join("programs"), install };
        let binaries = Binaries::find_or_get(&wanted, &tell).await.map_err(told)?;
        let server = during("starting Postgres", Server::start(&binaries, &Settings::kept(&home))).await.map_err(told)?;
        if server.adopted() {
            tell("Took over the Postgres that the last run left running.");
        }
        let admin_url = server.admin_url(quorate_pg::server::DATABASE);
        let migrated = during("bringing the schema up to date", schema::migrate(&admin_url, None)).await;
        let service_url = migrated.and_then(|()| schema::service_url(&admin_url, None));
        match service_url {
            Ok(service_url) => Ok(Self { server, service_url }),
            Err(error) => {
                server.stop().await.map_err(told)?;
                Err(anyhow::Error::new(error).context("cannot bring the schema up to date").into())
            }
        }
    }

    /// The data stays.
    pub(super) async fn stop(self) -> Result<()> {
        Ok(self.server.stop().await.context("cannot stop Postgres")?)
    }
}

/// What the operator can correct is a usage error.
fn told(error: Error) -> Failure {
    match error {
        Error::NotFound { .. }
        | Error::BadBinFolder { .. }
        | Error::VersionMismatch { .. }
        | Error::Unsearchable { .. }
        | Error::InUse { .. }
        | Error::ForeignFolder { .. } => Failure::Usage(error.into()),
        Error::Failed { .. } | Error::NotReady { .. } | Error::Ended { .. } | Error::WillNotStop { .. } | Error::Io { .. } => {
            Failure::Failed(error.into())
        }
    }
}
