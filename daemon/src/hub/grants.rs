//! Grants that a hub keeps.

use async_trait::async_trait;
use reqwest::Url;
use reveille_vault::agent::{Inject, Want};
use serde_json::Value;

use super::wire::Granted;
use super::{Hub, HubError};
use crate::grants::{Grant, GrantBackend, GrantError, GrantStatus, Material};

impl From<HubError> for GrantError {
    fn from(error: HubError) -> Self {
        match error.status {
            0 | 200..=299 | 408 | 429 | 500..=599 => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// `want`: as the note has it, where that is known. A hub may leave parts of it out.
fn grant(holder: &str, granted: Granted, want: Want) -> Grant {
    let known = GrantStatus::parse(&granted.status);
    let strange = known
        .is_none()
        .then(|| format!("the hub says {:?} of it, which is not known here", granted.status));
    Grant {
        id: granted.id,
        holder: holder.to_owned(),
        want,
        status: known.unwrap_or(GrantStatus::Pending),
        reason: granted.reason.filter(|reason| !reason.trim().is_empty()).or(strange),
    }
}

#[async_trait]
impl GrantBackend for Hub {
    fn kind(&self) -> &'static str {
        "hub"
    }

    fn place(&self) -> Option<&str> {
        Some(self.origin())
    }

    async fn register(&self, holder: &str, want: &Want) -> Result<Grant, GrantError> {
        let granted = self.put_grant(holder, &want.spec_json()).await?;
        Ok(grant(holder, granted, want.clone()))
    }

    async fn list(&self, holder: &str) -> Result<Vec<Grant>, GrantError> {
        let all = self.grants(holder).await?;
        // Those of others would be no answer to what was asked.
        let ours = all
            .into_iter()
            .filter(|granted| granted.agent.is_empty() || granted.agent == holder);
        let grants = ours.filter_map(|granted| {
            let want = Want::from_spec(&granted.connection);
            if want.is_none() {
                tracing::debug!(
                    holder,
                    grant = granted.id,
                    "the hub has a grant that no note could ask for"
                );
            }
            Some(grant(holder, granted, want?))
        });
        Ok(grants.collect())
    }

    async fn material(&self, grant: &Grant) -> Result<Option<Material>, GrantError> {
        let Some(body) = self.grant_material(&grant.id).await? else {
            return Ok(None);
        };
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
        if kind != grant.want.kind() {
            return Err(GrantError::Refused(format!(
                "the hub gives something of the kind {kind:?} for {}",
                grant.want.key()
            )));
        }
        // What does not fit is not shown: it may be a secret.
        material(kind, &body).map(Some).ok_or_else(|| {
            GrantError::Refused(format!(
                "what the hub gives for {} is not complete, or has no web address",
                grant.want.key()
            ))
        })
    }

    async fn reconcile(&self, holder: &str, live: &[Want]) -> Result<u64, GrantError> {
        let live: Vec<Value> = live.iter().map(Want::spec_json).collect();
        Ok(self.reconcile_grants(holder, &live).await?)
    }
}

fn material(kind: &str, body: &Value) -> Option<Material> {
    let text = |key: &str| {
        let text = body.get(key)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let address = |key: &str| {
        let url = text(key)?;
        let parsed = Url::parse(&url).ok()?; // silent-ok: then it is no address, which is told
        matches!(parsed.scheme(), "http" | "https").then_some(url)
    };
    Some(match kind {
        "vault" => Material::Vault {
            token: text("token")?,
            url: address("mcpUrl")?,
        },
        "service" => Material::Service {
            token: text("token")?,
            inject: inject(body),
        },
        "surface" => Material::Surface {
            token: text("token")?,
            remote_url: address("remoteUrl")?,
        },
        "mcp" => Material::Mcp {
            token: text("token"),
            url: address("mcpUrl")?,
        },
        _ => return None,
    })
}

/// Words that are not known inject nothing.
fn inject(body: &Value) -> Vec<Inject> {
    let words = body.get("inject").and_then(Value::as_array);
    let words = words.into_iter().flatten().filter_map(Value::as_str);
    let known = |word: &str| {
        let mut all = [Inject::Env, Inject::Mcp].into_iter();
        all.find(|inject| inject.as_str() == word)
    };
    words.filter_map(known).collect()
}
