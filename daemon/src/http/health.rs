//! `GET /health`: for everybody, so without names.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;

/// `GET /health`
pub(super) async fn health(State(api): State<Api>) -> Json<Value> {
    let missing: Vec<&str> = if api.claude.is_there() {
        Vec::new()
    } else {
        vec!["claude"]
    };
    Json(json!({
        "status": if missing.is_empty() { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "agents": api.registry.count(),
        "sandbox": &*api.sandbox,
        "dependencies": { "ok": missing.is_empty(), "missing": missing },
    }))
}
