//! `/api/agent-defs`: definitions by the identity of their notes, as clients of other daemons know them. The same as
//! `/api/agents`, in other words.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use reveille_vault::agent::{BackendKind, tag};
use reveille_vault::{Key, Metadata, NewNote, Note, NoteId, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::agent_control::{change, patch_of, vault_of};
use super::agent_settings::{entries, problems, warnings};
use super::agent_view::preview;
use super::agents::{check, free};
use super::error::{ApiError, Body, Flaw, Segment};
use super::step_up::Proof;
use crate::crash;
use crate::registry::{Connection, Listed};

/// Where a definition is that was made here.
const FOLDER: &str = "Agents";
/// Longest answer of who keeps the grants.
const GRANTS_PATIENCE: Duration = Duration::from_secs(10);

/// A definition that counts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentDef)]
pub(super) struct View {
    note_id: String,
    name: String,
    /// The same.
    channel: String,
    vault: String,
    /// `enabled`, `pending` or `error`.
    status: &'static str,
    /// Empty, or what is wrong and what to do.
    #[serde(rename = "status_detail")]
    status_detail: String,
    /// Keys of what the agent wants and has not got.
    pending: Vec<String>,
    /// What keeps the note from counting as it is.
    problems: Vec<Flaw>,
    /// What looks wrong with a note that counts.
    warnings: Vec<Flaw>,
    connections: Vec<Connection>,
    /// `def`, or `thread` for a thread that names an agent.
    source: &'static str,
    /// `programmatic` or `attached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'static str>,
    /// `single-threaded` or `multi-threaded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    /// The beginning of its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    system_prompt_preview: Option<String>,
    /// What it wants, as it is written in a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    wants: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Its role; a list does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    system_prompt: Option<String>,
}

/// A definition, without its role.
fn view(api: &Api, listed: &Listed) -> View {
    let definition = listed.definition.as_deref();
    View {
        note_id: listed.note.to_string(),
        name: listed.name.clone(),
        channel: listed.name.clone(),
        vault: listed.vault.clone(),
        status: listed.stamp.status,
        status_detail: listed.stamp.detail.clone(),
        pending: listed.stamp.pending.clone(),
        problems: problems(listed),
        warnings: warnings(listed),
        connections: api.registry.connections(&listed.name),
        source: if listed.is_thread { "thread" } else { "def" },
        backend: definition.map(|one| one.backend.as_str()),
        mode: definition.map(|one| one.mode.as_str()),
        system_prompt_preview: definition.map(preview),
        wants: definition.map(|one| entries(&one.wants)),
        model: definition.and_then(|one| one.model.clone()),
        system_prompt: None,
    }
}

/// A definition with its role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentDefAnswer)]
pub(super) struct Full {
    ok: bool,
    def: View,
}

/// The same with a role.
fn full(api: &Api, listed: &Listed, role: Option<&str>) -> Full {
    let mut def = view(api, listed);
    def.system_prompt = Some(role.unwrap_or_default().to_owned());
    Full { ok: true, def }
}

/// What a change has made of a definition.
fn changed(api: &Api, vault: &str, note: &NoteId) -> Result<Full, ApiError> {
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
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct In {
    /// Where notes of several vaults have that identity.
    vault: Option<String>,
}

impl In {
    fn of(query: Result<Query<Self>, QueryRejection>) -> Result<Self, ApiError> {
        let Query(within) =
            query.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
        Ok(within)
    }
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

/// Definitions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentDefList {
    defs: Vec<View>,
}

/// The definitions that count.
#[utoipa::path(
    get, path = "/api/agent-defs", operation_id = "listAgentDefs", tag = "agents",
    responses((status = 200, description = "The definitions, without their roles.", body = AgentDefList)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<AgentDefList> {
    let all = api.registry.list();
    let live = all.iter().filter(|listed| listed.live);
    let defs = live.map(|listed| view(&api, listed)).collect();
    Json(AgentDefList { defs })
}

/// A definition with its role.
#[utoipa::path(
    get, path = "/api/agent-defs/{id}", operation_id = "getAgentDef", tag = "agents",
    params(("id" = String, Path, description = "The note of the definition."), In),
    responses(
        (status = 200, description = "The definition.", body = Full),
        (status = 404, description = "No agent is defined by such a note: `unknown_definition`."),
        (status = 409, description = "Notes of several vaults have that identity: `ambiguous`."),
        (status = 502, description = "The vault does not answer: `vault_unavailable`."),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Segment(id): Segment,
    within: Result<Query<In>, QueryRejection>,
) -> Result<Json<Full>, ApiError> {
    let within = In::of(within)?;
    let listed = lookup(&api, &id, within.vault.as_deref())?;
    let vault = vault_of(&api, &listed)?;
    let note = vault.get(&Key::Id(listed.note.clone())).await.map_err(trouble)?;
    let note = note.ok_or_else(|| no_definition(&id))?;
    Ok(Json(full(&api, &listed, Some(&note.content))))
}

/// A definition that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewAgentDef)]
pub(super) struct NewDefinition {
    vault: String,
    name: String,
    /// `programmatic` or `attached`.
    backend: Option<String>,
    /// Its role.
    #[serde(default)]
    system_prompt: String,
    /// What it wants, as it is written in a note.
    wants: Option<String>,
    /// Other settings.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
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

/// Makes an agent: writes its definition. Checked before anything is written.
#[utoipa::path(
    post, path = "/api/agent-defs", operation_id = "createAgentDef", tag = "agents", request_body = NewDefinition,
    responses(
        (status = 201, description = "The definition.", body = Full),
        (status = 409, description = "The name, the path or the identity is taken: `agent_exists`, `path_conflict`."),
        (status = 502, description = "The vault does not answer, or the definition is written and does not count yet: `vault_unavailable`, `not_live`."),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    proof: Proof,
    Body(mut new): Body<NewDefinition>,
) -> Result<(StatusCode, Json<Full>), ApiError> {
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

/// A change of a definition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = AgentDefEdit)]
pub(super) struct Edit {
    /// Its role.
    system_prompt: Option<String>,
    /// What it wants, as it is written in a note.
    wants: Option<String>,
    /// Other settings; a null takes one away.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    metadata: Metadata,
}

/// Changes a definition. Checked before anything is written.
#[utoipa::path(
    patch, path = "/api/agent-defs/{id}", operation_id = "editAgentDef", tag = "agents",
    params(("id" = String, Path, description = "The note of the definition."), In),
    request_body = Edit,
    responses(
        (status = 200, description = "The definition as it is now.", body = Full),
        (status = 404, description = "No agent is defined by such a note: `unknown_definition`, `unknown_agent`, `unknown_note`."),
        (status = 409, description = "Notes of several vaults have that identity, the name is taken, or the note changes all the time: `ambiguous`, `agent_exists`, `conflict`."),
        (status = 502, description = "The vault does not answer, or the definition is written and does not count yet: `vault_unavailable`, `not_live`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(id): Segment,
    within: Result<Query<In>, QueryRejection>,
    proof: Proof,
    Body(edit): Body<Edit>,
) -> Result<Json<Full>, ApiError> {
    let within = In::of(within)?;
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

/// What became of a definition that was to be removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentDefRemoved)]
pub(super) struct Removed {
    ok: bool,
    vault: String,
    name: String,
    /// What the agent was given is dropped; otherwise that is done later.
    #[serde(rename = "grantsReconciled")]
    grants_reconciled: bool,
    removed: bool,
}

/// Removes a definition: the note first, and only then the agent.
#[utoipa::path(
    delete, path = "/api/agent-defs/{id}", operation_id = "removeAgentDef", tag = "agents",
    params(("id" = String, Path, description = "The note of the definition."), In),
    responses(
        (status = 200, description = "It is gone.", body = Removed),
        (status = 404, description = "No agent is defined by such a note: `unknown_definition`."),
        (status = 409, description = "Notes of several vaults have that identity: `ambiguous`."),
        (status = 502, description = "The vault does not answer: `vault_unavailable`."),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
    within: Result<Query<In>, QueryRejection>,
) -> Result<Json<Removed>, ApiError> {
    let within = In::of(within)?;
    let listed = lookup(&api, &id, within.vault.as_deref())?;
    let vault = vault_of(&api, &listed)?;
    match vault.delete(&Key::Id(listed.note.clone())).await {
        Ok(_) | Err(VaultError::NotFound { .. }) => {}
        Err(error) => return Err(trouble(error)),
    }
    api.inbox.caught_up(&*vault).await;
    let reconciled = grants_are_gone(&api, &listed).await;
    Ok(Json(Removed {
        ok: true,
        vault: listed.vault,
        name: listed.name,
        grants_reconciled: reconciled,
        removed: true,
    }))
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
