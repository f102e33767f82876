//! `quorate control`: one replica of the control plane.

use tokio_util::sync::CancellationToken;

use crate::admin::database;
use crate::assemble::{ControlPlane, Listeners};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::lifecycle::{self, Signals};
use crate::secrets::Secrets;
use crate::telemetry::Metrics;

pub async fn run(config: Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    if config.database.url.is_none() {
        return Err(Failure::usage("the control plane needs a database: set QUORATE_DATABASE_URL"));
    }
    let listeners = Listeners::bind(&config).await?;
    let secrets = Secrets::load_or_make(&config)?;
    let metrics = Metrics::start("control")?;
    let stop = CancellationToken::new();
    lifecycle::run(&mut signals, &stop, async {
        let db = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            db = database(&config) => db?,
        };
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
