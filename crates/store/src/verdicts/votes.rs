//! The votes behind the verdicts: for the quorum view, never part of a decision.

use sqlx::error::DatabaseError;

use super::VoteRow;
use crate::db::Db;
use crate::error::Error;

/// Rows of votes in one statement: bounds the size of a message.
const VOTE_ROWS_MAX: usize = 1_000;
/// Attempts at a batch of votes whose checks are being deleted at the same time.
const VOTE_ATTEMPTS_MAX: u32 = 3;

const FOREIGN_KEY_VIOLATION: &str = "23503";
const DEADLOCK_DETECTED: &str = "40P01";

/// Writes the rows, in batches; rows of checks that are gone are passed over.
pub(super) async fn save(db: &Db, rows: &[VoteRow]) -> Result<(), Error> {
    for rows in rows.chunks(VOTE_ROWS_MAX) {
        let mut attempt = 1;
        while let Err(problem) = save_once(db, rows).await {
            // A check was deleted between the look for it and the write, or while it was written: look again.
            if !met_a_deletion(&problem) || attempt == VOTE_ATTEMPTS_MAX {
                return Err(problem.into());
            }
            attempt += 1;
        }
    }
    Ok(())
}

async fn save_once(db: &Db, rows: &[VoteRow]) -> Result<(), sqlx::Error> {
    let buckets: Vec<i16> = rows.iter().map(|row| row.bucket.number().cast_signed()).collect();
    let accounts: Vec<&[u8]> = rows.iter().map(|row| row.account_id.as_bytes().as_slice()).collect();
    let checks: Vec<&[u8]> = rows.iter().map(|row| row.check_id.as_bytes().as_slice()).collect();
    let votes: Vec<Vec<u8>> = rows.iter().map(|row| row.votes.encode()).collect();
    // The last row of a check wins; sorted, so that two writers cannot wait for each other in a circle.
    sqlx::query!(
        r#"
        insert into check_votes (bucket, account_id, check_id, votes, as_of)
        select distinct on (v.bucket, v.account_id, v.check_id) v.bucket, v.account_id, v.check_id, v.votes, clock_timestamp()
        from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[]) with ordinality
            as v (bucket, account_id, check_id, votes, place)
        join check_state as c on c.bucket = v.bucket and c.account_id = v.account_id and c.check_id = v.check_id
        order by v.bucket, v.account_id, v.check_id, v.place desc
        on conflict (bucket, account_id, check_id) do update
        set votes = excluded.votes, as_of = excluded.as_of
        "#,
        &buckets,
        &accounts as &[&[u8]],
        &checks as &[&[u8]],
        &votes
    )
    .execute(&db.operator_pool())
    .await?;
    Ok(())
}

fn met_a_deletion(problem: &sqlx::Error) -> bool {
    let code = problem.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == FOREIGN_KEY_VIOLATION || code == DEADLOCK_DETECTED)
}
