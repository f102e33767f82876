//! Tokens that were looked up a moment ago.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_store::tokens::Token;
use tokio::time::Instant;

/// How long a token may be believed without asking the database. A revoked one is refused after this
/// at the latest; five seconds are promised.
const TTL: Duration = Duration::from_secs(3);
/// Tokens remembered at once.
const TOKENS_MAX: usize = 10_000;

/// A token with the time at which the database was asked for it.
type Seen = (Instant, Arc<Token>);

/// What is remembered of credentials.
#[derive(Debug)]
pub(super) enum Remembered {
    /// The token, which the database need not be asked for.
    Fresh(Arc<Token>),
    /// They were right some time ago, and have to be looked up again.
    Stale,
    Unknown,
}

/// Tokens by the digest of their credentials, beyond [`TTL`] too: whoever was known is no stranger when looked up again.
#[derive(Default)]
pub(crate) struct TokenCache {
    tokens: Mutex<HashMap<[u8; 32], Seen>>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(..)")
    }
}

impl TokenCache {
    pub(super) fn get(&self, digest: &[u8; 32], now: Instant) -> Remembered {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.get(digest) {
            Some((seen, token)) if now.duration_since(*seen) < TTL => Remembered::Fresh(Arc::clone(token)),
            Some(_) => Remembered::Stale,
            None => Remembered::Unknown,
        }
    }

    /// They are not right any more.
    pub(super) fn forget(&self, digest: &[u8; 32]) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    pub(super) fn put(&self, digest: [u8; 32], now: Instant, token: Arc<Token>) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, (seen, _)| now.duration_since(*seen) < TTL);
        }
        if tokens.len() < TOKENS_MAX {
            tokens.insert(digest, (now, token));
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::TokenId;
    use quorate_store::tokens::Permissions;

    use super::*;

    #[test]
    fn a_token_is_believed_for_three_seconds_and_no_longer() {
        let cache = TokenCache::default();
        let token = Arc::new(Token {
            id: TokenId::from_bytes([1; 16]),
            name: "ci".to_owned(),
            email: None,
            permissions: Permissions::default(),
            accounts: Vec::new(),
            allowed_addresses: Vec::new(),
            created_on: jiff::Timestamp::UNIX_EPOCH,
            not_before: None,
            expires_on: None,
            revoked_on: None,
            last_used_on: None,
        });
        let start = Instant::now();
        cache.put([7; 32], start, token);
        assert!(matches!(cache.get(&[7; 32], start + Duration::from_millis(2_999)), Remembered::Fresh(_)));
        assert!(matches!(cache.get(&[7; 32], start + Duration::from_secs(3)), Remembered::Stale));
        assert!(matches!(cache.get(&[8; 32], start), Remembered::Unknown));
        cache.forget(&[7; 32]);
        assert!(matches!(cache.get(&[7; 32], start), Remembered::Unknown));
    }
}
