//! What the double signs tokens with. The RSA keys lie beside the tests, since nothing in the tree makes such keys; they were
//! made for these tests and open nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

const RSA: [&[u8]; 2] = [
    include_bytes!("../../fixtures/hub/test-key-1.der"),
    include_bytes!("../../fixtures/hub/test-key-2.der"),
];

fn rejected(why: KeyRejected) -> std::io::Error {
    std::io::Error::other(why.to_string())
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

/// A pair of keys with a name.
pub struct Key {
    /// `kid`.
    pub id: String,
    pair: Pair,
}

/// Bytes as a token has them.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Key {
    /// One of the two RSA keys, under this name.
    ///
    /// # Errors
    /// Never with the keys that are there.
    pub fn rsa(id: &str, number: usize) -> std::io::Result<Self> {
        let pair = RsaKeyPair::from_der(RSA[number % RSA.len()]).map_err(rejected)?;
        Ok(Self {
            id: id.to_owned(),
            pair: Pair::Rsa(Box::new(pair)),
        })
    }

    /// A fresh key on the curve P-256, under this name.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn ec(id: &str) -> std::io::Result<Self> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let refused = |_| std::io::Error::other("no key");
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(refused)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(rejected)?;
        Ok(Self {
            id: id.to_owned(),
            pair: Pair::Ec(Box::new(pair)),
        })
    }

    /// The name of what it signs with.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        }
    }

    /// Its public half, as a key set has it.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encoded(&public.n), "e": encoded(&public.e) })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) })
            }
        };
        jwk["kid"] = self.id.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    /// The bytes of its public half, as somebody may use them for a secret who has read the key set.
    #[must_use]
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// A token with this head and these claims.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn sign(&self, head: &Value, claims: &Value) -> std::io::Result<String> {
        let text = format!(
            "{}.{}",
            encoded(head.to_string().as_bytes()),
            encoded(claims.to_string().as_bytes())
        );
        let random = SystemRandom::new();
        let refused = |_| std::io::Error::other("not signed");
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                    .map_err(refused)?;
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, text.as_bytes()).map_err(refused)?.as_ref().to_vec(),
        };
        Ok(format!("{text}.{}", encoded(&signature)))
    }

    /// The same with the usual head.
    ///
    /// # Errors
    /// As [`Key::sign`].
    pub fn token(&self, claims: &Value) -> std::io::Result<String> {
        let head = json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.id });
        self.sign(&head, claims)
    }
}
