//! The routes of links, and listings as a graph.

use std::collections::HashSet;

use axum::http::Uri;
use axum::response::Response;
use reveille_vault::note::millis;
use reveille_vault::{Key, Link, Near, Note, NoteId, Vault, VaultError};
use serde_json::{Value, json};

use super::answer::{self, Failure};
use super::listing::Parameters;
use super::{Target, schema};

/// Links that a way between two notes may have when nobody says it, and at most.
const PATH_DEPTH: i64 = 5;
const PATH_DEPTH_MAX: i64 = 20;

/// Links away from a note that are near when nobody says it, and at most.
const NEAR: i64 = 2;
const NEAR_MAX: i64 = 5;

/// What is asked of the notes near one.
pub(super) fn near(parameters: &Parameters) -> Result<Option<Near>, Failure> {
    let Some(note) = parameters.first("near[note_id]") else {
        return match parameters.named_like("near") {
            None => Ok(None),
            Some(name) => Err(Failure::invalid(name, "near[note_id] must name the note in the middle")),
        };
    };
    let depth = parameters.number("near[depth]").unwrap_or(NEAR).clamp(0, NEAR_MAX);
    Ok(Some(Near {
        note: Key::IdOrPath(note.to_owned()),
        depth: u32::try_from(depth).unwrap_or_default(),
        relationship: parameters.first("near[relationship]").map(str::to_owned),
        scope: None,
    }))
}

/// Whether notes are asked for as a graph.
pub(super) fn is_asked(parameters: &Parameters) -> Result<bool, Failure> {
    match parameters.first("format") {
        None => Ok(false),
        Some("graph") => Ok(true),
        Some(_) => Err(Failure::invalid("format", "format must be graph, or left out")),
    }
}

/// The shortest way of links between two notes; null when there is none.
#[utoipa::path(
    get, path = "/vault/{name}/api/find-path", operation_id = "findNotePath", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("source" = String, Query, description = "Id or path of a note."), ("target" = String, Query, description = "Id or path of a note."), ("max_depth" = Option<i64>, Query, description = "Links at most; 5 when nothing is said, 20 at most.")),
    responses(
        (status = 200, description = "The way.", body = Option<schema::NotePath>),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn find_path(Target { vault, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let parameters = Parameters::of(&uri)?;
    let end = |name: &str| match parameters.first(name) {
        Some(text) => Ok(Key::IdOrPath(text.to_owned())),
        None => Err(Failure::invalid(
            name,
            format!("{name} is required: the id or path of a note"),
        )),
    };
    let (source, target) = (end("source")?, end("target")?);
    let depth = parameters
        .number("max_depth")
        .unwrap_or(PATH_DEPTH)
        .clamp(0, PATH_DEPTH_MAX);
    let depth = u32::try_from(depth).unwrap_or_default();
    let trail = match vault.links()?.find_path(&source, &target, depth).await {
        Err(VaultError::NotFound { key }) => return Err(Failure::IdNotFound { id: key }),
        trail => trail?,
    };
    Ok(answer::ok(&trail.map_or(
        Value::Null,
        |trail| json!({ "path": trail.notes, "relationships": trail.relationships }),
    )))
}

/// Links to notes that are not there.
#[utoipa::path(
    get, path = "/vault/{name}/api/unresolved-wikilinks", operation_id = "listUnresolvedLinks", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "The links.", body = schema::UnresolvedLinks),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn unresolved(Target { vault, .. }: Target) -> Result<Response, Failure> {
    let found = vault.links()?.unresolved_links().await?;
    let rendered: Vec<Value> = found
        .iter()
        .map(|link| json!({ "source_id": link.source, "source_path": link.source_path, "target_path": link.name }))
        .collect();
    Ok(answer::ok(&json!({ "count": rendered.len(), "unresolved": rendered })))
}

/// The links of a note as JSON; those that say the same once.
pub(super) async fn links_of(vault: &dyn Vault, note: &NoteId) -> Result<Value, VaultError> {
    let mut links = of(vault, note).await?;
    links.dedup_by(|next, one| edge(next) == edge(one));
    Ok(links.iter().map(rendered).collect())
}

/// None for a note that was removed a moment ago.
async fn of(vault: &dyn Vault, note: &NoteId) -> Result<Vec<Link>, VaultError> {
    match vault.links()?.links_of(&Key::Id(note.clone())).await {
        Err(VaultError::NotFound { .. }) => Ok(Vec::new()),
        links => links,
    }
}

fn edge(link: &Link) -> (&NoteId, &NoteId, &str) {
    (&link.source, &link.target, &link.relationship)
}

fn rendered(link: &Link) -> Value {
    let mut rendered = json!({
        "sourceId": link.source,
        "targetId": link.target,
        "relationship": link.relationship,
        "createdAt": millis::format(link.created_at),
    });
    for (key, path) in [("sourcePath", &link.source_path), ("targetPath", &link.target_path)] {
        if let Some(path) = path {
            rendered[key] = path.clone().into();
        }
    }
    if !link.metadata.is_empty() {
        rendered["metadata"] = link.metadata.clone().into();
    }
    rendered
}

/// Notes as a graph: its edges are the links between these notes.
pub(super) async fn graph(vault: &dyn Vault, notes: &[Note], with_links: bool) -> Result<Value, VaultError> {
    let nodes: Vec<Value> = notes
        .iter()
        .map(|note| json!({ "id": note.id, "path": note.path, "tags": note.tags }))
        .collect();
    let mut edges = Vec::new();
    if with_links {
        let listed: HashSet<&NoteId> = notes.iter().map(|note| &note.id).collect();
        for note in notes {
            let mut links = of(vault, &note.id).await?;
            links.retain(|link| link.source == note.id && listed.contains(&link.target));
            links.dedup_by(|next, one| edge(next) == edge(one));
            edges.extend(links.iter().map(
                |link| json!({ "source": link.source, "target": link.target, "relationship": link.relationship }),
            ));
        }
    }
    Ok(json!({ "nodes": nodes, "edges": edges }))
}
