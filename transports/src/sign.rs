//! Signatures of webhooks: Standard Webhooks 1.0, the supervisor's profile, and GitHub's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What secrets of Standard Webhooks begin with.
pub const PREFIX: &str = "whsec_";

/// A secret. It is shown nowhere: not by `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A secret of Standard Webhooks out of 32 random bytes.
    #[must_use]
    pub fn fresh(random: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(random)))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key of Standard Webhooks: the bytes that stand in base64 behind `whsec_`.
    ///
    /// # Errors
    /// Why it is none, without the secret.
    pub fn standard_key(&self) -> Result<Vec<u8>, String> {
        let text = self.0.strip_prefix(PREFIX).unwrap_or(&self.0);
        let key = STANDARD
            .decode(text)
            .map_err(|_| format!("the secret is not {PREFIX} and base64"))?;
        match key.len() {
            // The standard asks for 24 to 64; shorter ones can be guessed.
            0..16 => Err("the secret has fewer than 16 bytes".into()),
            _ => Ok(key),
        }
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of `webhook-signature` (one of those in it): HMAC-SHA256 over `id.timestamp.body` in base64.
#[must_use]
pub fn standard(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = mac(key, &[format!("{id}.{timestamp}.").as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
}

/// The value of `x-supervisor-signature`: HMAC-SHA256 over `timestamp.nonce.body` in hexadecimal, the token's bytes as key.
#[must_use]
pub fn supervisor(token: &Secret, timestamp_ms: i64, nonce: &str, body: &[u8]) -> String {
    let key = token.expose().as_bytes();
    let signed = mac(key, &[format!("{timestamp_ms}.{nonce}.").as_bytes(), body]);
    format!("sha256={}", hex(&signed.finalize().into_bytes()))
}

/// Whether one of the signatures in a `webhook-signature` header is made with one of the keys. In constant time for each.
#[must_use]
pub fn is_standard(keys: &[Vec<u8>], header: &str, id: &str, timestamp: i64, body: &[u8]) -> bool {
    let claimed: Vec<Vec<u8>> = header
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok()) // silent-ok: it is not one of ours
        .take(16)
        .collect();
    let head = format!("{id}.{timestamp}.");
    keys.iter().any(|key| {
        let signed = mac(key, &[head.as_bytes(), body]);
        claimed
            .iter()
            .any(|claimed| signed.clone().verify_slice(claimed).is_ok())
    })
}

/// Whether an `X-Hub-Signature-256` header is made with one of the secrets. In constant time for each.
#[must_use]
pub fn is_github(secrets: &[Secret], header: &str, body: &[u8]) -> bool {
    let Some(claimed) = header.trim().strip_prefix("sha256=").and_then(unhex) else {
        return false;
    };
    secrets
        .iter()
        .any(|secret| mac(secret.expose().as_bytes(), &[body]).verify_slice(&claimed).is_ok())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn signatures_are_those_of_the_vectors() {
        // The example of the standard.
        let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .standard_key()
            .unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signed = standard(&key, id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = format!("v1,AAAA v2,x {signed}");
        let keys = [b"another key of this size".to_vec(), key];
        assert!(is_standard(&keys, &both, id, 1_614_265_330, body));
        assert!(!is_standard(&keys[..1], &both, id, 1_614_265_330, body));
        assert!(!is_standard(&keys, &both, id, 1_614_265_331, body));
        assert!(!is_standard(&keys, "v1,AAAA", id, 1_614_265_330, body));
        for (token, timestamp, nonce, body, hex) in [
            (
                "secret-token",
                1_700_000_000_000,
                "11111111-2222-4333-8444-555555555555",
                r#"{"kind":"heartbeat","sequence":0}"#,
                "36d0b58419d831c37a6798bfbd59d693ab94d72176a6e91320faa988e71b6a67",
            ),
            (
                "secret-token",
                1_700_000_000_000,
                "11111111-2222-4333-8444-555555555555",
                r#"{"text":"héllo ✓"}"#,
                "43ffd373854e836add2a015d362a48f36a5d4439cbb98822233ee4179bdf1f0c",
            ),
            (
                "clé",
                1_700_000_000_001,
                "00000000-0000-4000-8000-000000000000",
                "",
                "e14a1d7171f762677605d73ac616b5ce9a4c848266a52e7aac158f1d5a9bc8a9",
            ),
        ] {
            assert_eq!(
                supervisor(&Secret::new(token), timestamp, nonce, body.as_bytes()),
                format!("sha256={hex}")
            );
        }
        // GitHub's own example.
        let secrets = [Secret::new("old"), Secret::new("It's a Secret to Everybody")];
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_github(&secrets, header, b"Hello, World!"));
        assert!(!is_github(&secrets, header, b"Hello, World"));
        assert!(!is_github(&secrets[..1], header, b"Hello, World!"));
        for wrong in ["", "sha1=00", "sha256=7", "sha256=zz", &header[7..]] {
            assert!(!is_github(&secrets, wrong, b"Hello, World!"), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let secret = Secret::fresh([7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.standard_key().unwrap(), [7; 32]);
        assert!(
            !Secret::new("whsec_?secret")
                .standard_key()
                .unwrap_err()
                .contains("?secret")
        );
        assert!(Secret::new("whsec_AAAA").standard_key().unwrap_err().contains("16"));
    }
}
