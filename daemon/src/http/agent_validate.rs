//! `POST /api/agents/validate`: what a definition would amount to, told while it is being written. Nothing is written.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::agent::{Problem, tag};
use reveille_vault::{Key, Metadata, Note, NoteId, Vault};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::agent_settings::{Setting, settings, told};
use super::agents::place_of;
use super::error::{ApiError, Body, Flaw};
use crate::registry::Reading;
use crate::sandboxing::Lowered;

/// A definition that may be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentDraft, example = json!({ "vault": "default", "name": "scribe", "content": "You write minutes.",
    "metadata": { "mode": "multi-threaded" } }))]
pub(super) struct Draft {
    /// Where its note is, or would be.
    vault: String,
    name: String,
    /// Its role; of a note that is there it stays as it is, when absent.
    content: Option<String>,
    /// Other settings; a null takes one away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    metadata: Metadata,
    /// The note that would be changed; a new one, when absent.
    note_id: Option<String>,
}

/// What a definition would amount to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentVerdict)]
pub(super) struct Verdict {
    /// It would count as it is.
    ok: bool,
    /// What keeps it from that.
    problems: Vec<Flaw>,
    /// What looks wrong with it all the same.
    warnings: Vec<Flaw>,
    /// What it asks for and would not get.
    lowered: Vec<Lowered>,
    /// Every setting that would count, by its key; none when it does not hold together.
    settings: BTreeMap<String, Setting>,
}

impl Draft {
    /// The note as it would be.
    async fn note(self, vault: &dyn Vault) -> Result<Note, ApiError> {
        let now = jiff::Timestamp::now();
        let mut note = match &self.note_id {
            None => Note {
                id: NoteId::generate(),
                path: Some(place_of(&self.name)),
                content: String::new(),
                tags: vec![tag::DEFINITION.into()],
                metadata: Metadata::new(),
                created_at: now,
                updated_at: now,
            },
            Some(id) => existing(vault, id).await?,
        };
        if let Some(content) = self.content {
            note.content = content;
        }
        note.metadata.extend(self.metadata);
        note.metadata.insert("name".into(), self.name.trim().into());
        note.metadata.retain(|_, value| !value.is_null());
        Ok(note)
    }
}

async fn existing(vault: &dyn Vault, id: &str) -> Result<Note, ApiError> {
    let gone = || {
        let message = format!("There is no note {id:?} in the vault {}.", vault.name());
        ApiError::new(StatusCode::NOT_FOUND, "unknown_note", message)
            .then("Read the definition again; it may have been removed.")
    };
    let key = NoteId::new(id).map_err(|_| gone())?;
    vault.get(&Key::Id(key)).await?.ok_or_else(gone)
}

/// Why the place of a new note is not free.
async fn obstacle(vault: &dyn Vault, name: &str) -> Result<Option<Problem>, ApiError> {
    let path = place_of(name);
    let there = vault.get(&Key::Path(path.clone())).await?;
    Ok(there.map(|_| {
        let message =
            format!("a note stands at {path}, where the definition would be; choose another name, or move it");
        Problem::new("name", message)
    }))
}

/// Reads a note as the registry does. The disk is looked at.
async fn read(api: &Api, note: &Note) -> Result<Reading, ApiError> {
    let (registry, note) = (api.registry.clone(), note.clone());
    tokio::task::spawn_blocking(move || registry.reading(&note))
        .await
        .map_err(|error| {
            tracing::error!(%error, "a definition could not be judged");
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The definition could not be judged.",
            )
        })
}

/// What a definition would amount to: the checks of a real one, and every setting. Nothing is written.
#[utoipa::path(
    post, path = "/api/agents/validate", operation_id = "validateAgent", tag = "agents", request_body = Draft,
    responses(
        (status = 200, description = "The verdict, also on a definition that does not hold together.", body = Verdict),
        (status = 404, description = "There is no such vault or note: `unknown_vault`, `unknown_note`."),
    ),
)]
pub(super) async fn validate(State(api): State<Api>, Body(draft): Body<Draft>) -> Result<Json<Verdict>, ApiError> {
    let vault = api
        .vaults
        .get(&draft.vault)
        .ok_or_else(|| ApiError::unknown_vault(&draft.vault, &api.vaults))?;
    let is_new = draft.note_id.is_none();
    let note = draft.note(&*vault).await?;
    let reading = read(&api, &note).await?;
    let verdict = match reading.parsed {
        Err(problems) => Verdict::refused(&problems),
        Ok(definition) => {
            let name = &definition.name;
            let mut problems: Vec<Problem> = api
                .registry
                .taken_from(name, vault.name(), &note.id)
                .into_iter()
                .collect();
            if is_new && problems.is_empty() {
                problems.extend(obstacle(&*vault, name).await?);
            }
            Verdict {
                warnings: told(&definition.warnings),
                lowered: reading.lowered,
                settings: settings(&definition, api.claude.config()),
                ..Verdict::refused(&problems)
            }
        }
    };
    Ok(Json(verdict))
}

impl Verdict {
    fn refused(problems: &[Problem]) -> Self {
        Self {
            ok: problems.is_empty(),
            problems: told(problems),
            warnings: Vec::new(),
            lowered: Vec::new(),
            settings: BTreeMap::new(),
        }
    }
}
