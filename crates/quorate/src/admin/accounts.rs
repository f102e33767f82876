//! `quorate account`

use clap::{Args, Subcommand};
use quorate_store::accounts::{self as store, Limits};
use quorate_store::tokens;

use super::{Switch, account_called, database, in_transaction, on_off};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an account; prints its id
    Create {
        name: String,
        #[command(flatten)]
        limits: LimitArguments,
        /// Whether load balancers, pools and monitors may be created in it
        #[arg(long, value_enum, default_value_t = Switch::On)]
        load_balancing: Switch,
    },
    /// Show all accounts with their limits
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Change limits of an account, or switch its load balancing
    Set {
        /// Id or name
        account: String,
        #[command(flatten)]
        limits: LimitArguments,
        #[arg(long, value_enum)]
        load_balancing: Option<Switch>,
    },
    /// Close an account: load balancing off, and every token that reaches no other account revoked
    ///
    /// Its objects stay, are still probed, and can be read again under a new token.
    Revoke {
        /// Id or name
        account: String,
    },
}

/// What an account may have; what is not given stays, or comes from `[accounts]` of the configuration.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitArguments {
    #[arg(long, value_name = "N")]
    load_balancers: Option<u32>,
    #[arg(long, value_name = "N")]
    pools: Option<u32>,
    /// Over all pools
    #[arg(long, value_name = "N")]
    origins: Option<u32>,
    #[arg(long, value_name = "N")]
    monitors: Option<u32>,
    /// Over all zones
    #[arg(long, value_name = "N")]
    healthchecks: Option<u32>,
    #[arg(long, value_name = "N")]
    max_origins_per_pool: Option<u32>,
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    minimum_monitor_interval: Option<u16>,
}

impl LimitArguments {
    fn over(self, base: Limits) -> Limits {
        Limits {
            load_balancers: self.load_balancers.unwrap_or(base.load_balancers),
            pools: self.pools.unwrap_or(base.pools),
            origins: self.origins.unwrap_or(base.origins),
            monitors: self.monitors.unwrap_or(base.monitors),
            healthchecks: self.healthchecks.unwrap_or(base.healthchecks),
            max_origins_per_pool: self.max_origins_per_pool.unwrap_or(base.max_origins_per_pool),
            minimum_monitor_interval: self.minimum_monitor_interval.unwrap_or(base.minimum_monitor_interval),
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    let db = database(config).await?;
    match command {
        Command::Create { name, limits, load_balancing } => {
            let name = valid_name(&name)?;
            let limits = limits.over(config.accounts.into());
            let account = in_transaction(&db, async |op| {
                let account = store::create(op, &name, limits).await?;
                if load_balancing == Switch::Off {
                    store::update(op, account.id, None, Some(false)).await?;
                }
                Ok(account)
            })
            .await?;
            output::line(&account.id.to_string())
        }
        Command::List { json } => {
            let accounts = in_transaction(&db, async |op| Ok(store::list_all(op).await?)).await?;
            if json {
                for account in &accounts {
                    let limits = account.limits;
                    output::line(
                        &serde_json::json!({
                            "id": account.id,
                            "name": account.name,
                            "load_balancing_enabled": account.load_balancing_enabled,
                            "limits": {
                                "load_balancers": limits.load_balancers,
                                "pools": limits.pools,
                                "origins": limits.origins,
                                "monitors": limits.monitors,
                                "healthchecks": limits.healthchecks,
                                "max_origins_per_pool": limits.max_origins_per_pool,
                                "minimum_monitor_interval": limits.minimum_monitor_interval,
                            },
                            "created_on": account.created_on,
                        })
                        .to_string(),
                    )?;
                }
                return Ok(());
            }
            let rows: Vec<[String; 10]> = accounts
                .iter()
                .map(|account| {
                    let limits = account.limits;
                    [
                        account.id.to_string(),
                        account.name.clone(),
                        on_off(account.load_balancing_enabled).to_owned(),
                        limits.load_balancers.to_string(),
                        limits.pools.to_string(),
                        limits.origins.to_string(),
                        limits.monitors.to_string(),
                        limits.healthchecks.to_string(),
                        limits.max_origins_per_pool.to_string(),
                        format!("{} s", limits.minimum_monitor_interval),
                    ]
                })
                .collect();
            let names = [
                "id",
                "name",
                "load balancing",
                "load balancers",
                "pools",
                "origins",
                "monitors",
                "health checks",
                "origins/pool",
                "minimum interval",
            ];
            output::line(&output::table(names, &rows))
        }
        Command::Set { account, limits, load_balancing } => {
            in_transaction(&db, async |op| {
                let account = account_called(op, &account).await?;
                let changed = store::update(op, account.id, Some(limits.over(account.limits)), load_balancing.map(bool::from)).await?;
                changed.map(|_| ()).ok_or_else(|| Failure::Failed(anyhow::anyhow!("the account is gone")))
            })
            .await
        }
        Command::Revoke { account } => {
            in_transaction(&db, async |op| {
                let account = account_called(op, &account).await?;
                store::update(op, account.id, None, Some(false)).await?;
                for token in tokens::list(op).await? {
                    if token.revoked_on.is_none() && token.accounts == [account.id] {
                        tokens::revoke(op, token.id).await?;
                    }
                }
                Ok(())
            })
            .await
        }
    }
}

/// A name that people can tell apart in a list.
pub(crate) fn valid_name(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.contains(char::is_control) {
        return Err(Failure::usage(format!("the name {text:?} has to have 1 to 100 characters, none of them a control character")));
    }
    Ok(text.to_owned())
}
