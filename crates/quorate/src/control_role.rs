//! `quorate control`: one replica of the control plane.

use anyhow::Context as _;
use quorate_store::{Db, tokens, worker_tokens};
use tokio_util::sync::CancellationToken;

use crate::admin::header_keys::{anything_sealed, seal_all};
use crate::admin::{database, in_transaction};
use crate::assemble::{ControlPlane, Listeners};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::lifecycle::{self, Signals};
use crate::secrets::header_keys::header_secrets;
use crate::secrets::{self, Missing, Secrets};
use crate::telemetry::Metrics;

pub async fn run(config: Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    if config.database.url.is_none() {
        return Err(Failure::usage("the control plane needs a database: set QUORATE_DATABASE_URL"));
    }
    let listeners = Listeners::bind(&config).await?;
    let metrics = Metrics::start("control")?;
    let stop = CancellationToken::new();
    lifecycle::run(&mut signals, &stop, async {
        let db = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            db = database(&config) => db?,
        };
        let secrets = secrets_for(&config, &db).await?;
        let db = db.with_header_secrets(secrets.headers.clone());
        seal_leftovers(&db).await?;
        let mut plane = ControlPlane::start(&config, listeners, db, secrets, &metrics)?;
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            ended = plane.failed() => Err(ended),
        };
        plane.stop().await;
        ended
    })
    .await
}

/// Makes secrets for a database that knows no token yet. Tokens that are there were made with other secrets, which this
/// replica has to be given: new ones would end them all.
async fn secrets_for(config: &Config, db: &Db) -> Result<Secrets> {
    let (any_token, any_pop) = in_transaction(db, async |op| {
        let tokens = tokens::list(op).await.context("cannot read the tokens")?;
        let pops = worker_tokens::list(op).await.context("cannot read the PoPs")?;
        Ok((!tokens.is_empty(), !pops.is_empty()))
    })
    .await?;
    let unless = |used: bool| if used { Missing::Refuse } else { Missing::Make };
    Ok(Secrets {
        pepper: secrets::pepper(config, unless(any_token || any_pop))?,
        headers: header_secrets(config, unless(anything_sealed(db).await?))?,
        tls: secrets::tls(config, unless(any_pop))?,
    })
}

/// Seals what was stored before it counted as secret, or under a key that is no longer in use.
pub(crate) async fn seal_leftovers(db: &Db) -> Result<()> {
    let (objects, unreadable) = seal_all(db).await?;
    if objects > 0 {
        tracing::info!(objects, "headers were sealed under the key in use");
    }
    for object in unreadable {
        tracing::warn!(object, "a secret header cannot be opened, since its key is not there: give the header anew");
    }
    Ok(())
}
