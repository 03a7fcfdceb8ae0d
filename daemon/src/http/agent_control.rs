//! A person's hand on an agent: pause, resume, begin anew, change its definition.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{ChannelName, Conversation, ThreadKey};
use reveille_vault::agent::tag;
use reveille_vault::{ContentChange, Key, Metadata, Note, NoteId, Patch, Precondition, Vault, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::agent_view::Agent;
use super::agents::{check, find, free, now};
use super::error::{ApiError, Body, OptionalBody, Segment};
use super::step_up::Proof;
use crate::ending::thread_path;
use crate::registry::Listed;

/// Keys of a definition that a pause is made of.
const PAUSED: &str = "paused";
const REASON: &str = "pause_reason";
/// How often a definition is read again that changes meanwhile.
const TRIES: u32 = 3;

/// A pause that a person wants.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PauseRequest)]
pub(super) struct Pause {
    /// Why.
    reason: Option<String>,
}

/// Pauses an agent: messages are taken and wait; a turn that runs goes on to its end. Written on the definition, so that it
/// holds over a restart and can be seen and taken back there.
#[utoipa::path(
    post, path = "/api/agents/{name}/pause", operation_id = "pauseAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    request_body = Option<Pause>,
    responses(
        (status = 200, description = "The agent as it is now.", body = Agent),
        (status = 404, description = "There is no such agent: `unknown_agent`, `unknown_note`."),
    ),
)]
pub(super) async fn pause(
    State(api): State<Api>,
    Segment(name): Segment,
    OptionalBody(pause): OptionalBody<Pause>,
) -> Result<Json<Agent>, ApiError> {
    let listed = find(&api, &name)?;
    let mut patch = Patch::default();
    patch.metadata.insert(PAUSED.into(), true.into());
    match pause
        .reason
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty())
    {
        Some(reason) => drop(patch.metadata.insert(REASON.into(), reason.into())),
        None => patch.remove_metadata.push(REASON.into()),
    }
    write(&api, &listed, patch, Precondition::Force).await?;
    Ok(Json(now(&api, &name).await?))
}

/// Ends every pause of an agent, also one that the daemon made.
#[utoipa::path(
    post, path = "/api/agents/{name}/resume", operation_id = "resumeAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "The agent as it is now.", body = Agent),
        (status = 404, description = "There is no such agent: `unknown_agent`, `unknown_note`."),
    ),
)]
pub(super) async fn resume(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Agent>, ApiError> {
    let listed = find(&api, &name)?;
    if api.queue.resume(&channel(&name)?, &[]).await? {
        api.hub.agent_changed(&name);
    }
    let patch = Patch {
        remove_metadata: vec![PAUSED.into(), REASON.into()],
        ..Patch::default()
    };
    write(&api, &listed, patch, Precondition::Force).await?;
    // Where the definition said nothing of a pause, the feed has nothing to do.
    api.inbox.adopt(std::slice::from_ref(&name)).await?;
    Ok(Json(now(&api, &name).await?))
}

/// Which conversations are to begin anew; all of them, when nothing is said.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResetRequest)]
pub(super) struct Reset {
    thread: Option<Thread>,
}

/// One conversation: `"main"`, or `{"subject": "…"}`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResetThread)]
pub(super) enum Thread {
    Main,
    Subject(String),
}

/// What was begun anew.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentReset {
    reset: bool,
    /// Conversations that had a session.
    conversations: u64,
    /// What people may still see of the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// The next turn of each of an agent's conversations, or of one, begins a new session.
#[utoipa::path(
    post, path = "/api/agents/{name}/reset", operation_id = "resetAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    request_body = Option<Reset>,
    responses(
        (status = 200, description = "The sessions are forgotten.", body = AgentReset),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn reset(
    State(api): State<Api>,
    Segment(name): Segment,
    OptionalBody(reset): OptionalBody<Reset>,
) -> Result<Json<AgentReset>, ApiError> {
    let listed = find(&api, &name)?;
    let channel = channel(&name)?;
    let thread = reset.thread.map(|thread| match thread {
        Thread::Main => ThreadKey::Main,
        Thread::Subject(subject) => ThreadKey::Subject(subject.trim().to_owned()),
    });
    let conversations = api.queue.reset(&channel, thread.as_ref()).await?;
    // They have in mind what is forgotten.
    api.workers.context().warm.end_agent(&name).await;
    let mut answer = AgentReset {
        reset: true,
        conversations,
        warning: None,
    };
    // It holds: what follows is what people see.
    if let Err(error) = forget_sessions(&api, &listed, &channel, thread.as_ref()).await {
        tracing::warn!(?error, name, "thread notes still name sessions that are gone");
        answer.warning = Some(format!(
            "The sessions are forgotten, but some thread notes still name theirs: {}",
            error.message
        ));
    }
    Ok(Json(answer))
}

/// Empties `session` on the thread notes. Conversations of a single message are not gone on with: theirs stay a record.
async fn forget_sessions(
    api: &Api,
    listed: &Listed,
    channel: &ChannelName,
    thread: Option<&ThreadKey>,
) -> Result<(), ApiError> {
    let vault = vault_of(api, listed)?;
    for conversation in api.queue.conversations(channel).await? {
        let key = &conversation.lane.thread;
        if matches!(key, ThreadKey::Single(_)) || thread.is_some_and(|thread| thread != key) {
            continue;
        }
        let note = thread_note(&*vault, &conversation).await?;
        let Some(note) = note.filter(|note| note.text("session").is_some()) else {
            continue;
        };
        let patch = Patch {
            metadata: Metadata::from_iter([("session".to_owned(), Value::from(""))]),
            ..Patch::default()
        };
        match vault.patch(&Key::Id(note.id), patch, Precondition::Force).await {
            Ok(_) | Err(VaultError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// By its identity, as it was made; else by its place.
async fn thread_note(vault: &dyn Vault, conversation: &Conversation) -> Result<Option<Note>, VaultError> {
    if let Ok(id) = NoteId::new(conversation.id.to_string())
        && let Some(note) = vault.get(&Key::Id(id)).await?
    {
        return Ok(Some(note));
    }
    let lane = &conversation.lane;
    let path = thread_path(lane.channel.as_str(), &lane.thread, conversation.id);
    let note = vault.get(&Key::Path(path)).await?;
    Ok(note.filter(|note| note.has_tag(tag::THREAD)))
}

/// A change of an agent's definition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentEdit)]
pub(super) struct Edit {
    /// Its role.
    prompt: Option<String>,
    /// Other settings; a null takes one away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    metadata: Metadata,
    /// The state of the note that the change was made for; without it the change is laid over whatever is there.
    if_updated_at: Option<Timestamp>,
}

/// Another role, other settings; a null takes a setting away. Checked before anything is written.
#[utoipa::path(
    patch, path = "/api/agents/{name}", operation_id = "editAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    request_body = Edit,
    responses(
        (status = 200, description = "The agent as it is now. Its status is `pending` when its note has not been read yet.", body = Agent),
        (status = 404, description = "There is no such agent: `unknown_agent`, `unknown_note`."),
        (status = 409, description = "The note has changed since `if_updated_at`, or the name is taken: `conflict`, `agent_exists`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(name): Segment,
    proof: Proof,
    Body(edit): Body<Edit>,
) -> Result<Json<Agent>, ApiError> {
    let listed = find(&api, &name)?;
    let patch = patch_of(edit.prompt, edit.metadata);
    let name = change(&api, &proof, &listed, &patch, edit.if_updated_at).await?;
    match now(&api, &name).await {
        // It is written; the feed has not come by yet.
        Err(error) if error.code == "unknown_agent" => Ok(Json(Agent::pending(&name, &listed.vault, &listed.note))),
        answer => answer.map(Json),
    }
}

/// A change of a definition; a null takes a setting away.
pub(super) fn patch_of(prompt: Option<String>, metadata: Metadata) -> Patch {
    let (taken, set): (Vec<_>, Vec<_>) = metadata.into_iter().partition(|(_, value)| value.is_null());
    Patch {
        content: prompt.map_or(ContentChange::Keep, ContentChange::Replace),
        metadata: set.into_iter().collect(),
        remove_metadata: taken.into_iter().map(|(key, _)| key).collect(),
        ..Patch::default()
    }
}

/// Changes a definition if it holds together afterwards, and waits until that counts. Answers the agent's name from now on.
/// `since`: the state of the note that the change was made for.
///
/// # Errors
/// Then nothing is written: it would not hold together, it is dangerous and `proof` is not enough, the name belongs to another agent, the note has changed meanwhile or
/// is gone, or the vault cannot be used.
pub(super) async fn change(
    api: &Api,
    proof: &Proof,
    listed: &Listed,
    patch: &Patch,
    since: Option<Timestamp>,
) -> Result<String, ApiError> {
    let vault = vault_of(api, listed)?;
    let mut tries = 1;
    loop {
        let note = vault.get(&Key::Id(listed.note.clone())).await?;
        let mut draft = note.ok_or_else(|| ApiError::unknown_agent(&listed.name))?;
        let read = draft.updated_at;
        if since.is_some_and(|since| since != read) {
            return Err(changed_meanwhile());
        }
        if let ContentChange::Replace(prompt) = &patch.content {
            draft.content.clone_from(prompt);
        }
        draft.metadata.extend(patch.metadata.clone());
        draft.metadata.retain(|key, _| !patch.remove_metadata.contains(key));
        let definition = check(&draft)?;
        proof.check_definition(&api.step_up, &definition)?;
        let name = definition.name;
        if name != listed.name {
            free(api, &name)?;
        }
        match write(api, listed, patch.clone(), Precondition::UpdatedAt(read)).await {
            Err(error) if error.code == "conflict" && since.is_some() => return Err(changed_meanwhile()),
            Err(error) if error.code == "conflict" && tries < TRIES => tries += 1,
            outcome => return outcome.map(|()| name),
        }
    }
}

fn changed_meanwhile() -> ApiError {
    let message = "The definition has changed since it was read.";
    ApiError::new(StatusCode::CONFLICT, "conflict", message)
        .then("Nothing was written. Read it again, and change what is there now.")
}

/// Changes the definition, and waits until it counts: the feed alone says who there is.
async fn write(api: &Api, listed: &Listed, patch: Patch, precondition: Precondition) -> Result<(), ApiError> {
    let vault = vault_of(api, listed)?;
    vault.patch(&Key::Id(listed.note.clone()), patch, precondition).await?;
    api.inbox.caught_up(&*vault).await;
    Ok(())
}

/// The vault of a definition.
pub(super) fn vault_of(api: &Api, listed: &Listed) -> Result<std::sync::Arc<dyn Vault>, ApiError> {
    api.vaults
        .get(&listed.vault)
        .ok_or_else(|| ApiError::unknown_agent(&listed.name))
}

fn channel(name: &str) -> Result<ChannelName, ApiError> {
    name.parse().map_err(|_| ApiError::unknown_agent(name))
}
