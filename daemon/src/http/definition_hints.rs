//! `POST /api/vault/agent-def`, `…/agent-thread` and `…/role`: a note that agents are made of was written or removed.
//!
//! The server of a vault says so with its secret, as for messages, and is answered as there. Who may send messages to agents
//! may say so too, and is told what became of the note. Either way it is a hint: what counts is read from the vault.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use reveille_vault::{Key, Note, NoteId, Vault, VaultError};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::error::ApiError;
use super::vault_hints::{self, BODY_BYTES, wrong};
use super::{Api, Caller};
use crate::grants::role;
use crate::registry::Discovery;
use crate::tokens::{Scope, Verb};

/// What is read of a hint. What happened to the note is seen in the vault.
#[derive(Deserialize, ToSchema)]
#[schema(as = DefinitionHint)]
pub(super) struct Hint {
    vault: Option<String>,
    note: Named,
}

/// A note, by its id or by its path.
#[derive(Deserialize, ToSchema)]
#[schema(as = HintedNote)]
pub(super) struct Named {
    id: Option<String>,
    path: Option<String>,
}

impl Caller {
    /// Whether this caller may wake agents from outside. A turn has its own door.
    pub(super) fn may_hint(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Turn(_) => false,
            Self::Token(grant) => grant.covers(&Scope::daemon(Verb::Send)),
        }
    }
}

/// What was made of a note. Who shows the secret of a vault instead of a token is told nothing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is made by word")]
pub(super) struct HintTaken {
    ok: Option<bool>,
    /// `instantiated`, `deregistered` or `skipped`.
    reloaded: Option<String>,
    /// Of a role: `reconciled`, `pruned`, `error` or `skipped`.
    reconciled: Option<String>,
}

/// Says that a definition was written.
#[utoipa::path(
    post, path = "/api/vault/agent-def", operation_id = "hintAgentDef", tag = "hints", security(("bearer" = [])),
    request_body = Hint,
    responses(
        (status = 200, description = "It was looked there.", body = HintTaken),
        (status = 401, description = "Nothing was shown that is good for a hint: `unauthorized`."),
        (status = 429, description = "Many wrong secrets or tokens came from that address: `too_many_wrong_tokens`."),
    ),
)]
pub(super) async fn definition(State(api): State<Api>, request: Request) -> Response {
    follow(api, request, "reloaded", |look| match look {
        Look::Live(_) => "instantiated",
        Look::Gone(_) => "deregistered",
        Look::Idle(_) | Look::Unread => "skipped",
    })
    .await
}

/// Says that a thread was written.
#[utoipa::path(
    post, path = "/api/vault/agent-thread", operation_id = "hintAgentThread", tag = "hints", security(("bearer" = [])),
    request_body = Hint,
    responses(
        (status = 200, description = "It was looked there.", body = HintTaken),
        (status = 401, description = "Nothing was shown that is good for a hint: `unauthorized`."),
        (status = 429, description = "Many wrong secrets or tokens came from that address: `too_many_wrong_tokens`."),
    ),
)]
pub(super) async fn thread(state: State<Api>, request: Request) -> Response {
    // Where threads define nothing, there is nothing to do.
    match state.0.registry.discovery() {
        Discovery::Definitions => follow(state.0, request, "reloaded", |_| "skipped").await,
        Discovery::Both | Discovery::Threads => definition(state, request).await,
    }
}

/// Says that a role was written.
#[utoipa::path(
    post, path = "/api/vault/role", operation_id = "hintRole", tag = "hints", security(("bearer" = [])),
    request_body = Hint,
    responses(
        (status = 200, description = "It was looked there.", body = HintTaken),
        (status = 401, description = "Nothing was shown that is good for a hint: `unauthorized`."),
        (status = 429, description = "Many wrong secrets or tokens came from that address: `too_many_wrong_tokens`."),
    ),
)]
pub(super) async fn role_note(State(api): State<Api>, request: Request) -> Response {
    follow(api, request, "reconciled", |look| match look {
        Look::Unread => "skipped",
        Look::Live(note) | Look::Idle(note) | Look::Gone(note) => match note.as_ref().and_then(role::wants_of) {
            None => "pruned",
            Some(Ok(wants)) if wants.is_empty() => "pruned",
            Some(Ok(_)) => "reconciled",
            Some(Err(_)) => "error",
        },
    })
    .await
}

/// What was found where a hint points.
enum Look {
    /// A note that defines an agent.
    Live(Option<Note>),
    /// A note that is told what stands in its way.
    Idle(Option<Note>),
    /// Nothing that defines an agent.
    Gone(Option<Note>),
    /// The vault cannot be read now.
    Unread,
}

async fn follow(api: Api, request: Request, key: &str, word: impl Fn(Look) -> &'static str) -> Response {
    match vault_hints::admit(&api, &request).await {
        Ok(own) if !own.is_empty() => return vault_hints::receive(&api, own, request).await,
        Ok(_) => {}
        Err(refusal) => return refusal,
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), BODY_BYTES).await else {
        return wrong("The hint did not arrive whole, or is larger than 32 MiB.");
    };
    let needs = "A hint is JSON with `note.id` or `note.path`.";
    let Ok(hint) = serde_json::from_slice::<Hint>(&bytes) else {
        return wrong(needs);
    };
    let text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let note = match (text(hint.note.id), text(hint.note.path)) {
        (Some(id), _) => match NoteId::new(id) {
            Ok(id) => Key::Id(id),
            Err(error) => return wrong(&error.to_string()),
        },
        (None, Some(path)) => Key::Path(path),
        (None, None) => return wrong(needs),
    };
    let look = match vault_of(&api, text(hint.vault)) {
        Ok(Some(vault)) => look(&api, &*vault, &note).await,
        // Nothing of it is followed here.
        Ok(None) => Look::Unread,
        Err(error) => return error.into_response(),
    };
    Json(json!({ "ok": true, key: word(look) })).into_response()
}

/// The vault that a hint means: the one that it names, or the only one that it can mean.
fn vault_of(api: &Api, named: Option<String>) -> Result<Option<std::sync::Arc<dyn Vault>>, ApiError> {
    if let Some(name) = named {
        return Ok(api.vaults.get(&name));
    }
    let all = api.vaults.names();
    if let [only] = all.as_slice() {
        return Ok(api.vaults.get(only));
    }
    let mut defining: Vec<String> = api.registry.list().into_iter().map(|listed| listed.vault).collect();
    defining.sort();
    defining.dedup();
    if let [only] = defining.as_slice() {
        return Ok(api.vaults.get(only));
    }
    let message = format!(
        "There are several vaults: {}. Say which one with `vault`",
        all.join(", ")
    );
    Err(ApiError::new(StatusCode::BAD_REQUEST, "vault_needed", message))
}

/// Reads the note, and waits until the daemon has made of it what it makes.
async fn look(api: &Api, vault: &dyn Vault, key: &Key) -> Look {
    let seen = async {
        let id = match key {
            Key::Id(id) => Some(id.clone()),
            Key::Path(_) | Key::IdOrPath(_) => None,
        };
        vault.look(id.as_ref()).await?;
        let note = vault.get(key).await?;
        Ok::<_, VaultError>((note.as_ref().map(|note| note.id.clone()).or(id), note))
    };
    let (id, note) = match seen.await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::warn!(vault = vault.name(), %error, "a hint could not be followed; the scan finds what there is");
            return Look::Unread;
        }
    };
    api.inbox.caught_up(vault).await;
    let mut listed = api.registry.list().into_iter();
    match listed.find(|one| one.vault == vault.name() && Some(&one.note) == id.as_ref()) {
        Some(one) if one.live => Look::Live(note),
        Some(_) => Look::Idle(note),
        None => Look::Gone(note),
    }
}
