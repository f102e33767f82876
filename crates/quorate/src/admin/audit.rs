//! `quorate audit`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use quorate_core::ids::{AccountId, hex};
use quorate_store::audit::{self as store, Action, Actor, Entry, Filter, Held, INSTALLATION, SignedHead, SigningKey, Verified};
use quorate_store::{Db, accounts};

use super::{account_called, database, in_transaction};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;
use crate::secrets::{Missing, pepper};

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show who changed what, newest first
    List {
        /// Id or name; without, what belongs to no account: PoPs and their tokens
        #[arg(long)]
        account: Option<String>,
        #[command(flatten)]
        filter: FilterArguments,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Check that no row of the log was changed or removed; prints where each chain ends, to be kept elsewhere
    ///
    /// The control plane signs these ends once a day and keeps them in the database, and in its log, with `event="audit_head"`.
    Verify {
        /// Id or name; without, all accounts and the installation
        #[arg(long)]
        account: Option<String>,
        /// A text with signed ends that were kept elsewhere, such as the log of the control plane: they have to be there too
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
    },
    /// Print the public key that checks signed ends, Ed25519 in hexadecimal
    Key,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct FilterArguments {
    /// Inclusive: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Exclusive
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    #[arg(long, value_enum)]
    action: Option<ActionArgument>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActionArgument {
    Create,
    Update,
    Delete,
}

impl From<ActionArgument> for Action {
    fn from(action: ActionArgument) -> Self {
        match action {
            ActionArgument::Create => Self::Create,
            ActionArgument::Update => Self::Update,
            ActionArgument::Delete => Self::Delete,
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    if matches!(command, Command::Key) {
        return output::line(&SigningKey::of(&pepper(config, Missing::Refuse)?).public());
    }
    let db = database(config).await?;
    match command {
        Command::Key => Ok(()),
        Command::List { account, filter: arguments, json } => {
            let filter =
                Filter { since: arguments.since, until: arguments.until, action: arguments.action.map(Into::into), ..Filter::default() };
            let (entries, _) = in_transaction(&db, async |op| {
                let account = match account {
                    Some(text) => account_called(op, &text).await?.id,
                    None => INSTALLATION,
                };
                Ok(store::list_all(op, account, &filter, 0, arguments.limit).await?)
            })
            .await?;
            if json {
                return entries.iter().try_for_each(|entry| output::line(&in_json(entry).to_string()));
            }
            let rows: Vec<[String; 7]> = entries.iter().map(row).collect();
            output::line(&output::table(["when", "who", "from", "did", "what", "name", "changed"], &rows))
        }
        Command::Verify { account, heads } => verify(config, &db, account.as_deref(), heads.as_deref()).await,
    }
}

/// A chain with what was found along it.
struct Chain {
    id: AccountId,
    name: String,
    verified: Verified,
    /// `None` where there is no key to check signatures with.
    held: Option<Held>,
}

impl Chain {
    /// The first row that is not as it was.
    fn broken(&self) -> Option<(u64, &'static str)> {
        match self.verified {
            Verified::Broken { seq, problem } => Some((seq, problem)),
            Verified::Whole(_) => self.held.as_ref().and_then(|held| held.broken),
        }
    }

    fn row(&self) -> [String; 5] {
        let (rows, hash) = match (self.broken(), &self.verified) {
            (None, Verified::Whole(head)) => (head.seq.to_string(), hex(&head.hash)),
            (Some((seq, problem)), _) | (None, &Verified::Broken { seq, problem }) => {
                ((seq - 1).to_string(), format!("BROKEN: row {seq}: {problem}"))
            }
        };
        let signed = match &self.held {
            None => "not checked".to_owned(),
            Some(Held { heads: 0, .. }) => "never".to_owned(),
            Some(held) => held.last_signed_on.map_or_else(String::new, |on| format!("{on:.0}")),
        };
        [self.id.to_string(), self.name.clone(), rows, signed, hash]
    }
}

async fn verify(config: &Config, db: &Db, account: Option<&str>, kept: Option<&Path>) -> Result<()> {
    let key = match pepper(config, Missing::Refuse) {
        Ok(pepper) => Some(SigningKey::of(&pepper)),
        // Whoever has only the database can still walk the chains.
        Err(Failure::Usage(why)) if kept.is_none() => {
            output::note(&format!("signatures are not checked: {why:#}"));
            None
        }
        Err(failure) => return Err(failure),
    };
    let kept = match kept {
        Some(file) => SignedHead::find_all(&std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?),
        None => Vec::new(),
    };
    let found = in_transaction(db, async |op| {
        let chains: Vec<(AccountId, String)> = if let Some(text) = account {
            vec![account_called(op, text).await.map(|account| (account.id, account.name))?]
        } else {
            let accounts = accounts::list_all(op).await?.into_iter().map(|account| (account.id, account.name));
            std::iter::once((INSTALLATION, "(installation)".to_owned())).chain(accounts).collect()
        };
        let mut found = Vec::with_capacity(chains.len());
        for (id, name) in chains {
            let verified = store::verify(op, id).await?;
            let held = match &key {
                Some(key) => Some(store::hold(op, key, id, &kept).await?),
                None => None,
            };
            found.push(Chain { id, name, verified, held });
        }
        Ok(found)
    })
    .await?;
    let rows: Vec<[String; 5]> = found.iter().map(Chain::row).collect();
    output::line(&output::table(["account", "name", "rows", "signed", "hash of the last"], &rows))?;
    let of_other_keys: u64 = found.iter().filter_map(|chain| chain.held.as_ref()).map(|held| held.of_other_keys).sum();
    if of_other_keys > 0 {
        output::note(&format!("{of_other_keys} heads were signed with another key, as before a new pepper: they prove nothing any more"));
    }
    // An account is never removed by the program.
    let homeless = kept.iter().filter(|head| account.is_none() && !found.iter().any(|chain| chain.id == head.account_id)).count();
    let broken = found.iter().filter(|chain| chain.broken().is_some()).count();
    match (broken, homeless) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::Failed(anyhow!("{homeless} of the heads that were kept are of accounts that are not there"))),
        _ => Err(Failure::Failed(anyhow!("{broken} of {} chains are broken: somebody changed the log", found.len()))),
    }
}

/// Who, and from where.
fn actor(actor: &Actor) -> (String, String) {
    match actor {
        Actor::Token { id, name, address } => (format!("token {name} ({id})"), address.map_or_else(String::new, |ip| ip.to_string())),
        Actor::Operator => ("operator".to_owned(), String::new()),
    }
}

fn row(entry: &Entry) -> [String; 7] {
    let (who, from) = actor(&entry.actor);
    let changed = if entry.action == Action::Update { entry.changed.join(",") } else { String::new() };
    [
        format!("{:.3}", entry.occurred_at),
        who,
        from,
        entry.action.name().to_owned(),
        format!("{} {}", entry.object_kind, entry.object_id),
        entry.object_name.clone(),
        changed,
    ]
}

fn in_json(entry: &Entry) -> serde_json::Value {
    serde_json::json!({
        "account": entry.account_id,
        "sequence": entry.seq,
        "when": entry.occurred_at,
        "actor": entry.actor,
        "action": entry.action.name(),
        "resource": {"type": entry.object_kind, "id": entry.object_id, "name": entry.object_name},
        "changed": entry.changed,
        "before_sha256": entry.before.map(|digest| hex(&digest)),
        "after_sha256": entry.after.map(|digest| hex(&digest)),
        "hash": hex(&entry.hash),
    })
}
