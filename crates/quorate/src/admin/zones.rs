//! `quorate zone`

use clap::Subcommand;
use quorate_core::ids::ZoneId;
use quorate_core::validate::domain;
use quorate_store::zones as store;

use super::{Switch, account_called, database, in_transaction, on_off};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make a zone of an account; prints its id
    Create {
        /// A domain: example.com
        name: String,
        /// Id or name of the account
        #[arg(long)]
        account: String,
        /// Whether load balancers may be created in it
        #[arg(long, value_enum, default_value_t = Switch::On)]
        load_balancing: Switch,
    },
    /// Show all zones
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Switch the load balancing of a zone
    Set {
        id: ZoneId,
        #[arg(long, value_enum)]
        load_balancing: Switch,
    },
    /// Remove a zone that has no load balancers
    #[command(visible_alias = "revoke")]
    Delete { id: ZoneId },
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    let db = database(config).await?;
    match command {
        Command::Create { name, account, load_balancing } => {
            let name = valid_domain(&name)?;
            let zone = in_transaction(&db, async |op| {
                let account = account_called(op, &account).await?;
                let zone = store::create(op, account.id, &name).await?;
                if load_balancing == Switch::Off {
                    store::set_load_balancing(op, zone.id, false).await?;
                }
                Ok(zone)
            })
            .await?;
            output::line(&zone.id.to_string())
        }
        Command::List { json } => {
            let zones = in_transaction(&db, async |op| Ok(store::list_all(op).await?)).await?;
            if json {
                for zone in &zones {
                    output::line(
                        &serde_json::json!({
                            "id": zone.id,
                            "name": zone.name,
                            "account": { "id": zone.account_id, "name": zone.account_name },
                            "load_balancing_enabled": zone.load_balancing_enabled,
                            "created_on": zone.created_on,
                        })
                        .to_string(),
                    )?;
                }
                return Ok(());
            }
            let rows: Vec<[String; 4]> = zones
                .iter()
                .map(|zone| {
                    [zone.id.to_string(), zone.name.clone(), zone.account_name.clone(), on_off(zone.load_balancing_enabled).to_owned()]
                })
                .collect();
            output::line(&output::table(["id", "name", "account", "load balancing"], &rows))
        }
        Command::Set { id, load_balancing } => {
            let zone = in_transaction(&db, async |op| Ok(store::set_load_balancing(op, id, load_balancing.into()).await?)).await?;
            zone.map(|_| ()).ok_or_else(|| no_such_zone(id))
        }
        Command::Delete { id } => {
            let deleted = in_transaction(&db, async |op| Ok(store::delete(op, id).await?)).await?;
            if deleted { Ok(()) } else { Err(no_such_zone(id)) }
        }
    }
}

fn no_such_zone(id: ZoneId) -> Failure {
    Failure::Failed(anyhow::anyhow!("no zone has the id {id}"))
}

/// Lower case, without a trailing dot.
pub(crate) fn valid_domain(text: &str) -> Result<String> {
    domain(text).ok_or_else(|| Failure::usage(format!("{text:?} is not a domain name")))
}
