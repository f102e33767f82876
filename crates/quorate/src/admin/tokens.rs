//! `quorate token`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use jiff::Timestamp;
use quorate_core::ids::TokenId;
use quorate_core::time::{Clock as _, SystemClock};
use quorate_store::Operator;
use quorate_store::tokens::{self as store, NewToken, Permission, Scope, Token, Validity};

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
        #[command(flatten)]
        bounds: Bounds,
        /// Write the secret to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a key for clients that are older than tokens and send X-Auth-Email and X-Auth-Key; prints it this once
    ///
    /// It is listed and revoked like a token.
    CreateKey {
        /// What it is for
        name: String,
        /// The address to send in X-Auth-Email; nothing is ever sent to it
        #[arg(long, value_name = "ADDRESS", value_parser = email)]
        email: String,
        #[command(flatten)]
        bounds: Bounds,
        /// Write the key to this file (mode 0600) instead
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

/// What a token may do, where, from where and when.
#[derive(Clone, Debug, Args)]
pub struct Bounds {
    /// Id or name of an account that it reaches; the first is its default account
    #[arg(long, required = true)]
    account: Vec<String>,
    /// A usual set of permissions
    #[arg(long, value_enum, default_value_t = ScopeArgument::Edit, conflicts_with = "permission")]
    scope: ScopeArgument,
    /// One permission instead of a set, again for each: monitors-and-pools:read, monitors-and-pools:edit, load-balancers:read,
    /// load-balancers:edit, analytics:read, admin
    #[arg(long, value_name = "PERMISSION")]
    permission: Vec<Permission>,
    /// It may be used from this range only; again for each
    #[arg(long = "allow-from", value_name = "CIDR")]
    allow_from: Vec<IpNet>,
    /// It begins then: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// It ends then
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    expires_on: Option<Timestamp>,
    /// It ends after so many days; without, it does not end
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_in: Option<u16>,
}

impl Bounds {
    async fn new_token(self, op: &mut Operator, name: String) -> Result<NewToken> {
        let mut accounts = Vec::with_capacity(self.account.len());
        for text in &self.account {
            accounts.push(account_called(op, text).await?.id);
        }
        let permissions = if self.permission.is_empty() { Scope::from(self.scope).into() } else { self.permission.into_iter().collect() };
        let in_days = self.expires_in.map(|days| SystemClock.now() + Duration::from_hours(24 * u64::from(days)));
        let (not_before, expires_on) = (self.not_before, self.expires_on.or(in_days));
        if expires_on.is_some_and(|end| end <= not_before.unwrap_or_else(|| SystemClock.now())) {
            return Err(Failure::usage("the token would end before it begins"));
        }
        Ok(NewToken { name, permissions, accounts, allowed_addresses: self.allow_from, not_before, expires_on })
    }
}

fn email(text: &str) -> std::result::Result<String, String> {
    let legal = text.len() <= 254
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
    if legal { Ok(text.to_owned()) } else { Err("an e-mail address is NAME@DOMAIN, at most 254 characters of ASCII".to_owned()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeArgument {
    Read,
    /// Includes read
    Edit,
    /// Everything, and alone the audit log
    Admin,
}

impl From<ScopeArgument> for Scope {
    fn from(scope: ScopeArgument) -> Self {
        match scope {
            ScopeArgument::Read => Self::Read,
            ScopeArgument::Edit => Self::Edit,
            ScopeArgument::Admin => Self::Admin,
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::Create { name, bounds, out } => {
            let (name, pepper) = (valid_name(&name)?, pepper(config, Missing::Refuse)?);
            let db = database(config).await?;
            let (token, secret) = in_transaction(&db, async |op| {
                let new = bounds.new_token(op, name).await?;
                Ok(store::create(op, &pepper, new).await?)
            })
            .await?;
            hand_out(&secret, out.as_deref())?;
            output::note(&format!("token {} made; its secret cannot be shown again", token.id));
            Ok(())
        }
        Command::CreateKey { name, email, bounds, out } => {
            let (name, pepper) = (valid_name(&name)?, pepper(config, Missing::Refuse)?);
            let db = database(config).await?;
            let (token, key) = in_transaction(&db, async |op| {
                let new = bounds.new_token(op, name).await?;
                Ok(store::create_key(op, &pepper, &email, new).await?)
            })
            .await?;
            hand_out(&key, out.as_deref())?;
            output::note(&format!("key {} made for {email}; it cannot be shown again", token.id));
            Ok(())
        }
        Command::List { json } => {
            let db = database(config).await?;
            let tokens = in_transaction(&db, async |op| Ok(store::list(op).await?)).await?;
            if json {
                return tokens.iter().try_for_each(|token| output::line(&in_json(token).to_string()));
            }
            let rows: Vec<[String; 7]> = tokens.iter().map(row).collect();
            output::line(&output::table(["id", "name", "permissions", "accounts", "from", "last used", "state"], &rows))
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

fn state(token: &Token) -> String {
    match (token.revoked_on, token.expires_on) {
        (Some(revoked), _) => format!("revoked {revoked:.0}"),
        (None, Some(expires)) if expires <= SystemClock.now() => format!("expired {expires:.0}"),
        (None, expires) if token.validity(SystemClock.now()) == Validity::NotYet => {
            let begin = token.not_before.map_or_else(String::new, |begin| format!("from {begin:.0}"));
            expires.map_or_else(|| begin.clone(), |end| format!("{begin} until {end:.0}"))
        }
        (None, Some(expires)) => format!("until {expires:.0}"),
        (None, None) => "active".to_owned(),
    }
}

fn row(token: &Token) -> [String; 7] {
    let accounts: Vec<String> = token.accounts.iter().map(ToString::to_string).collect();
    let used = token.last_used_on.map_or_else(|| "never".to_owned(), |used| format!("{used:.0}"));
    let name = token.email.as_ref().map_or_else(|| token.name.clone(), |email| format!("{} ({email})", token.name));
    let from: Vec<String> = token.allowed_addresses.iter().map(ToString::to_string).collect();
    [token.id.to_string(), name, token.permissions.to_string(), accounts.join(","), from.join(","), used, state(token)]
}

fn in_json(token: &Token) -> serde_json::Value {
    serde_json::json!({
        "id": token.id,
        "name": token.name,
        "email": token.email,
        "permissions": token.permissions.iter().map(Permission::name).collect::<Vec<_>>(),
        "accounts": token.accounts,
        "allowed_addresses": token.allowed_addresses,
        "created_on": token.created_on,
        "not_before": token.not_before,
        "expires_on": token.expires_on,
        "revoked_on": token.revoked_on,
        "last_used_on": token.last_used_on,
    })
}
