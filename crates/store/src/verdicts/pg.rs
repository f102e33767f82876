//! The verdict path over Postgres.

use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::ids::ReplicaId;
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use sqlx::postgres::types::PgInterval;

use super::columns::Columns;
use super::{
    BucketConfig, CommitError, Committed, ControlGap, Member, Ownership, QuorumNotice, Replica, Tick, VerdictStore, VoteRow, load, votes,
};
use crate::db::Db;
use crate::error::Error;
use crate::row::{Place, big};
use crate::worker_tokens;

/// A heartbeat may always take so long, whatever the limit of the dead.
const HEARTBEAT_ANSWER_MIN: Duration = Duration::from_millis(100);
/// A commit without an answer for longer is given up, and its outcome is unknown. Longer than the
/// server's own limit of a statement (5 s), which does not cover the wait for a synchronous standby.
const COMMIT_DEADLINE: Duration = Duration::from_secs(8);

/// Codes that `commit_verdicts` raises.
const FENCED: &str = "QU001";
const STALE: &str = "QU002";

/// The verdict path of one process.
#[derive(Clone, Debug)]
pub struct PgVerdicts {
    db: Db,
}

impl PgVerdicts {
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

impl VerdictStore for PgVerdicts {
    async fn heartbeat(&self, me: &Replica, sessions: u32, dead_after: Duration) -> Result<Vec<Member>, Error> {
        let heartbeat = self.db.heartbeat();
        let beat = sqlx::query!(
            r#"
            with me as (
                insert into replica_member (replica_id, url, version, sessions, heartbeat_at)
                values ($1, $2, $3, $4, clock_timestamp())
                on conflict (replica_id) do update
                set url = excluded.url, version = excluded.version, sessions = excluded.sessions,
                    heartbeat_at = excluded.heartbeat_at
                returning replica_id, url, sessions
            )
            select replica_id as "replica_id!", url as "url!", sessions as "sessions!", true as "alive!" from me
            union all
            select replica_id, url, sessions,
                heartbeat_at > clock_timestamp() - $5::interval and heartbeat_at < clock_timestamp() + $5::interval
            from replica_member
            where replica_id <> $1
            order by 1
            "#,
            me.id.as_bytes(),
            me.url,
            me.version,
            i64::from(sessions),
            interval(dead_after)
        )
        .fetch_all(&heartbeat);
        // Well before the others take this replica for dead, so that the next one, on a new connection, comes in time.
        let rows = match tokio::time::timeout((dead_after / 2).max(HEARTBEAT_ANSWER_MIN), beat).await {
            Ok(rows) => rows?,
            Err(elapsed) => {
                self.db.renew();
                return Err(sqlx::Error::Io(elapsed.into()).into());
            }
        };
        rows.into_iter()
            .map(|row| {
                let place = Place { table: "replica_member", key: &row.replica_id };
                Ok(Member {
                    id: place.id("replica_id", &row.replica_id)?,
                    url: row.url,
                    alive: row.alive,
                    sessions: place.number("sessions", row.sessions)?,
                })
            })
            .collect()
    }

    async fn leave(&self, me: ReplicaId) -> Result<(), Error> {
        let mut tx = self.db.heartbeat().begin().await?;
        sqlx::query!(
            r#"
            with mine as materialized (
                select bucket from bucket_owner where owner = $1 order by bucket for update
            )
            update bucket_owner as b
            set owner = null, epoch = b.epoch + 1
            from mine
            where b.bucket = mine.bucket and b.owner = $1
            "#,
            me.as_bytes()
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("delete from replica_member where replica_id = $1", me.as_bytes()).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    async fn ownerships(&self) -> Result<Vec<Ownership>, Error> {
        let rows = sqlx::query_as!(OwnershipRow, "select bucket, owner, epoch, config_seq from bucket_owner order by bucket")
            .fetch_all(&self.db.operator_pool())
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn claim(&self, me: ReplicaId, buckets: &[Bucket], dead_after: Duration) -> Result<Vec<Ownership>, Error> {
        let numbers = numbers(buckets);
        let mut tx = self.db.verdict().begin().await?;
        // First the locks, then who is dead: as of an instant after the wait, not before it.
        sqlx::query!("select bucket from bucket_owner where bucket = any ($1) order by bucket for update", &numbers)
            .fetch_all(&mut *tx)
            .await?;
        let rows = sqlx::query_as!(
            OwnershipRow,
            r#"
            update bucket_owner as b
            set owner = $1, epoch = b.epoch + 1
            where b.bucket = any ($2)
                and not exists (
                    select from replica_member as m
                    where m.replica_id = b.owner
                        -- One from the future is of before the clock was set back: it says nothing of now.
                        and m.heartbeat_at > clock_timestamp() - $3::interval and m.heartbeat_at < clock_timestamp() + $3::interval
                )
            returning b.bucket, b.owner, b.epoch, b.config_seq
            "#,
            me.as_bytes(),
            &numbers,
            interval(dead_after)
        )
        .fetch_all(&mut *tx)
        .await?;
        // Rows of processes that died long ago and own nothing any more.
        sqlx::query!(
            r#"
            delete from replica_member as m
            where m.heartbeat_at < clock_timestamp() - interval '1 day'
                and not exists (select from bucket_owner as b where b.owner = m.replica_id)
            "#
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut taken: Vec<Ownership> = rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?;
        taken.sort_unstable_by_key(|ownership| ownership.bucket);
        Ok(taken)
    }

    async fn hand_over(&self, me: ReplicaId, to: Option<ReplicaId>, buckets: &[Bucket]) -> Result<(), Error> {
        sqlx::query!(
            r#"
            with mine as materialized (
                select bucket from bucket_owner where bucket = any ($3) and owner = $1 order by bucket for update
            )
            update bucket_owner as b
            set owner = $2, epoch = b.epoch + 1
            from mine
            where b.bucket = mine.bucket and b.owner = $1
            "#,
            me.as_bytes(),
            to.as_ref().map(|id| id.as_bytes().as_slice()),
            &numbers(buckets)
        )
        .execute(&self.db.verdict())
        .await?;
        Ok(())
    }

    async fn registered_pops(&self) -> Result<Vec<Pop>, Error> {
        let mut conn = self.db.operator_pool().acquire().await?;
        worker_tokens::registered(&mut conn).await
    }

    async fn load(&self, buckets: &[Bucket]) -> Result<Vec<BucketConfig>, Error> {
        load::buckets(&self.db, buckets).await
    }

    async fn seat(&self, me: ReplicaId, bucket: Bucket, fence: Fence, seats: &[(Region, Vec<PopNo>)]) -> Result<u64, CommitError> {
        let number = bucket.number().cast_signed();
        let mut tx = self.db.verdict().begin().await.map_err(refused)?;
        let config_seq = sqlx::query_scalar!(
            r#"
            update bucket_owner
            set config_seq = config_seq + 1
            where bucket = $1 and owner = $2 and epoch = $3 and config_seq = $4
            returning config_seq
            "#,
            number,
            me.as_bytes(),
            big(fence.epoch),
            big(fence.config_seq)
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(refused)?
        .ok_or(CommitError::Fenced)?;
        sqlx::query!("delete from bucket_seat where bucket = $1", number).execute(&mut *tx).await.map_err(refused)?;
        for (region, pops) in seats {
            let pops: Vec<i16> = pops.iter().map(|pop| pop.0.cast_signed()).collect();
            sqlx::query!("insert into bucket_seat (bucket, region, pops) values ($1, $2, $3)", number, region.code(), &pops)
                .execute(&mut *tx)
                .await
                .map_err(refused)?;
        }
        tx.commit().await.map_err(outcome)?;
        Place { table: "bucket_owner", key: &number.to_be_bytes() }.number("config_seq", config_seq).map_err(CommitError::Refused)
    }

    async fn commit(&self, tick: &Tick) -> Result<Committed, CommitError> {
        let columns = Columns::of(tick).map_err(CommitError::Refused)?;
        let mut conn = self.db.verdict().acquire().await.map_err(refused)?;
        let call = sqlx::query!(
            r#"
            select event_ids as "event_ids!", occurred_at as "occurred_at!: jiff_sqlx::Timestamp"
            from commit_verdicts(
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24::text[]
            )
            "#,
            tick.bucket.number().cast_signed(),
            tick.replica.as_bytes(),
            big(tick.fence.epoch),
            big(tick.fence.config_seq),
            &columns.check_accounts as &[&[u8]],
            &columns.check_ids as &[&[u8]],
            &columns.check_gens,
            &columns.check_seqs,
            &columns.check_verdicts,
            &columns.check_reasons as &[Option<i16>],
            &columns.check_codes as &[Option<i32>],
            &columns.pool_accounts as &[&[u8]],
            &columns.pool_ids as &[&[u8]],
            &columns.pool_seqs,
            &columns.pool_states,
            &columns.event_accounts as &[&[u8]],
            &columns.event_pools as &[&[u8]],
            &columns.event_pool_names as &[&str],
            &columns.event_pool_healthy as &[Option<bool>],
            &columns.event_checks as &[Option<&[u8]>],
            &columns.event_seqs as &[Option<i64>],
            &columns.event_origin_names as &[Option<&str>],
            &columns.event_origin_healthy as &[Option<bool>],
            &columns.event_bodies,
        )
        .fetch_one(&mut *conn);
        match tokio::time::timeout(COMMIT_DEADLINE, call).await {
            Ok(Ok(row)) => {
                let place = Place { table: "health_event", key: &tick.bucket.number().to_be_bytes() };
                let event_ids = row.event_ids.iter().map(|id| place.number("event_id", *id)).collect::<Result<_, Error>>();
                Ok(Committed { event_ids: event_ids.map_err(CommitError::Unknown)?, occurred_at: row.occurred_at.to_jiff() })
            }
            Ok(Err(problem)) => Err(outcome(problem)),
            Err(elapsed) => {
                // The connection still waits for its answer: nobody may use it again.
                drop(conn.detach());
                Err(CommitError::Unknown(Error::Database(sqlx::Error::Io(elapsed.into()))))
            }
        }
    }

    async fn save_votes(&self, rows: &[VoteRow]) -> Result<(), Error> {
        votes::save(&self.db, rows).await
    }

    async fn pulse(&self, gap: Duration) -> Result<Option<ControlGap>, Error> {
        let noted = sqlx::query!(
            r#"
            with before as materialized (
                select only_row, pulse_at from control_pulse for update
            ), beat as (
                update control_pulse as p
                set pulse_at = clock_timestamp()
                from before
                where p.only_row = before.only_row
                returning before.pulse_at as began_at, p.pulse_at as ended_at
            )
            insert into control_gap (began_at, ended_at)
            select began_at, ended_at from beat where began_at < ended_at - $1::interval
            on conflict (began_at) do nothing
            returning began_at as "began_at: jiff_sqlx::Timestamp", ended_at as "ended_at: jiff_sqlx::Timestamp"
            "#,
            interval(gap)
        )
        .fetch_optional(&self.db.operator_pool())
        .await?;
        Ok(noted.map(|row| ControlGap { began_at: row.began_at.to_jiff(), ended_at: row.ended_at.to_jiff() }))
    }

    async fn note_quorum(&self, notice: QuorumNotice) -> Result<bool, Error> {
        let noted = sqlx::query_scalar!(
            r#"
            with noted as (
                update pool_state
                set quorum_lost_since = case when $4 then clock_timestamp() end
                where bucket = $1 and account_id = $2 and pool_id = $3 and (quorum_lost_since is null) = $4
                returning bucket, account_id, pool_id
            ), recorded as (
                insert into quorum_notice (bucket, account_id, pool_id, occurred_at, lost)
                select bucket, account_id, pool_id, clock_timestamp(), $4 from noted
                returning bucket
            )
            select count(*) as "count!" from recorded
            "#,
            notice.bucket.number().cast_signed(),
            notice.account_id.as_bytes(),
            notice.pool_id.as_bytes(),
            notice.lost
        )
        .fetch_one(&self.db.operator_pool())
        .await?;
        Ok(noted > 0)
    }
}

struct OwnershipRow {
    bucket: i16,
    owner: Option<Vec<u8>>,
    epoch: i64,
    config_seq: i64,
}

impl TryFrom<OwnershipRow> for Ownership {
    type Error = Error;

    fn try_from(row: OwnershipRow) -> Result<Self, Error> {
        let place = Place { table: "bucket_owner", key: &row.bucket.to_be_bytes() };
        Ok(Self {
            bucket: place.bucket(row.bucket)?,
            owner: row.owner.as_deref().map(|id| place.id("owner", id)).transpose()?,
            fence: Fence { epoch: place.number("epoch", row.epoch)?, config_seq: place.number("config_seq", row.config_seq)? },
        })
    }
}

/// Nothing was asked to be committed yet, so nothing was written whatever went wrong.
fn refused(problem: sqlx::Error) -> CommitError {
    CommitError::Refused(problem.into())
}

/// What an error says of a commit that was asked for.
fn outcome(problem: sqlx::Error) -> CommitError {
    let sqlx::Error::Database(answer) = &problem else { return CommitError::Unknown(problem.into()) };
    match answer.code().as_deref() {
        Some(FENCED) => CommitError::Fenced,
        Some(STALE) => CommitError::Stale,
        // 08: the connection; 57P: the server is shutting down, perhaps after it committed and while it
        // waited for a standby; 40003: the server itself does not know.
        Some(code) if code.starts_with("08") || code.starts_with("57P") || code == "40003" => CommitError::Unknown(problem.into()),
        Some(_) | None => CommitError::Refused(problem.into()),
    }
}

fn numbers(buckets: &[Bucket]) -> Vec<i16> {
    buckets.iter().map(|bucket| bucket.number().cast_signed()).collect()
}

/// A thousand years: from any day of ours Postgres can count back so far, and not as far as a `Duration` reaches.
const INTERVAL_MAX: Duration = Duration::from_hours(1_000 * 366 * 24);

/// At most a thousand years. Microseconds are all the precision that the database has.
fn interval(duration: Duration) -> PgInterval {
    let microseconds = duration.min(INTERVAL_MAX).as_micros();
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(microseconds).expect("a thousand years are 3 × 10^16 µs") }
}
