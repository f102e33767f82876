//! Worker tokens, and with them the registry of PoPs: a registered PoP is one with an unrevoked token.
//!
//! A worker token is one string that joins a worker: `qwt_` + base64url(JSON {pop, region, city,
//! country, secret, `ca_fingerprint`}); only the digest of the secret is stored.

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::ids::ReplicaId;
use quorate_core::ids::{AccountId, hex};
use quorate_core::pop::{Pop, PopCode, PopNo};
use quorate_core::region::Region;
use rand::Rng;
use serde_json::{Value, json};
use sqlx::postgres::types::PgInterval;
use sqlx::{Executor, PgConnection};
use subtle::ConstantTimeEq;

use crate::audit::{self, Audited, INSTALLATION};
use crate::buckets;
use crate::db::{Db, Operator, Tenant};
use crate::error::Error;
use crate::row::{self, Place};
use crate::tokens::Pepper;

/// What a replica says of its sessions counts for so long after its heartbeat, in microseconds.
const REPLICA_LIVES_US: i64 = 30_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPop {
    pub code: PopCode,
    pub region: Region,
    pub city: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// A PoP with its token, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredPop {
    pub pop: Pop,
    pub created_on: Timestamp,
    pub revoked_on: Option<Timestamp>,
    /// What the owner last saw of it; `None` before its first session.
    pub connected: Option<bool>,
    pub last_round_at: Option<Timestamp>,
    pub version: Option<String>,
    pub checks: Option<u32>,
    /// What it holds of its configuration; `None` where no living replica has a session with it.
    pub manifests: Option<Manifests>,
}

/// A registered PoP as those may know it who administer an account: nothing of it is about what other accounts ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub pop: Pop,
    /// `None` before its first session.
    pub connected: Option<bool>,
    pub last_round_at: Option<Timestamp>,
    pub version: Option<String>,
    /// Whether it has acknowledged all that is configured; `None` where no living replica has a session with it.
    pub is_current: Option<bool>,
}

/// A PoP's manifests, one a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// Buckets in which it is asked to probe anything.
    pub wanted: u32,
    /// Those of them whose newest manifest it has not acknowledged.
    pub behind: u32,
}

/// What a replica saw of a PoP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub pop: PopNo,
    pub connected: bool,
    /// Release of the worker.
    pub version: String,
    /// Checks that it is asked to probe, in the buckets that the replica owns.
    pub checks: u32,
    /// Of the buckets that the replica owns.
    pub manifests: Manifests,
}

struct Row {
    pop_no: i16,
    code: String,
    region: String,
    city: String,
    country: String,
}

impl TryFrom<Row> for Pop {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "pop", key: &row.pop_no.to_be_bytes() };
        Ok(Self {
            no: PopNo(place.number("pop_no", row.pop_no)?),
            code: place.text("code", &row.code)?,
            region: place.text("region", &row.region)?,
            city: row.city,
            country: row.country,
        })
    }
}

/// Registers a PoP (or gives an existing one a new token, whatever became of the old one) and answers the
/// random 256-bit secret in hexadecimal. `Error::NotUnique` where the code is taken in another region.
pub async fn create(op: &mut Operator, pepper: &Pepper, pop: NewPop) -> Result<(Pop, String), Error> {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = hex(&bytes);
    // Numbers are given one after another: one registration at a time. Reading goes on meanwhile.
    op.conn().execute("lock table pop in share row exclusive mode").await?;
    let before = registration(op.conn(), &pop.code).await?;
    let row = sqlx::query_as!(
        Row,
        r#"
        insert into pop as p (pop_no, code, region, city, country, secret_digest)
        select coalesce(max(pop_no) + 1, 0), $1, $2, $3, $4, $5 from pop
        on conflict (code) do update
        set city = excluded.city, country = excluded.country, secret_digest = excluded.secret_digest, revoked_on = null
        where p.region = excluded.region
        returning pop_no, code, region, city, country
        "#,
        pop.code.as_str(),
        pop.region.code(),
        pop.city,
        pop.country,
        &pepper.digest(&secret),
    )
    .fetch_optional(op.conn())
    .await?
    .ok_or(Error::NotUnique { field: "code" })?;
    let pop: Pop = row.try_into()?;
    let after = registration(op.conn(), &pop.code).await?;
    match (before, after) {
        (Some(before), Some(after)) => audit::updated(op.conn(), &before, &after).await?,
        (None, Some(after)) => audit::created(op.conn(), &after).await?,
        (_, None) => {}
    }
    electorate_changed(op.conn()).await?;
    Ok((pop, secret))
}

/// A PoP with its token, as the audit log knows it.
struct Registration {
    pop: Pop,
    /// Of the token: shows that there is a new one.
    secret_digest: Vec<u8>,
    revoked_on: Option<Timestamp>,
}

impl Audited for Registration {
    const KIND: &'static str = "worker_token";

    fn accounts(&self) -> Vec<AccountId> {
        vec![INSTALLATION]
    }

    fn id(&self) -> String {
        self.pop.no.0.to_string()
    }

    fn name(&self) -> String {
        self.pop.code.to_string()
    }

    fn fields(&self) -> Value {
        json!({
            "region": self.pop.region.code(),
            "city": self.pop.city,
            "country": self.pop.country,
            "secret_digest": hex(&self.secret_digest),
            "revoked_on": self.revoked_on,
        })
    }
}

async fn registration(conn: &mut PgConnection, code: &PopCode) -> Result<Option<Registration>, Error> {
    let found = sqlx::query!(
        r#"
        select pop_no, code, region, city, country, secret_digest, revoked_on as "revoked_on: jiff_sqlx::Timestamp"
        from pop
        where code = $1
        "#,
        code.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let pop = Row { pop_no: found.pop_no, code: found.code, region: found.region, city: found.city, country: found.country };
    Ok(Some(Registration {
        pop: pop.try_into()?,
        secret_digest: found.secret_digest,
        revoked_on: found.revoked_on.map(jiff_sqlx::Timestamp::to_jiff),
    }))
}

/// Every registered PoP votes on a pool without `check_regions`: a verdict counted among the others must not pass any more.
async fn electorate_changed(conn: &mut PgConnection) -> Result<(), Error> {
    let numbers = sqlx::query_scalar!("select distinct bucket from pool where check_regions is null").fetch_all(&mut *conn).await?;
    let place = Place { table: "pool", key: &[] };
    let number =
        |number: i16| u16::try_from(number).ok().and_then(Bucket::new).ok_or_else(|| place.corrupt(format_args!("bucket is {number}")));
    buckets::bump_config(conn, &numbers.into_iter().map(number).collect::<Result<Vec<_>, _>>()?).await
}

/// Every PoP, revoked ones included, in the order of their numbers. Each owner tells of its buckets, so
/// what the living replicas say is added up.
pub async fn list(op: &mut Operator) -> Result<Vec<RegisteredPop>, Error> {
    let rows = sqlx::query!(
        r#"
        select p.pop_no, p.code, p.region, p.city, p.country, p.created_on as "created_on: jiff_sqlx::Timestamp",
            p.revoked_on as "revoked_on: jiff_sqlx::Timestamp", p.connected is not null as "was_seen!",
            p.last_round_at as "last_round_at: jiff_sqlx::Timestamp", p.version, p.checks as last_checks,
            s.checks as "checks?", s.buckets as "buckets?", s.buckets_behind as "buckets_behind?"
        from pop as p
        left join (
            select s.pop_no, sum(s.checks)::bigint as checks, sum(s.buckets)::bigint as buckets,
                sum(s.buckets_behind)::bigint as buckets_behind
            from pop_session as s
            join replica_member as m using (replica_id)
            where s.connected and m.heartbeat_at > clock_timestamp() - $1::interval
            group by s.pop_no
        ) as s on s.pop_no = p.pop_no
        order by p.pop_no
        "#,
        replica_lives()
    )
    .fetch_all(op.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let pop = Row { pop_no: row.pop_no, code: row.code, region: row.region, city: row.city, country: row.country };
            let connected = row.was_seen.then_some(row.buckets.is_some());
            let manifests = row.buckets.zip(row.buckets_behind);
            Ok(RegisteredPop {
                pop: pop.try_into()?,
                created_on: row.created_on.to_jiff(),
                revoked_on: row.revoked_on.map(jiff_sqlx::Timestamp::to_jiff),
                connected,
                last_round_at: row.last_round_at.map(jiff_sqlx::Timestamp::to_jiff),
                version: row.version,
                checks: row.checks.or(row.last_checks).map(row::count),
                manifests: manifests.map(|(wanted, behind)| Manifests { wanted: row::count(wanted), behind: row::count(behind) }),
            })
        })
        .collect()
}

/// The present PoPs with what the living replicas say of them, in the order of their numbers.
pub async fn workers(db: &mut Tenant) -> Result<Vec<Worker>, Error> {
    let rows = sqlx::query!(
        r#"
        select p.pop_no, p.code, p.region, p.city, p.country, p.connected is not null as "was_seen!",
            p.last_round_at as "last_round_at: jiff_sqlx::Timestamp", p.version, s.is_current as "is_current?"
        from pop as p
        left join (
            select s.pop_no, bool_and(s.buckets_behind = 0) as is_current
            from pop_session as s
            join replica_member as m using (replica_id)
            where s.connected and m.heartbeat_at > clock_timestamp() - $1::interval
            group by s.pop_no
        ) as s on s.pop_no = p.pop_no
        where p.revoked_on is null
        order by p.pop_no
        "#,
        replica_lives()
    )
    .fetch_all(db.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let pop = Row { pop_no: row.pop_no, code: row.code, region: row.region, city: row.city, country: row.country };
            Ok(Worker {
                pop: pop.try_into()?,
                connected: row.was_seen.then_some(row.is_current.is_some()),
                last_round_at: row.last_round_at.map(jiff_sqlx::Timestamp::to_jiff),
                version: row.version,
                is_current: row.is_current,
            })
        })
        .collect()
}

/// How long a replica counts after its heartbeat.
const fn replica_lives() -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: REPLICA_LIVES_US }
}

/// `false`: no such PoP, or already revoked.
pub async fn revoke(op: &mut Operator, code: &PopCode) -> Result<bool, Error> {
    let before = registration(op.conn(), code).await?;
    let revoked = sqlx::query!("update pop set revoked_on = clock_timestamp() where code = $1 and revoked_on is null", code.as_str())
        .execute(op.conn())
        .await?;
    if revoked.rows_affected() == 0 {
        return Ok(false);
    }
    if let (Some(before), Some(after)) = (before, registration(op.conn(), code).await?) {
        audit::updated(op.conn(), &before, &after).await?;
    }
    electorate_changed(op.conn()).await?;
    Ok(true)
}

/// The PoP that a secret speaks for; `None` for an unknown or revoked one. Compared in constant time.
pub async fn authenticate(db: &Db, pepper: &Pepper, secret: &str) -> Result<Option<Pop>, Error> {
    // Found by its digest: who does not know the pepper cannot steer that search.
    let digest = pepper.digest(secret);
    let found = sqlx::query!(
        "select pop_no, code, region, city, country, secret_digest from pop where secret_digest = $1 and revoked_on is null",
        &digest
    )
    .fetch_optional(&db.auth())
    .await?;
    let Some(found) = found.filter(|found| bool::from(digest.ct_eq(found.secret_digest.as_slice()))) else { return Ok(None) };
    let pop = Row { pop_no: found.pop_no, code: found.code, region: found.region, city: found.city, country: found.country };
    Ok(Some(pop.try_into()?))
}

/// Every PoP ever registered, for the names in evidence.
pub async fn pops(db: &mut Tenant) -> Result<Vec<Pop>, Error> {
    sqlx::query_as!(Row, "select pop_no, code, region, city, country from pop order by pop_no")
        .fetch_all(db.conn())
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
}

/// The present PoPs: those with an unrevoked token, in the order of their numbers.
pub(crate) async fn registered(conn: &mut PgConnection) -> Result<Vec<Pop>, Error> {
    sqlx::query_as!(Row, "select pop_no, code, region, city, country from pop where revoked_on is null order by pop_no")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
}

/// The present PoPs, as a tenant may know them: for the answer that a chosen region has no workers.
pub async fn registered_pops(db: &mut Tenant) -> Result<Vec<Pop>, Error> {
    registered(db.conn()).await
}

/// Keeps what a replica saw of a PoP: when a session starts or ends, and once a round. A replica that has
/// no heartbeat yet, or none any more, tells nothing of its sessions.
pub async fn saw(db: &Db, replica: ReplicaId, seen: &Sighting) -> Result<(), Error> {
    sqlx::query!(
        r#"
        with seen as (
            update pop
            set connected = $3, version = $4, checks = $5,
                last_round_at = case when $3 then clock_timestamp() else last_round_at end
            where pop_no = $1
            returning pop_no
        )
        insert into pop_session (pop_no, replica_id, connected, checks, buckets, buckets_behind)
        select seen.pop_no, m.replica_id, $3, $5, $6, $7 from seen cross join replica_member as m where m.replica_id = $2
        on conflict (pop_no, replica_id) do update
        set connected = excluded.connected, checks = excluded.checks, buckets = excluded.buckets,
            buckets_behind = excluded.buckets_behind
        "#,
        seen.pop.0.cast_signed(),
        replica.as_bytes(),
        seen.connected,
        seen.version,
        i64::from(seen.checks),
        i64::from(seen.manifests.wanted),
        i64::from(seen.manifests.behind.min(seen.manifests.wanted))
    )
    .execute(&db.operator_pool())
    .await?;
    Ok(())
}
