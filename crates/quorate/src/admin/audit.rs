//! `quorate audit`

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use quorate_core::ids::{AccountId, hex};
use quorate_store::accounts;
use quorate_store::audit::{self as store, Action, Actor, Entry, Filter, INSTALLATION, Verified};

use super::{account_called, database, in_transaction};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;

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
    Verify {
        /// Id or name; without, all accounts and the installation
        #[arg(long)]
        account: Option<String>,
    },
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
    let db = database(config).await?;
    match command {
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
        Command::Verify { account } => {
            let found = in_transaction(&db, async |op| {
                let chains: Vec<(AccountId, String)> = if let Some(text) = account {
                    vec![account_called(op, &text).await.map(|account| (account.id, account.name))?]
                } else {
                    let accounts = accounts::list_all(op).await?.into_iter().map(|account| (account.id, account.name));
                    std::iter::once((INSTALLATION, "(installation)".to_owned())).chain(accounts).collect()
                };
                let mut found = Vec::with_capacity(chains.len());
                for (id, name) in chains {
                    found.push((id, name, store::verify(op, id).await?));
                }
                Ok(found)
            })
            .await?;
            let rows: Vec<[String; 4]> = found.iter().map(|(id, name, verified)| verified_row(*id, name, verified)).collect();
            output::line(&output::table(["account", "name", "rows", "hash of the last"], &rows))?;
            let broken = found.iter().filter(|(_, _, verified)| matches!(verified, Verified::Broken { .. })).count();
            if broken == 0 {
                Ok(())
            } else {
                Err(Failure::Failed(anyhow::anyhow!("{broken} of {} chains are broken: somebody changed the log", found.len())))
            }
        }
    }
}

fn verified_row(id: AccountId, name: &str, verified: &Verified) -> [String; 4] {
    let (rows, hash) = match verified {
        Verified::Whole(head) => (head.seq.to_string(), hex(&head.hash)),
        Verified::Broken { seq, problem } => ((seq - 1).to_string(), format!("BROKEN: row {seq}: {problem}")),
    };
    [id.to_string(), name.to_owned(), rows, hash]
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
