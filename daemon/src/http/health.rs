//! `GET /health`: for everybody, so without names. Those who are let in see how the vaults stand.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use reveille_vault::{Vault, VaultState};
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
    let all = api.vaults.all();
    let vaults: Vec<Standing> = all.iter().map(|vault| Standing::of(&api, &**vault)).collect();
    let well = missing.is_empty() && undelivered == 0 && vaults.iter().all(Standing::is_well);
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
        view["vaults"] = vaults.iter().map(|one| one.view(&api)).collect();
        // What triggers have given up telling; `reveille trigger list` shows where.
        view["dead_deliveries"] = dead_deliveries(&api).await;
    }
    Json(view)
}

/// Null when a vault cannot be read.
async fn dead_deliveries(api: &Api) -> Value {
    let mut dead = 0;
    for vault in api.vaults.all().iter().filter(|vault| vault.capabilities().triggers) {
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

/// What a vault says of itself, and why there is no other token where it does not take the one that there is.
fn with_trouble(api: &Api, vault: &dyn Vault) -> VaultState {
    let trouble = api.roster.trouble(vault.name());
    let more = |reason: String| match &trouble {
        Some(trouble) => format!("{reason}; a new token was asked for, and {trouble}"),
        None => reason,
    };
    match vault.state() {
        VaultState::Ready => VaultState::Ready,
        VaultState::Degraded { reason, since } => VaultState::Degraded {
            reason: more(reason),
            since,
        },
        VaultState::Unavailable { reason, since } => VaultState::Unavailable {
            reason: more(reason),
            since,
        },
    }
}

/// How a vault stands: what itself says, and whether it is followed.
struct Standing<'a> {
    vault: &'a dyn Vault,
    state: VaultState,
}

impl<'a> Standing<'a> {
    fn of(api: &Api, vault: &'a dyn Vault) -> Self {
        let state = match (with_trouble(api, vault), api.inbox.progress.why_standing(vault.name())) {
            (VaultState::Ready, Some(standing)) if standing.unread => VaultState::Unavailable {
                reason: standing.reason,
                since: standing.since,
            },
            (VaultState::Ready, Some(standing)) => VaultState::Degraded {
                reason: format!("new notes in it are not taken now: {}", standing.reason),
                since: standing.since,
            },
            (state, _) => state,
        };
        Self { vault, state }
    }

    fn is_well(&self) -> bool {
        self.state == VaultState::Ready
    }

    fn view(&self, api: &Api) -> Value {
        let mut view = json!(self.state);
        view["name"] = self.vault.name().into();
        view["kind"] = json!(self.vault.kind());
        view["default"] = (self.vault.name() == api.vaults.default().name()).into();
        view["capabilities"] = json!(self.vault.capabilities());
        // Replies and the like that wait for it.
        let deliveries = api.outbox.vault_states();
        view["deliveries"] = json!(deliveries.iter().find(|one| one.vault == self.vault.name()));
        view
    }
}
