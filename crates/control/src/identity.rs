//! Proof of a worker's identity, also while the database is away: who has proved it once in the life
//! of this process is believed then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::pop::Pop;
use sha2::{Digest as _, Sha256};
use tonic::metadata::MetadataMap;

use crate::error::{CallError, bounded_by};
use crate::registry::Registry;

/// A worker waits some seconds to be let in; by then a database that hangs has to count as away.
const AUTHENTICATION_MAX: Duration = Duration::from_secs(3);

/// A worker's secret as it came. Never shown.
#[derive(Clone)]
pub(crate) struct Secret(Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// The secret of `authorization: Bearer <secret>`.
    pub(crate) fn of_metadata(metadata: &MetadataMap) -> Option<Self> {
        let text = metadata.get("authorization")?.to_str().ok()?;
        let (scheme, secret) = text.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !secret.trim().is_empty()).then(|| Self(secret.trim().into()))
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// What a secret is worth.
#[derive(Debug)]
pub(crate) enum Identity {
    Known(Pop),
    /// Unknown or revoked.
    Stranger,
    /// The database is away and this process has not seen the secret before.
    Unverified(CallError),
}

#[derive(Debug, Default)]
pub(crate) struct Identities {
    /// By SHA-256 of the secret: the database's own digest needs the pepper, and this table is of one process.
    proved: Mutex<HashMap<[u8; 32], Pop>>,
}

impl Identities {
    pub(crate) async fn identify(&self, registry: &impl Registry, secret: &Secret) -> Identity {
        let digest = secret.digest();
        let answer = bounded_by(AUTHENTICATION_MAX, registry.authenticate(&secret.0)).await;
        let mut proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Some(pop)) => {
                proved.insert(digest, pop.clone());
                Identity::Known(pop)
            }
            Ok(None) => {
                proved.remove(&digest);
                Identity::Stranger
            }
            Err(error) => match proved.get(&digest) {
                Some(pop) => {
                    metrics::counter!("quorate_authentications_without_database_total").increment(1);
                    Identity::Known(pop.clone())
                }
                None => Identity::Unverified(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use quorate_core::pop::PopNo;
    use quorate_core::region::Region;

    use super::*;
    use quorate_core::ids::ReplicaId;
    use quorate_store::worker_tokens::Sighting;

    /// 0: the database is there and knows `good`; 1: it is away; 2: it is there and has revoked it.
    struct Moody(AtomicU8);

    impl Registry for Moody {
        async fn authenticate(&self, secret: &str) -> Result<Option<Pop>, quorate_store::Error> {
            let pop = Pop {
                no: PopNo(1),
                code: "lhr".parse().unwrap(),
                region: Region::Weu,
                city: "London".to_owned(),
                country: "GB".to_owned(),
            };
            match self.0.load(Ordering::Relaxed) {
                0 => Ok((secret == "good").then_some(pop)),
                1 => Err(quorate_store::Error::Schema("away".to_owned())),
                _ => Ok(None),
            }
        }

        async fn saw(&self, _: ReplicaId, _: &Sighting) -> Result<(), quorate_store::Error> {
            Ok(())
        }
    }

    fn secret(text: &str) -> Secret {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", format!("Bearer {text}").parse().unwrap());
        Secret::of_metadata(&metadata).unwrap()
    }

    #[tokio::test]
    async fn who_has_proved_itself_is_believed_while_the_database_is_away_and_no_longer_than_that() {
        let (registry, identities) = (Moody(AtomicU8::new(0)), Identities::default());
        let is = async |text: &str| identities.identify(&registry, &secret(text)).await;
        assert!(matches!(is("good").await, Identity::Known(_)));
        assert!(matches!(is("bad").await, Identity::Stranger));
        registry.0.store(1, Ordering::Relaxed);
        assert!(matches!(is("good").await, Identity::Known(_)));
        assert!(matches!(is("bad").await, Identity::Unverified(_)));
        registry.0.store(2, Ordering::Relaxed);
        assert!(matches!(is("good").await, Identity::Stranger));
        registry.0.store(1, Ordering::Relaxed);
        assert!(matches!(is("good").await, Identity::Unverified(_)), "a revoked one is forgotten");
    }

    #[test]
    fn only_a_bearer_token_is_a_secret() {
        let of = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", text.parse().unwrap());
            Secret::of_metadata(&metadata).map(|secret| secret.0.to_string())
        };
        assert_eq!(of("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(of("bearer abc "), Some("abc".to_owned()));
        assert_eq!([of("Basic abc"), of("Bearer "), of("abc")], [None, None, None]);
        assert!(!format!("{:?}", secret("hunter2")).contains("hunter2"));
    }
}
