//! The configuration's side of the buckets.
//!
//! Order of locks, everywhere: the account, its configuration, `bucket_owner` by number, then the
//! health rows of the buckets. So nobody waits in a circle.

use quorate_core::bucket::Bucket;
use sqlx::PgConnection;

use crate::error::Error;

/// Says that the configuration of `buckets` changed: verdicts under the old one are refused from the
/// commit of this transaction on, and listeners wake up then.
pub(crate) async fn bump_config(conn: &mut PgConnection, buckets: &[Bucket]) -> Result<(), Error> {
    let numbers: Vec<i16> = buckets.iter().map(|bucket| bucket.number().cast_signed()).collect();
    sqlx::query!(
        r#"
        with locked as materialized (
            select bucket from bucket_owner where bucket = any ($1) order by bucket for update
        ), bumped as (
            update bucket_owner as b
            set config_seq = b.config_seq + 1
            from locked
            where b.bucket = locked.bucket
            returning b.bucket
        )
        select count(*) as "count!", pg_notify('quorate_config', '')::text as woken from bumped
        "#,
        &numbers
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
