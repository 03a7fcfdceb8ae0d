//! `GET /health`: for everybody, so without names. Those who are let in see how the vaults stand.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde_json::{Value, json};

use super::Api;

/// `GET /health`
pub(super) async fn health(State(api): State<Api>, headers: HeaderMap) -> Json<Value> {
    let undelivered = match api.outbox.count_overdue().await {
        Ok(count) => json!(count),
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be read");
            Value::Null
        }
    };
    let missing: Vec<&str> = if api.claude.is_there() {
        Vec::new()
    } else {
        vec!["claude"]
    };
    let well = missing.is_empty() && undelivered == 0;
    let mut view = json!({
        "status": if well { "ok" } else { "degraded" },
        // Replies, thread notes and callbacks that the vault has not taken yet; they are kept and tried again.
        "undelivered": undelivered,
        "version": env!("CARGO_PKG_VERSION"),
        "agents": api.registry.count(),
        "sandbox": &*api.sandbox,
        "dependencies": { "ok": missing.is_empty(), "missing": missing },
    });
    if api.auth.knows(&headers) {
        view["vaults"] = json!(api.outbox.vault_states());
        // What triggers have given up telling; `reveille trigger list` shows where.
        view["dead_deliveries"] = dead_deliveries(&api).await;
    }
    Json(view)
}

/// Null when a vault cannot be read.
async fn dead_deliveries(api: &Api) -> Value {
    let mut dead = 0;
    for vault in api.vaults.all().filter(|vault| vault.capabilities().triggers) {
        let counted = match vault.triggers() {
            Ok(triggers) => triggers.dead().await,
            Err(error) => Err(error),
        };
        match counted {
            Ok(count) => dead += count,
            Err(error) => {
                // How the vault stands is told beside it.
                tracing::debug!(vault = vault.name(), %error, "the deliveries of triggers cannot be counted");
                return Value::Null;
            }
        }
    }
    json!(dead)
}
