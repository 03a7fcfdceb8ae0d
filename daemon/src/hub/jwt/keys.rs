//! What the hub signs with, and what it has revoked.

use std::collections::HashSet;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Most keys of which notice is taken.
const KEYS_MAX: usize = 64;

/// The public keys of the hub.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Keys {
    /// Reads a JSON Web Key Set. What is no key that the hub may sign with is left out.
    ///
    /// # Errors
    /// It is no such set.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(|error| format!("that is no set of keys ({error})"))?;
        Ok(Self(set.keys.into_iter().take(KEYS_MAX).filter_map(key).collect()))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The key that a token names, for the algorithm that it names. What may be verified with a key hangs on the key alone.
    pub(super) fn find(&self, id: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let found = self.0.iter().find(|key| key.id == id && key.algorithm == algorithm);
        found.map(|key| &key.key)
    }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?; // silent-ok: a key of a kind that is not known here is none of ours
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    let signs = jwk
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let other = jwk.common.key_algorithm.is_some_and(|named| named != name);
    if !signs || other {
        return None;
    }
    Some(Key {
        id: jwk.common.key_id.clone().filter(|id| !id.is_empty())?,
        algorithm,
        key: DecodingKey::from_jwk(&jwk).ok()?, // silent-ok: what is no number is no key
    })
}

/// The tokens that the hub has taken back, by their `jti`.
pub(super) struct Revoked(HashSet<String>);

impl Revoked {
    /// Reads the list.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct List {
            jtis: Vec<String>,
        }
        let list: List =
            serde_json::from_slice(text).map_err(|error| format!("that is no list of revoked tokens ({error})"))?;
        Ok(Self(list.jtis.into_iter().collect()))
    }

    /// Whether a token was taken back.
    pub(super) fn has(&self, jti: &str) -> bool {
        self.0.contains(jti)
    }
}
