//! `quorate token`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use quorate_core::ids::TokenId;
use quorate_core::time::{Clock as _, SystemClock};
use quorate_store::tokens::{self as store, NewToken, Scope, Token};

use super::accounts::valid_name;
use super::{account_called, database, hand_out, in_transaction};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;
use crate::secrets::{Missing, pepper};

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an API token; prints its secret, which is shown this once
    Create {
        /// What it is for
        name: String,
        /// Id or name of an account that it reaches; the first is its default account
        #[arg(long, required = true)]
        account: Vec<String>,
        #[arg(long, value_enum, default_value_t = ScopeArgument::Edit)]
        scope: ScopeArgument,
        /// It ends after so many days; without, it does not end
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
        expires_in: Option<u16>,
        /// Write the secret to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show all tokens, without their secrets
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// End a token
    Revoke { id: TokenId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeArgument {
    Read,
    /// Includes read
    Edit,
}

impl From<ScopeArgument> for Scope {
    fn from(scope: ScopeArgument) -> Self {
        match scope {
            ScopeArgument::Read => Self::Read,
            ScopeArgument::Edit => Self::Edit,
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::Create { name, account, scope, expires_in, out } => {
            let name = valid_name(&name)?;
            let pepper = pepper(config, Missing::Refuse)?;
            let expires_on = expires_in.map(|days| SystemClock.now() + Duration::from_hours(24 * u64::from(days)));
            let db = database(config).await?;
            let (token, secret) = in_transaction(&db, async |op| {
                let mut accounts = Vec::with_capacity(account.len());
                for text in &account {
                    accounts.push(account_called(op, text).await?.id);
                }
                Ok(store::create(op, &pepper, NewToken { name, scope: scope.into(), accounts, expires_on }).await?)
            })
            .await?;
            hand_out(&secret, out.as_deref())?;
            output::note(&format!("token {} made; its secret cannot be shown again", token.id));
            Ok(())
        }
        Command::List { json } => {
            let db = database(config).await?;
            let tokens = in_transaction(&db, async |op| Ok(store::list(op).await?)).await?;
            if json {
                return tokens.iter().try_for_each(|token| output::line(&in_json(token).to_string()));
            }
            let rows: Vec<[String; 6]> = tokens.iter().map(row).collect();
            output::line(&output::table(["id", "name", "scope", "accounts", "last used", "state"], &rows))
        }
        Command::Revoke { id } => {
            let db = database(config).await?;
            if in_transaction(&db, async |op| Ok(store::revoke(op, id).await?)).await? {
                Ok(())
            } else {
                Err(Failure::Failed(anyhow::anyhow!("no token has the id {id}, or it is revoked already")))
            }
        }
    }
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Edit => "edit",
    }
}

fn state(token: &Token) -> String {
    match (token.revoked_on, token.expires_on) {
        (Some(revoked), _) => format!("revoked {revoked:.0}"),
        (None, Some(expires)) if expires <= SystemClock.now() => format!("expired {expires:.0}"),
        (None, Some(expires)) => format!("until {expires:.0}"),
        (None, None) => "active".to_owned(),
    }
}

fn row(token: &Token) -> [String; 6] {
    let accounts: Vec<String> = token.accounts.iter().map(ToString::to_string).collect();
    let used = token.last_used_on.map_or_else(|| "never".to_owned(), |used| format!("{used:.0}"));
    [token.id.to_string(), token.name.clone(), scope_name(token.scope).to_owned(), accounts.join(","), used, state(token)]
}

fn in_json(token: &Token) -> serde_json::Value {
    serde_json::json!({
        "id": token.id,
        "name": token.name,
        "scope": scope_name(token.scope),
        "accounts": token.accounts,
        "created_on": token.created_on,
        "expires_on": token.expires_on,
        "revoked_on": token.revoked_on,
        "last_used_on": token.last_used_on,
    })
}
