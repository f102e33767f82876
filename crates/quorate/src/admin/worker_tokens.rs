//! `quorate worker-token` and `quorate worker list`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_core::pop::PopCode;
use quorate_core::region::Region;
use quorate_core::time::{Clock as _, SystemClock};
use quorate_proto::join::JoinToken;
use quorate_store::tokens::Pepper;
use quorate_store::worker_tokens::{self as store, Manifests, NewPop, RegisteredPop};
use quorate_store::{Db, Operator};

use super::{database, hand_out, in_transaction};
use crate::config::Config;
use crate::failure::{Failure, OrUsage as _, Result};
use crate::output;
use crate::pops::{valid_city, valid_country};
use crate::secrets::{self, Missing, Secrets, Tls, write_private};

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Register a PoP; prints the one string that joins its worker. A PoP that is there gets a new one, and the old one ends
    Create {
        /// Short code, unique in the installation: lhr
        pop: PopCode,
        /// WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, SAS, SEAS or NEAS
        #[arg(long)]
        region: Region,
        /// As people will read it: London
        #[arg(long, value_parser = valid_city)]
        city: String,
        /// Two capital letters, ISO 3166-1: GB
        #[arg(long, value_parser = valid_country)]
        country: String,
        /// Write the string to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show all PoPs: connected, last round, version, checks, and how many manifests are not the newest
    List(ListArguments),
    /// End a PoP's token; its votes are missing from then on
    Revoke { pop: PopCode },
}

#[derive(Clone, Copy, Debug, Args)]
pub struct ListArguments {
    /// As JSON, one object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::Create { pop, region, city, country, out } => {
            let (pepper, tls) = (secrets::pepper(config, Missing::Refuse)?, secrets::tls(config, Missing::Refuse)?);
            let db = database(config).await?;
            let new = NewPop { code: pop, region, city, country };
            let token = in_transaction(&db, async |op| Ok(new_token(op, &pepper, &tls, new).await?)).await?;
            hand_out(&token.encode(), out.as_deref())
        }
        Command::List(arguments) => list(config, arguments).await,
        Command::Revoke { pop } => {
            let db = database(config).await?;
            if in_transaction(&db, async |op| Ok(store::revoke(op, &pop).await?)).await? {
                Ok(())
            } else {
                Err(Failure::Failed(anyhow::anyhow!("no PoP has the code {pop}, or its token is revoked already")))
            }
        }
    }
}

pub async fn list(config: &Config, arguments: ListArguments) -> Result<()> {
    let db = database(config).await?;
    let pops = in_transaction(&db, async |op| Ok(store::list(op).await?)).await?;
    if arguments.json {
        return pops.iter().try_for_each(|pop| output::line(&in_json(pop).to_string()));
    }
    let rows: Vec<[String; 8]> = pops.iter().map(row).collect();
    output::line(&output::table(["pop", "region", "place", "state", "last round", "version", "checks", "manifests"], &rows))
}

fn state(pop: &RegisteredPop) -> String {
    match (pop.revoked_on, pop.connected) {
        (Some(revoked), _) => format!("revoked {revoked:.0}"),
        (None, Some(true)) => "connected".to_owned(),
        (None, Some(false)) => "away".to_owned(),
        (None, None) => "never seen".to_owned(),
    }
}

/// How many are the newest: `9`, or `7 of 9`.
fn manifests(manifests: Manifests) -> String {
    let Manifests { wanted, behind } = manifests;
    if behind == 0 { wanted.to_string() } else { format!("{} of {wanted}", wanted.saturating_sub(behind)) }
}

fn row(registered: &RegisteredPop) -> [String; 8] {
    let pop = &registered.pop;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let ago = registered.last_round_at.map(|at| format!("{} s ago", SystemClock.now().duration_since(at).as_secs().max(0)));
    [
        pop.code.to_string(),
        pop.region.code().to_owned(),
        pop.place(),
        state(registered),
        or_dash(ago),
        or_dash(registered.version.clone()),
        or_dash(registered.checks.map(|checks| checks.to_string())),
        or_dash(registered.manifests.map(manifests)),
    ]
}

fn in_json(registered: &RegisteredPop) -> serde_json::Value {
    let pop = &registered.pop;
    serde_json::json!({
        "pop": pop.code,
        "region": pop.region,
        "city": pop.city,
        "country": pop.country,
        "created_on": registered.created_on,
        "revoked_on": registered.revoked_on,
        "connected": registered.connected,
        "last_round_at": registered.last_round_at,
        "version": registered.version,
        "checks": registered.checks,
        "manifests": registered.manifests.map(|Manifests { wanted, behind }| serde_json::json!({ "wanted": wanted, "behind": behind })),
    })
}

async fn new_token(op: &mut Operator, pepper: &Pepper, tls: &Tls, new: NewPop) -> anyhow::Result<JoinToken> {
    let ca_sha256 = tls.ca_sha256()?;
    let code = new.code.clone();
    let (pop, secret) = store::create(op, pepper, new).await.with_context(|| format!("cannot register the PoP {code}"))?;
    Ok(JoinToken { pop: pop.code, region: pop.region, city: pop.city, country: pop.country, secret, ca_sha256 })
}

/// The tokens of `pops` in `dir`, a file `<code>.token` each: read where they still join this control plane, made anew
/// where they do not.
pub(crate) async fn find_or_make(db: &Db, secrets: &Secrets, dir: &Path, pops: &[NewPop]) -> Result<Vec<JoinToken>> {
    let ca_sha256 = secrets.tls.ca_sha256()?;
    let mut tokens = Vec::with_capacity(pops.len());
    for pop in pops {
        let file = dir.join(format!("{}.token", pop.code));
        let held = read(&file)?.filter(|token| token.ca_sha256 == ca_sha256 && token.region == pop.region);
        let joins = match &held {
            Some(token) => {
                let known = store::authenticate(db, &secrets.pepper, &token.secret).await.context("cannot look up a worker token")?;
                known.is_some_and(|known| known.code == pop.code)
            }
            None => false,
        };
        let token = if let Some(token) = held.filter(|_| joins) {
            token
        } else {
            let token = in_transaction(db, async |op| Ok(new_token(op, &secrets.pepper, &secrets.tls, pop.clone()).await?)).await?;
            write_private(&file, &format!("{}\n", token.encode()))?;
            token
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// `None` where there is none, or where it is damaged: it is made anew then.
fn read(file: &Path) -> anyhow::Result<Option<JoinToken>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The token that a worker is configured with.
pub(crate) fn configured(config: &Config) -> Result<JoinToken> {
    let (text, place) = match (&config.worker.token, &config.worker.token_file) {
        (Some(token), _) => (token.reveal().to_owned(), "worker.token".to_owned()),
        (None, Some(file)) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read the worker token in {}", file.display())).or_usage()?;
            (text, file.display().to_string())
        }
        (None, None) => {
            return Err(Failure::usage(
                "a worker needs its token: set QUORATE_WORKER_TOKEN or QUORATE_WORKER_TOKEN_FILE to what `quorate worker-token create` gave",
            ));
        }
    };
    text.parse().with_context(|| format!("{place} holds no worker token")).or_usage()
}
