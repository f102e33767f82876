//! Worker tokens and the registry of PoPs.

use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_store::tokens::Pepper;
use quorate_store::verdicts::{PgVerdicts, VerdictStore};
use quorate_store::worker_tokens::{self, Manifests, NewPop, Sighting};
use quorate_store::{Db, Error};

use crate::support::Database;
use crate::verdicts::{beat, replica};

const PEPPER: Pepper = Pepper([7; 32]);

fn london() -> NewPop {
    NewPop { code: "lhr".parse().unwrap(), region: Region::Weu, city: "London".to_owned(), country: "GB".to_owned() }
}

async fn register(db: &Db, pop: NewPop) -> Result<(Pop, String), Error> {
    let mut op = db.operator().await.unwrap();
    let registered = worker_tokens::create(&mut op, &PEPPER, pop).await?;
    op.commit().await?;
    Ok(registered)
}

#[tokio::test]
async fn numbers_are_given_in_order_and_a_new_token_replaces_the_old() {
    let world = Database::new().await;
    let (pop, old) = register(&world.db, london()).await.unwrap();
    let paris = NewPop { code: "cdg".parse().unwrap(), city: "Paris".to_owned(), country: "FR".to_owned(), ..london() };
    let (other, _) = register(&world.db, paris).await.unwrap();
    assert_eq!((pop.no, other.no), (PopNo(0), PopNo(1)));
    assert_eq!(old.len(), 64);
    let (again, new) = register(&world.db, NewPop { city: "Greater London".to_owned(), ..london() }).await.unwrap();
    assert_eq!((again.no, again.city.as_str()), (PopNo(0), "Greater London"));
    assert_eq!(worker_tokens::authenticate(&world.db, &PEPPER, &old).await.unwrap(), None);
    assert_eq!(worker_tokens::authenticate(&world.db, &PEPPER, &new).await.unwrap(), Some(again));
    assert_eq!(worker_tokens::authenticate(&world.db, &Pepper([8; 32]), &new).await.unwrap(), None);
    let moved = register(&world.db, NewPop { region: Region::Enam, ..london() }).await;
    assert!(matches!(moved, Err(Error::NotUnique { field: "code" })), "{moved:?}");
}

#[tokio::test]
async fn a_revoked_pop_is_registered_no_more_and_keeps_its_name() {
    let world = Database::new().await;
    let (pop, secret) = register(&world.db, london()).await.unwrap();
    let store = PgVerdicts::new(world.db.clone());
    assert_eq!(store.registered_pops().await.unwrap(), std::slice::from_ref(&pop));
    let (one, two) = (replica(1), replica(2));
    beat(&store, &one).await;
    let seen = |connected, checks, wanted, behind| Sighting {
        pop: pop.no,
        connected,
        version: "0.1.0".to_owned(),
        checks,
        manifests: Manifests { wanted, behind },
    };
    worker_tokens::saw(&world.db, one.id, &seen(true, 17, 9, 2)).await.unwrap();
    worker_tokens::saw(&world.db, two.id, &seen(true, 4, 3, 1)).await.unwrap();
    let mut op = world.db.operator().await.unwrap();
    let listed = worker_tokens::list(&mut op).await.unwrap().remove(0);
    assert_eq!((listed.connected, listed.version.as_deref(), listed.checks), (Some(true), Some("0.1.0"), Some(17)));
    assert_eq!(listed.manifests, Some(Manifests { wanted: 9, behind: 2 }), "the second has no heartbeat");
    beat(&store, &two).await;
    worker_tokens::saw(&world.db, two.id, &seen(true, 4, 3, 1)).await.unwrap();
    let listed = worker_tokens::list(&mut op).await.unwrap().remove(0);
    assert_eq!((listed.checks, listed.manifests), (Some(21), Some(Manifests { wanted: 12, behind: 3 })), "each tells of its own buckets");
    worker_tokens::saw(&world.db, one.id, &seen(false, 17, 9, 2)).await.unwrap();
    store.leave(two.id).await.unwrap();
    let listed = worker_tokens::list(&mut op).await.unwrap().remove(0);
    assert_eq!((listed.connected, listed.manifests), (Some(false), None), "the one lost it, and the other is gone");
    assert!(listed.last_round_at.is_some());
    assert!(worker_tokens::revoke(&mut op, &pop.code).await.unwrap());
    assert!(!worker_tokens::revoke(&mut op, &pop.code).await.unwrap());
    op.commit().await.unwrap();
    assert_eq!(worker_tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap(), None);
    assert!(store.registered_pops().await.unwrap().is_empty());
    let mut tenant = world.db.tenant(&[]).await.unwrap();
    assert_eq!(worker_tokens::pops(&mut tenant).await.unwrap(), std::slice::from_ref(&pop));
    assert!(worker_tokens::registered_pops(&mut tenant).await.unwrap().is_empty());
    drop(tenant);
    let (back, _) = register(&world.db, london()).await.unwrap();
    assert_eq!(back, pop);
}
