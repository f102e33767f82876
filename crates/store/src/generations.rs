//! New generations of checks: what a change of a monitor or of a monitor group does to the pools under it.

use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, PoolId};
use sqlx::PgConnection;

use crate::buckets;
use crate::error::Error;

/// All votes on the checks of these pools start as missing, and their buckets get a new `config_seq`.
pub(crate) async fn renew(conn: &mut PgConnection, account: AccountId, pools: &[PoolId]) -> Result<(), Error> {
    if pools.is_empty() {
        return Ok(());
    }
    let mut touched: Vec<Bucket> = pools.iter().copied().map(Bucket::of).collect();
    touched.sort_unstable();
    touched.dedup();
    buckets::bump_config(conn, &touched).await?;
    let pools: Vec<&[u8]> = pools.iter().map(|id| id.as_bytes().as_slice()).collect();
    sqlx::query!(
        r#"
        with renewed as (
            update origin as o
            set config_gen = o.config_gen + 1
            from pool as p
            where p.account_id = $1 and p.pool_id = any ($2) and o.account_id = p.account_id and o.pool_id = p.pool_id
            returning p.bucket, o.account_id, o.check_id, o.config_gen
        )
        update check_state as s
        set config_gen = r.config_gen
        from renewed as r
        where s.bucket = r.bucket and s.account_id = r.account_id and s.check_id = r.check_id
        "#,
        account.as_bytes(),
        &pools as &[&[u8]]
    )
    .execute(conn)
    .await?;
    Ok(())
}
