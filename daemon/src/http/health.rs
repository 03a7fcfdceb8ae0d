//! `GET /health`: for everybody, so without names.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;

/// Undelivered effects that are counted.
const UNDELIVERED_MAX: u32 = 1000;

/// `GET /health`
pub(super) async fn health(State(api): State<Api>) -> Json<Value> {
    let undelivered = match api.queue.outbox(UNDELIVERED_MAX).await {
        Ok(effects) => json!(effects.iter().filter(|effect| effect.attempts > 0).count()),
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
    Json(json!({
        "status": if well { "ok" } else { "degraded" },
        // Replies and thread notes that the vault has not taken yet; they are kept and tried again.
        "undelivered": undelivered,
        "version": env!("CARGO_PKG_VERSION"),
        "agents": api.registry.count(),
        "sandbox": &*api.sandbox,
        "dependencies": { "ok": missing.is_empty(), "missing": missing },
    }))
}
