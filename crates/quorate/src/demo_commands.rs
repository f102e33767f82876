//! `quorate demo` and `quorate demo-origins`

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ipnet::IpNet;
use quorate_core::region::Region;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::demo::origin::{Port, serve_all};
use crate::demo::socket::{self, Request};
use crate::demo::tls::DemoTls;
use crate::demo::{Manner, Origin, Switchboard};
use crate::failure::{OrUsage as _, Result};
use crate::lifecycle::{self, Signals};
use crate::output;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make a demo origin of the running `up` answer 503
    Break(Whom),
    /// Make it answer 200 again
    Heal(Whom),
}

#[derive(Clone, Debug, Args)]
pub struct Whom {
    /// shop-1
    origin: String,
    /// Only for probes from this region: WEU
    #[arg(long, value_name = "REGION")]
    from: Option<Region>,
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    let request = match command {
        Command::Break(whom) => Request { origin: whom.origin, from: whom.from, broken: true },
        Command::Heal(whom) => Request { origin: whom.origin, from: whom.from, broken: false },
    };
    let now = socket::ask(&config.data_dir()?, &request).await?;
    output::line(&now)
}

#[derive(Clone, Debug, Args)]
pub struct OriginsArguments {
    /// An origin and where it listens: shop-1=0.0.0.0:9001
    #[arg(long = "listen", value_name = "NAME=ADDRESS:PORT", required = true)]
    origins: Vec<Listen>,
    /// Addresses from which the workers of a region probe, for `demo break --from`: WEU=172.28.1.0/24
    #[arg(long = "region", value_name = "REGION=CIDR")]
    regions: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Listen {
    name: String,
    address: SocketAddr,
}

impl FromStr for Listen {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, address) = text.split_once('=').context("an origin is NAME=ADDRESS:PORT")?;
        Ok(Self { name: name.to_owned(), address: address.parse().context("an origin is NAME=ADDRESS:PORT")? })
    }
}

#[derive(Clone, Debug)]
struct Source {
    region: Region,
    net: IpNet,
}

impl FromStr for Source {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (region, net) = text.split_once('=').context("a region's addresses are REGION=CIDR")?;
        Ok(Self { region: region.parse()?, net: net.parse().context("a region's addresses are REGION=CIDR")? })
    }
}

/// Origins to break and heal as a process of their own, where `up` is not: in containers.
pub async fn run_origins(config: &Config, arguments: OriginsArguments) -> Result<()> {
    let mut signals = Signals::listen()?;
    let data_dir = config.data_dir()?;
    std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot make the data folder {}", data_dir.display()))?;
    let mut origins = Vec::with_capacity(arguments.origins.len());
    for listen in &arguments.origins {
        let port = Port::Exactly(listen.address.port());
        let origin = Origin::bind(&listen.name, Manner::Switched, listen.address.ip(), port).await;
        let origin = origin.with_context(|| format!("cannot listen on {} (--listen)", listen.address)).or_usage()?;
        tracing::info!(origin.name = listen.name, address = %origin.address(), "a demo origin listens");
        origins.push(origin);
    }
    let regions = arguments.regions.iter().map(|source| (source.net, source.region)).collect();
    let board = Arc::new(Switchboard::new(arguments.origins.into_iter().map(|listen| listen.name), regions));
    let switch = socket::bind(&data_dir)?;
    // None of these origins speaks TLS.
    let tls = Arc::new(DemoTls::new("localhost")?);
    let stop = CancellationToken::new();
    let serving = serve_all(origins, &board, &tls, &stop);
    let switching = socket::serve(switch, data_dir, Arc::clone(&board), stop.clone());
    lifecycle::run(&mut signals, &stop, async {
        tokio::join!(serving, switching);
        Ok(())
    })
    .await
}
