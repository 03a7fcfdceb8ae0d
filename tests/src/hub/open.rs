//! What the double tells everybody: its keys, and the tokens that it has taken back; and the tokens that it gives.

use std::sync::Arc;

use serde_json::{Value, json};

use super::keys::Key;
use super::{HubDouble, Reply, Shared, lock, made};

/// What it signs with, and what it has taken back.
pub(super) struct Signing {
    /// The last one signs; all are told.
    keys: Vec<Arc<Key>>,
    revoked: Vec<String>,
    /// Tokens are numbered.
    given: usize,
}

impl Signing {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            keys: vec![Arc::new(Key::rsa("first", 0)?)],
            revoked: Vec::new(),
            given: 0,
        })
    }
}

/// The routes that want no bearer. `None`: it is none of them.
pub(super) fn route(shared: &Shared, path: &str) -> Option<Reply> {
    let faults = lock(&shared.faults).clone();
    let signing = lock(&shared.signing);
    match path {
        "/.well-known/jwks.json" => Some(match faults.keys {
            Some(status) => made(status, "made"),
            None => {
                let mut keys: Vec<Value> = signing.keys.iter().map(|key| key.jwk()).collect();
                // What others use it for, and what nobody knows, is there too.
                keys.push(json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0" }));
                keys.push(json!({ "kty": "new", "kid": "unknown", "p": 7 }));
                (200, json!({ "keys": keys }))
            }
        }),
        "/.well-known/parachute-revocation.json" => Some(match faults.revoked {
            Some(status) => made(status, "made"),
            None => (
                200,
                json!({ "generated_at": "2026-01-01T00:00:00.000Z", "jtis": signing.revoked }),
            ),
        }),
        _ => None,
    }
}

impl HubDouble {
    /// What it signs with now.
    #[must_use]
    pub fn key(&self) -> Arc<Key> {
        let signing = lock(&self.shared.signing);
        Arc::clone(&signing.keys[signing.keys.len() - 1])
    }

    /// Signs with this key from now on, and forgets those before.
    pub fn rotate(&self, key: Key) {
        lock(&self.shared.signing).keys = vec![Arc::new(key)];
    }

    /// Signs with this key from now on; those before hold.
    pub fn add_key(&self, key: Key) {
        lock(&self.shared.signing).keys.push(Arc::new(key));
    }

    /// The claims of a good token for the daemon with these scopes, with a `jti` of its own, for ten minutes.
    #[must_use]
    pub fn claims(&self, scope: &str) -> Value {
        let mut signing = lock(&self.shared.signing);
        signing.given += 1;
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.url(), "sub": "user-1", "aud": "reveille", "jti": format!("token-{}", signing.given),
            "scope": scope, "client_id": "a-client", "iat": now, "exp": now + 600,
        })
    }

    /// A good token with these scopes.
    ///
    /// # Errors
    /// As [`Key::sign`].
    pub fn token(&self, scope: &str) -> std::io::Result<String> {
        self.key().token(&self.claims(scope))
    }

    /// Takes a token back.
    pub fn revoke_token(&self, jti: &str) {
        lock(&self.shared.signing).revoked.push(jti.to_owned());
    }

    /// How often its keys were asked for since the last [`HubDouble::take_log`].
    #[must_use]
    pub fn key_fetches(&self) -> usize {
        let log = self.log();
        log.iter()
            .filter(|asked| asked.line.ends_with("/.well-known/jwks.json"))
            .count()
    }
}
