//! Signs once a day where the chains of the audit log end, and tells it in the log, from where it leaves this machine: what
//! the database's owner takes away later is missed then.

use std::time::Duration;

use quorate_core::ids::AccountId;
use quorate_store::audit::{self, Signing, SigningKey};
use quorate_store::{Db, Error};
use tokio_util::sync::CancellationToken;

use crate::error::{bounded, bounded_by, chain};
use crate::reconcile::Rhythm;

/// Between two looks for chains that are due.
const EVERY: Duration = Duration::from_hours(1);
/// For a look along one chain; the first one goes over all its rows.
const WALK_MAX: Duration = Duration::from_mins(5);

/// Until the stop. Every replica does; of two signatures of one head the database keeps the first.
pub(crate) async fn run(db: Db, key: SigningKey, stop: CancellationToken) {
    let mut rhythm = Rhythm::steady(&stop, EVERY);
    while rhythm.next().await {
        let Some(broken) = stop.run_until_cancelled(Box::pin(pass(&db, &key))).await else { return };
        if let Some(broken) = broken {
            metrics::gauge!("quorate_audit_chains_broken").set(f64::from(broken));
        }
    }
}

/// Signs what is due; answers how many chains are broken, where it could look.
async fn pass(db: &Db, key: &SigningKey) -> Option<u32> {
    let due = match bounded(due(db)).await {
        Ok(due) => due,
        Err(error) => {
            failed(&error);
            return None;
        }
    };
    let mut broken = 0;
    for account in due {
        match bounded_by(WALK_MAX, sign(db, key, account)).await {
            Ok(Signing::Signed(head)) => {
                tracing::info!(event = "audit_head", head = %head, "a chain of the audit log ends here today");
            }
            Ok(Signing::Elsewhere) => {}
            Ok(Signing::Broken { seq, problem }) => {
                broken += 1;
                tracing::error!(
                    event = "audit_chain_broken",
                    account.id = %account,
                    audit.row = seq,
                    audit.problem = problem,
                    "somebody changed the audit log behind the program's back; `quorate audit verify` says more"
                );
            }
            Err(error) => failed(&error),
        }
    }
    Some(broken)
}

async fn due(db: &Db) -> Result<Vec<AccountId>, Error> {
    let mut op = db.operator().await?;
    audit::due(&mut op).await
}

async fn sign(db: &Db, key: &SigningKey, account: AccountId) -> Result<Signing, Error> {
    let mut op = db.operator().await?;
    let signing = audit::sign(&mut op, key, account).await?;
    op.commit().await?;
    Ok(signing)
}

fn failed(error: &dyn std::error::Error) {
    metrics::counter!("quorate_housekeeping_failures_total").increment(1);
    tracing::warn!(error = chain(error), "the end of the audit log could not be signed; it is tried again in an hour");
}
