//! Keys that are rotated: everything that is sealed moves under the new one.

use std::collections::BTreeMap;

use quorate_core::bucket::Bucket;
use quorate_core::healthcheck::{HealthcheckSettings, HttpConfig};
use quorate_core::monitor::MonitorSettings;
use quorate_core::preview::PreviewPool;
use quorate_core::region::Region;
use quorate_store::header_secrets::{self, HeaderKey, HeaderKeys, HeaderSecrets, KeyUse};
use quorate_store::{Db, healthchecks, monitors, previews};

use crate::healthchecks::settings;
use crate::support::{self, Database};

/// The store with these keys, the first in use.
fn holding(world: &Database, keys: &[u8]) -> Db {
    let keys = keys.iter().map(|byte| HeaderKey::new([*byte; 32])).collect();
    world.db.clone().with_header_secrets(HeaderSecrets::new(HeaderKeys::new(keys), &[], None))
}

fn header() -> BTreeMap<String, Vec<String>> {
    ["Authorization", "X-Own"].map(|name| (name.to_owned(), vec![format!("{name} canary")])).into()
}

#[tokio::test]
async fn after_a_rotation_nothing_needs_the_old_key_previews_included() {
    let world = Database::new().await;
    let pool = support::pool(&world.db, support::account(&world.db).await.id, "eu", 1).await;
    let account = pool.account_id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let marked = vec!["x-own".to_owned()];
    let monitor = MonitorSettings { header: header(), secret_headers: marked.clone(), ..MonitorSettings::default() };
    let http = HttpConfig { header: Some(header()), secret_headers: marked, ..HttpConfig::default() };
    let check = HealthcheckSettings { http: Some(http), ..settings("shop") };

    let old = holding(&world, &[7]);
    let mut tenant = old.tenant(&[account]).await.unwrap();
    let made = monitors::create(&mut tenant, account, &monitor).await.unwrap();
    let kept = healthchecks::create(&mut tenant, account, zone, &check).await.unwrap();
    let pools = [PreviewPool::of(&pool, &[])];
    previews::create(&mut tenant, account, &monitor, &pools, |_| true).await.unwrap();
    let seen = previews::healthcheck::create(&mut tenant, account, zone, check.clone(), Region::Weu, |_| true).await.unwrap();
    tenant.commit().await.unwrap();

    // A health check's preview holds its header twice: as it was written, and as it is asked.
    let uses = |byte: u8| vec![KeyUse { key: HeaderKey::new([byte; 32]).id(), values: 10 }];
    let mut op = old.operator().await.unwrap();
    assert_eq!(header_secrets::keys_in_use(&mut op).await.unwrap(), uses(7));
    drop(op);
    let rotated = holding(&world, &[8, 7]);
    let mut op = rotated.operator().await.unwrap();
    let done = header_secrets::reseal(&mut op, account).await.unwrap();
    assert_eq!((done.objects, done.unreadable), (5, Vec::new()));
    assert_eq!(header_secrets::reseal(&mut op, account).await.unwrap().objects, 0, "once is enough");
    assert_eq!(header_secrets::keys_in_use(&mut op).await.unwrap(), uses(8));
    op.commit().await.unwrap();

    let new = holding(&world, &[8]);
    let mut tenant = new.tenant(&[account]).await.unwrap();
    assert_eq!(monitors::find(&mut tenant, account, made.id).await.unwrap(), Some(made));
    assert_eq!(healthchecks::find(&mut tenant, account, zone, kept.id).await.unwrap(), Some(kept));
    let (read, _) = previews::healthcheck::find(&mut tenant, account, zone, seen.id).await.unwrap().expect("within the hour");
    assert_eq!(read.settings, seen.settings);
    drop(tenant);
    let buckets: Vec<Bucket> = Bucket::all().collect();
    let open = previews::open(&new, &buckets, 10, 10).await.unwrap();
    assert_eq!(open.iter().map(|open| &open.monitor.header).collect::<Vec<_>>(), [&header(), &header()]);
}

#[tokio::test]
async fn a_mark_that_was_set_behind_the_programs_back_is_sealed_with_the_rest() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let db = holding(&world, &[7]);
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let header = BTreeMap::from([("X-Own".to_owned(), vec!["canary".to_owned()])]);
    monitors::create(&mut tenant, account, &MonitorSettings { header, ..MonitorSettings::default() }).await.unwrap();
    tenant.commit().await.unwrap();
    let stored = "select count(*) from monitor where header::text like '%canary%'";
    assert_eq!(world.number(stored).await, 1);
    sqlx::Executor::execute(&mut world.admin().await, "update monitor set secret_headers = '{X-Own}'").await.unwrap();
    let mut op = db.operator().await.unwrap();
    assert_eq!(header_secrets::reseal(&mut op, account).await.unwrap().objects, 1);
    op.commit().await.unwrap();
    assert_eq!(world.number(stored).await, 0);
}
