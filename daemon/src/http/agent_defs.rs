//! `/api/agent-defs`: definitions by the identity of their notes, as clients of other daemons know them. The same as
//! `/api/agents`, in other words.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use http::StatusCode;
use reveille_vault::agent::{BackendKind, tag};
use reveille_vault::{Key, Metadata, NewNote, Note, NoteId, VaultError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::agent_control::{change, patch_of, vault_of};
use super::agent_settings::{entries, problems, warnings};
use super::agents::{check, free, preview};
use super::error::{ApiError, Body, Segment};
use super::step_up::Proof;
use crate::crash;
use crate::registry::Listed;

/// Where a definition is that was made here.
const FOLDER: &str = "Agents";
/// Longest answer of who keeps the grants.
const GRANTS_PATIENCE: Duration = Duration::from_secs(10);

/// A definition, without its role.
fn view(api: &Api, listed: &Listed) -> Value {
    let mut view = json!({
        "noteId": listed.note,
        "name": listed.name,
        "channel": listed.name,
        "vault": listed.vault,
        "status": listed.stamp.status,
        "status_detail": listed.stamp.detail,
        "pending": listed.stamp.pending,
        "problems": problems(listed),
        "warnings": warnings(listed),
        "connections": api.registry.connections(&listed.name),
        "source": if listed.is_thread { "thread" } else { "def" },
    });
    if let Some(definition) = &listed.definition {
        view["backend"] = definition.backend.as_str().into();
        view["mode"] = definition.mode.as_str().into();
        view["systemPromptPreview"] = preview(definition).into();
        view["wants"] = json!(entries(&definition.wants));
        if let Some(model) = &definition.model {
            view["model"] = model.as_str().into();
        }
    }
    view
}

/// The same with a role.
fn full(api: &Api, listed: &Listed, role: Option<&str>) -> Value {
    let mut view = view(api, listed);
    view["systemPrompt"] = role.unwrap_or_default().into();
    json!({ "ok": true, "def": view })
}

/// What a change has made of a definition.
fn changed(api: &Api, vault: &str, note: &NoteId) -> Result<Value, ApiError> {
    let live = lookup(api, note.as_str(), Some(vault)).map_err(|_| not_live(note))?;
    let role = live
        .definition
        .as_ref()
        .and_then(|definition| definition.prompt.as_deref());
    Ok(full(api, &live, role))
}

fn no_definition(id: &str) -> ApiError {
    let message = format!("No agent is defined by a note {id:?}");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_definition", message)
        .then("Nothing was done. `GET /api/agent-defs` lists the definitions that count.")
}

/// The vault did not do it. What it has against the request itself is told as everywhere else.
fn trouble(error: VaultError) -> ApiError {
    match error {
        VaultError::Unavailable { .. } => {
            ApiError::new(StatusCode::BAD_GATEWAY, "vault_unavailable", error.to_string())
                .then("Nothing was changed. `reveille vault list` says how the vaults stand.")
        }
        error => error.into(),
    }
}

/// A failure of the vault in the status of these routes.
fn as_gateway(mut error: ApiError) -> ApiError {
    if error.code == "vault_unavailable" {
        error.status = StatusCode::BAD_GATEWAY;
    }
    error
}

/// Which of several vaults is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct In {
    vault: Option<String>,
}

/// The definition that counts with that identity.
fn lookup(api: &Api, id: &str, vault: Option<&str>) -> Result<Listed, ApiError> {
    let all = api.registry.list().into_iter();
    let mut found: Vec<Listed> = all
        .filter(|listed| listed.live && listed.note.as_str() == id)
        .filter(|listed| vault.is_none_or(|vault| listed.vault == vault))
        .collect();
    if found.len() > 1 {
        let vaults: Vec<&str> = found.iter().map(|listed| listed.vault.as_str()).collect();
        let message = format!("Notes {id:?} of several vaults define agents: {}", vaults.join(", "));
        return Err(ApiError::new(StatusCode::CONFLICT, "ambiguous", message)
            .then("Nothing was done. Say which one with `?vault=NAME`."));
    }
    found.pop().ok_or_else(|| no_definition(id))
}

/// `GET /api/agent-defs`
pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    let all = api.registry.list();
    let live = all.iter().filter(|listed| listed.live);
    let defs: Vec<Value> = live.map(|listed| view(&api, listed)).collect();
    Json(json!({ "defs": defs }))
}

/// `GET /api/agent-defs/{id}`
pub(super) async fn show(
    State(api): State<Api>,
    Segment(id): Segment,
    Query(within): Query<In>,
) -> Result<Json<Value>, ApiError> {
    let listed = lookup(&api, &id, within.vault.as_deref())?;
    let vault = vault_of(&api, &listed)?;
    let note = vault.get(&Key::Id(listed.note.clone())).await.map_err(trouble)?;
    let note = note.ok_or_else(|| no_definition(&id))?;
    Ok(Json(full(&api, &listed, Some(&note.content))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewDefinition {
    vault: String,
    name: String,
    backend: Option<String>,
    #[serde(default)]
    system_prompt: String,
    wants: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// A value as text, the form that old vaults have. A list of plain values reads back as it was; null stays null.
fn as_text(value: Value) -> Value {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match &value {
        Value::Null | Value::String(_) => value,
        Value::Array(list) => match list.iter().map(plain).collect::<Option<Vec<_>>>() {
            Some(list) => list.join(", ").into(),
            None => value.to_string().into(),
        },
        _ => value.to_string().into(),
    }
}

impl NewDefinition {
    fn metadata(&mut self) -> Metadata {
        let bag = std::mem::take(&mut self.metadata).into_iter();
        let mut metadata: Metadata = bag
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, as_text(value)))
            .collect();
        metadata.insert("name".into(), self.name.trim().into());
        let backend = match self.backend.as_deref().map(str::trim) {
            None | Some("") => BackendKind::default().as_str(),
            Some("channel") => BackendKind::Attached.as_str(),
            Some(other) => other,
        };
        metadata.insert("backend".into(), backend.into());
        if let Some(wants) = self.wants.as_deref().map(str::trim).filter(|wants| !wants.is_empty()) {
            metadata.insert("wants".into(), wants.into());
        }
        metadata
    }
}

/// `POST /api/agent-defs`: checked before anything is written.
pub(super) async fn create(
    State(api): State<Api>,
    proof: Proof,
    Body(mut new): Body<NewDefinition>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Some(vault) = api.vaults.get(&new.vault) else {
        let mut error = ApiError::unknown_vault(&new.vault, &api.vaults);
        error.status = StatusCode::BAD_REQUEST;
        return Err(error);
    };
    let now = jiff::Timestamp::now();
    let draft = Note {
        id: NoteId::generate(),
        path: Some(format!("{FOLDER}/{}", new.name.trim())),
        metadata: new.metadata(),
        content: new.system_prompt,
        tags: vec![tag::DEFINITION.into()],
        created_at: now,
        updated_at: now,
    };
    let definition = check(&draft)?;
    proof.check_definition(&api.step_up, &definition)?;
    let name = definition.name;
    free(&api, &name)?;
    let note = NewNote {
        id: Some(draft.id),
        path: draft.path,
        content: draft.content,
        tags: draft.tags,
        metadata: draft.metadata,
        ..NewNote::default()
    };
    let written = vault.create(note).await.map_err(trouble)?;
    crash::point("agent.created");
    api.inbox.caught_up(&*vault).await;
    Ok((StatusCode::CREATED, Json(changed(&api, vault.name(), &written.id)?)))
}

fn not_live(note: &NoteId) -> ApiError {
    let message = format!("The definition is written as note {note}, but it does not count yet");
    ApiError::new(StatusCode::BAD_GATEWAY, "not_live", message)
        .then("Do not send it again: `reveille agent list` says what became of it.")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Edit {
    system_prompt: Option<String>,
    wants: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// `PATCH /api/agent-defs/{id}`: checked before anything is written. A null takes a setting away.
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(id): Segment,
    Query(within): Query<In>,
    proof: Proof,
    Body(edit): Body<Edit>,
) -> Result<Json<Value>, ApiError> {
    if edit.system_prompt.is_none() && edit.wants.is_none() && edit.metadata.is_empty() {
        let message = "There is nothing to change; give systemPrompt, wants or metadata";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message));
    }
    let listed = lookup(&api, &id, within.vault.as_deref())?;
    let bag = edit.metadata.into_iter();
    let mut metadata: Metadata = bag.map(|(key, value)| (key, as_text(value))).collect();
    if let Some(wants) = edit.wants {
        metadata.insert("wants".into(), wants.trim().into());
    }
    let patch = patch_of(edit.system_prompt, metadata);
    change(&api, &proof, &listed, &patch, None).await.map_err(as_gateway)?;
    Ok(Json(changed(&api, &listed.vault, &listed.note)?))
}

/// `DELETE /api/agent-defs/{id}`: the note first, and only then the agent.
pub(super) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
    Query(within): Query<In>,
) -> Result<Json<Value>, ApiError> {
    let listed = lookup(&api, &id, within.vault.as_deref())?;
    let vault = vault_of(&api, &listed)?;
    match vault.delete(&Key::Id(listed.note.clone())).await {
        Ok(_) | Err(VaultError::NotFound { .. }) => {}
        Err(error) => return Err(trouble(error)),
    }
    api.inbox.caught_up(&*vault).await;
    let reconciled = grants_are_gone(&api, &listed).await;
    Ok(Json(json!({
        "ok": true,
        "vault": listed.vault,
        "name": listed.name,
        "grantsReconciled": reconciled,
        "removed": true,
    })))
}

/// Drops what a removed agent was given. Whoever has its name now keeps what it wants. The service of the grants does the same
/// in its own time, and goes on when this fails.
async fn grants_are_gone(api: &Api, removed: &Listed) -> bool {
    let wanted = removed.definition.as_ref().is_some_and(|one| !one.wants.is_empty());
    if !wanted {
        return true;
    }
    let heir = api.registry.get(&removed.name);
    let live = heir.map_or_else(Vec::new, |agent| agent.definition.wants.clone());
    let dropped = api.grants.backend().reconcile(&removed.name, &live);
    let why = match tokio::time::timeout(GRANTS_PATIENCE, dropped).await {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "who keeps them does not answer".into(),
    };
    tracing::warn!(
        why,
        agent = removed.name,
        "the grants of a removed agent are not dropped yet"
    );
    false
}
