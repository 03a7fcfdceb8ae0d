//! Tokens for vaults, made by the hub.

use std::fmt;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Hub, HubError};

/// A token that the hub has made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Minted {
    /// The hub's name for it; empty when it gave none.
    pub(crate) jti: String,
    /// The token.
    pub(crate) token: String,
    /// Until when it is good, when the hub says so.
    pub(crate) expires_at: Option<Timestamp>,
    /// What it is good for.
    pub(crate) scope: String,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted")
            .field("jti", &self.jti)
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// Makes a token for one vault: `verb` is `read`, `write` or `admin`; with `tags` it is good for notes with one of them
    /// only. How long it is good is the hub's choice.
    ///
    /// # Errors
    /// The hub refuses, or answers no token.
    pub(crate) async fn mint(&self, vault: &str, verb: &str, tags: &[String]) -> Result<Minted, HubError> {
        let scope = format!("vault:{vault}:{verb}");
        let mut asked = json!({ "scope": scope, "audience": format!("vault.{vault}") });
        if !tags.is_empty() {
            asked["permissions"] = json!({ "scoped_tags": tags });
        }
        let answer = self.ask(Method::POST, "/api/auth/mint-token", Some(&asked)).await?;
        let body = answer.body.unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("token").is_empty() {
            return Err(HubError::garbled(answer.status, "it made no token"));
        }
        Ok(Minted {
            jti: text("jti").to_owned(),
            token: text("token").to_owned(),
            expires_at: moment(&body["expires_at"]),
            scope: match text("scope") {
                "" => scope,
                given => given.to_owned(),
            },
        })
    }
}

/// RFC 3339, or seconds since 1970.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(), // silent-ok: then it is not known until when
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(), // silent-ok: likewise
        _ => None,
    }
}
