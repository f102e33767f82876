//! `quorate init`: everything that has to be there before the roles start, made where missing. Safe to run again; for
//! docker-compose, where it runs once before control and workers.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use quorate_core::monitor::MonitorSettings;
use quorate_store::{Db, schema};

use crate::admin::accounts::valid_name;
use crate::admin::worker_tokens;
use crate::admin::zones::valid_domain;
use crate::config::Config;
use crate::demo::objects::{DemoOrigin, DemoPool, http_monitor, make_missing};
use crate::env_file::EnvFile;
use crate::failure::{Failure, Result};
use crate::pops::{PopArgument, default_pops, regions_of};
use crate::provision::{self, Wanted};
use crate::secrets::{Secrets, make_private_dir};

#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Folder for the worker tokens, one file CODE.token each
    #[arg(long, value_name = "DIR")]
    worker_tokens: PathBuf,
    /// A PoP to register, CODE:REGION:CITY:COUNTRY; again for each. Without: three in each of WEU, ENAM and SEAS
    #[arg(long = "pop", value_name = "POP")]
    pops: Vec<PopArgument>,
    /// Name of the account
    #[arg(long, default_value = "main")]
    account: String,
    /// Domain of the zone
    #[arg(long, default_value = "example.com")]
    zone: String,
    /// File for client settings: `QUORATE_URL`, `QUORATE_TOKEN` and ids
    #[arg(long, value_name = "FILE")]
    env: PathBuf,
    /// Base of the REST API as clients reach it
    #[arg(long, default_value = "http://127.0.0.1:8080/client/v4")]
    url: String,
    /// An origin NAME=HOST:PORT of a demo pool `shop`; again for each. Without: no pool
    #[arg(long = "demo-origin", value_name = "NAME=HOST:PORT")]
    demo_origins: Vec<OriginArgument>,
}

#[derive(Clone, Debug)]
struct OriginArgument(DemoOrigin);

impl FromStr for OriginArgument {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = "an origin is NAME=HOST:PORT";
        let (name, place) = text.split_once('=').context(form)?;
        let (address, port) = place.rsplit_once(':').context(form)?;
        Ok(Self(DemoOrigin { name: name.to_owned(), address: address.to_owned(), port: port.parse().context(form)? }))
    }
}

pub async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let account = valid_name(&arguments.account)?;
    let zone = valid_domain(&arguments.zone)?;
    let pops = match arguments.pops.len() {
        0 => default_pops()?,
        _ => arguments.pops.into_iter().map(|pop| pop.0).collect(),
    };
    let service_url = migrate(config).await?;
    let db = Db::connect(&service_url).await.context("cannot use the database as its service role")?;
    let secrets = Secrets::load_or_make(config)?;
    let db = db.with_header_secrets(secrets.headers.clone());
    make_private_dir(&arguments.worker_tokens)?;
    worker_tokens::find_or_make(&db, &secrets, &arguments.worker_tokens, &pops).await?;

    let known = EnvFile::read(&arguments.env)?;
    let wanted = Wanted { account: &account, limits: config.accounts.into(), zone: &zone, token: "init" };
    let tenancy = provision::tenancy(&db, &secrets.pepper, &wanted, known.as_ref()).await?;
    if !arguments.demo_origins.is_empty() {
        let interval = tenancy.account.limits.minimum_monitor_interval;
        let shop = DemoPool {
            name: "shop",
            description: "demo: break and heal these with `quorate demo`",
            monitor: MonitorSettings { interval, ..http_monitor() },
            origins: arguments.demo_origins.into_iter().map(|origin| origin.0).collect(),
        };
        let mut tenant = db.tenant(&[tenancy.account.id]).await.context("cannot reach the database")?;
        make_missing(&mut tenant, &tenancy.zone, &regions_of(&pops), &[shop], &["shop"]).await?;
        tenant.commit().await.context("cannot commit")?;
    }
    EnvFile {
        url: arguments.url,
        token: tenancy.token,
        account_id: tenancy.account.id,
        zone_id: tenancy.zone.id,
        zone_name: tenancy.zone.name,
    }
    .write(&arguments.env)?;
    db.close().await;
    Ok(())
}

/// Runs the migrations as the administrator; answers the URL of the service role.
pub async fn migrate(config: &Config) -> Result<String> {
    let Some(admin_url) = &config.database.admin_url else {
        return Err(Failure::usage("migrations need a role that may create roles and tables: set QUORATE_DATABASE_ADMIN_URL"));
    };
    let password = config.database.service_password.as_ref().map(crate::config::SecretText::reveal);
    schema::migrate(admin_url.reveal(), password).await.context("cannot migrate")?;
    match &config.database.url {
        Some(url) => Ok(url.reveal().to_owned()),
        None => Ok(schema::service_url(admin_url.reveal(), password).context("cannot read database.admin_url")?),
    }
}
