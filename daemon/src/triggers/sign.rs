//! Signatures as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, the key behind `whsec_` in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reveille_vault::triggers::Secret;
use sha2::Sha256;
use uuid::Uuid;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// A fresh secret of 32 bytes.
pub(crate) fn fresh_secret() -> Secret {
    let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

/// The value of the header `webhook-signature`.
///
/// # Errors
/// The secret is none of ours.
pub(super) fn signature(secret: &Secret, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    let key = secret.expose();
    let key = STANDARD
        .decode(key.strip_prefix(PREFIX).unwrap_or(key))
        .map_err(|_| "the stored secret is damaged; register the trigger again with `rotate_secret`".to_owned())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// The example of the specification.
    #[test]
    fn the_signature_is_the_standard_s() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_differ_and_sign() {
        let (one, other) = (fresh_secret(), fresh_secret());
        assert_ne!(one, other);
        assert!(one.expose().starts_with(PREFIX) && one.expose().len() == 50);
        assert_ne!(signature(&one, "i", 0, "b"), signature(&other, "i", 0, "b"));
        assert!(
            signature(&Secret::new("whsec_?"), "i", 0, "b")
                .unwrap_err()
                .contains("rotate_secret")
        );
    }
}
