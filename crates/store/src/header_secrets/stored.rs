//! The headers that lie in the database: under which keys, and all of them under the one in use.

use quorate_core::ids::{AccountId, hex};
use serde_json::{Value, json};

use super::{KeyId, Owner, unreadable};
use crate::accounts;
use crate::audit::{self, Audited, INSTALLATION};
use crate::db::Operator;
use crate::error::Error;
use crate::row::Place;

/// How many values are sealed under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub key: KeyId,
    pub values: u64,
}

/// What [`reseal`] did with the headers of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Objects whose header was sealed anew.
    pub objects: u64,
    /// Objects of which a value cannot be opened: they stay as they are.
    pub unreadable: Vec<String>,
}

/// The keys under which anything is sealed.
pub async fn keys_in_use(op: &mut Operator) -> Result<Vec<KeyUse>, Error> {
    let rows = sqlx::query!(
        r#"
        select v.value ->> 'key' as "key!", count(*) as "values!"
        from (
            select header from monitor
            union all
            select settings #> '{http,header}' from healthcheck where jsonb_typeof(settings #> '{http,header}') = 'object'
            union all
            select monitor -> 'header' from preview
            union all
            select healthcheck #> '{http,header}' from preview where jsonb_typeof(healthcheck #> '{http,header}') = 'object'
        ) as h
        cross join lateral jsonb_each(h.header) as v (name, value)
        where jsonb_typeof(v.value) = 'object'
        group by 1
        order by 1
        "#
    )
    .fetch_all(op.conn())
    .await?;
    let place = Place { table: "monitor", key: &[] };
    rows.into_iter().map(|row| Ok(KeyUse { key: place.text("header", &row.key)?, values: place.number("count", row.values)? })).collect()
}

/// Seals the headers of an account under the key in use: what was sealed under another, and what was stored before it
/// counted as secret. Changes no object as anyone sees it.
pub async fn reseal(op: &mut Operator, account: AccountId) -> Result<Resealed, Error> {
    accounts::lock(op.conn(), account).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"
        select 'monitor' as "holder!", monitor_id as "id!", header as "header!", to_jsonb(secret_headers) as "marked!"
        from monitor
        where account_id = $1 and header <> '{}'
        union all
        select 'healthcheck', healthcheck_id, settings #> '{http,header}', coalesce(settings #> '{http,secret_headers}', '[]')
        from healthcheck
        where account_id = $1 and jsonb_typeof(settings #> '{http,header}') = 'object'
        union all
        select 'preview', preview_id, monitor -> 'header', coalesce(monitor -> 'secret_headers', '[]')
        from preview
        where account_id = $1 and monitor -> 'header' <> '{}'
        union all
        select 'healthcheck of a preview', preview_id, healthcheck #> '{http,header}', coalesce(healthcheck #> '{http,secret_headers}', '[]')
        from preview
        where account_id = $1 and jsonb_typeof(healthcheck #> '{http,header}') = 'object'
        order by 1, 2
        "#,
        account.as_bytes()
    )
    .fetch_all(op.conn())
    .await?;
    let secrets = op.header_secrets().clone();
    let mut done = Resealed::default();
    for row in rows {
        let holder = Holder::of(&row.holder);
        let owner = Owner { kind: holder.owner_kind(), account: account.as_bytes(), id: &row.id };
        let place = Place { table: owner.kind, key: &row.id };
        let marked: Vec<String> = place.json("secret_headers", row.marked)?;
        if secrets.is_up_to_date(&row.header, &marked) {
            continue;
        }
        let header = secrets.open(owner, row.header).map_err(|problem| place.corrupt(format_args!("header: {problem}")))?;
        if unreadable(&header).is_some() {
            done.unreadable.push(format!("{} {}", owner.kind, hex(&row.id)));
            continue;
        }
        let sealed = secrets.seal(owner, &header, &marked)?;
        write(op, holder, owner, sealed).await?;
        done.objects += 1;
    }
    Ok(done)
}

/// A stored header.
struct Row {
    /// Names a [`Holder`].
    holder: String,
    id: Vec<u8>,
    header: Value,
    /// Names that the object calls secret.
    marked: Value,
}

/// What holds a header.
#[derive(Clone, Copy)]
enum Holder {
    Monitor,
    Healthcheck,
    /// The settings that it probes with.
    Preview,
    /// The health check that a preview tells of.
    HealthcheckOfPreview,
}

impl Holder {
    /// As the statement of [`reseal`] names it.
    fn of(name: &str) -> Self {
        match name {
            "monitor" => Self::Monitor,
            "healthcheck" => Self::Healthcheck,
            "preview" => Self::Preview,
            _ => Self::HealthcheckOfPreview,
        }
    }

    /// As its headers were sealed for.
    const fn owner_kind(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Healthcheck => "healthcheck",
            Self::Preview | Self::HealthcheckOfPreview => "preview",
        }
    }
}

async fn write(op: &mut Operator, holder: Holder, owner: Owner<'_>, header: Value) -> Result<(), Error> {
    let query = match holder {
        Holder::Monitor => {
            sqlx::query!("update monitor set header = $3 where account_id = $1 and monitor_id = $2", owner.account, owner.id, header)
        }
        Holder::Healthcheck => sqlx::query!(
            "update healthcheck set settings = jsonb_set(settings, '{http,header}', $3) where account_id = $1 and healthcheck_id = $2",
            owner.account,
            owner.id,
            header
        ),
        Holder::Preview => sqlx::query!(
            "update preview set monitor = jsonb_set(monitor, '{header}', $3) where account_id = $1 and preview_id = $2",
            owner.account,
            owner.id,
            header
        ),
        Holder::HealthcheckOfPreview => sqlx::query!(
            "update preview set healthcheck = jsonb_set(healthcheck, '{http,header}', $3) where account_id = $1 and preview_id = $2",
            owner.account,
            owner.id,
            header
        ),
    };
    query.execute(op.conn()).await?;
    Ok(())
}

/// The key in use, as the audit log knows it.
struct InUse(Option<KeyId>);

impl Audited for InUse {
    const KIND: &'static str = "header_key";

    fn accounts(&self) -> Vec<AccountId> {
        vec![INSTALLATION]
    }

    fn id(&self) -> String {
        self.name()
    }

    fn name(&self) -> String {
        self.0.map_or_else(String::new, |id| id.to_string())
    }

    fn fields(&self) -> Value {
        json!({"key": self.0})
    }
}

/// Writes down that another key is in use from now on.
pub async fn key_changed(op: &mut Operator, before: Option<KeyId>, after: KeyId) -> Result<(), Error> {
    audit::updated(op.conn(), &InUse(before), &InUse(Some(after))).await
}
