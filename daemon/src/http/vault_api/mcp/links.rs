//! The tools that follow links.

use std::collections::HashSet;
use std::sync::Arc;

use reveille_vault::{Key, Near, Note, Query, Vault, VaultError};
use serde_json::{Value, json};

use super::super::answer::{Failure, Fields, Form};
use super::super::graph;
use super::arguments::Arguments;
use super::bounds::{self, Shown};
use super::rest;
use super::server::{Refusal, Told};

/// Links away from the anchor: usually, and at most.
const DEPTH: usize = 1;
const DEPTH_MAX: usize = 3;
/// Notes of a synthesis: usually, and at most.
const NOTES: usize = 10;
const NOTES_MAX: usize = 50;
/// Neighbours that are read in search of those within the scope.
const LOOKED_AT: usize = 500;

/// `find-path`
pub(super) async fn find_path(vault: &Arc<dyn Vault>, arguments: Arguments) -> Result<Told, Refusal> {
    let uri = rest::uri(&arguments.parameters()?)?;
    let told = rest::told(&**vault, graph::find_path(rest::target(vault, ""), uri).await).await?;
    Ok(Told::of(match told {
        Value::Null => json!({ "path": null, "message": "no chain of links of that length joins the two" }),
        told => told,
    }))
}

/// What was found, and why.
#[derive(Default)]
struct Found {
    notes: Vec<(String, Note)>,
    seen: HashSet<String>,
}

impl Found {
    fn add(&mut self, why: impl Into<String>, note: Note) {
        if self.seen.insert(note.id.to_string()) {
            self.notes.push((why.into(), note));
        }
    }

    /// Notes that are linked with the first one, the nearest first.
    async fn add_linked(&mut self, vault: &dyn Vault, wish: &Wish) -> Result<(), VaultError> {
        let Some((_, anchor)) = self.notes.first().filter(|_| wish.depth > 0) else {
            return Ok(());
        };
        let near = Near {
            note: Key::Id(anchor.id.clone()),
            depth: wish.depth,
            relationship: None,
            scope: None,
        };
        // A vault without links, or a caller who may not follow them, has no neighbours.
        let links = match vault.links() {
            Err(VaultError::Unsupported { .. } | VaultError::Forbidden(_)) => return Ok(()),
            links => links?,
        };
        for neighbour in links.neighbours(&near).await?.into_iter().take(LOOKED_AT) {
            if self.notes.len() >= wish.limit {
                break;
            }
            let note = vault.get(&Key::Id(neighbour.note)).await?;
            if let Some(note) = note.filter(|note| wish.is_within(note)) {
                self.add(away(neighbour.depth), note);
            }
        }
        Ok(())
    }

    /// Notes that match a search, the best first.
    async fn add_matching(&mut self, vault: &dyn Vault, wish: &Wish, search: String) -> Result<(), VaultError> {
        let mut query = Query {
            search: Some(search),
            limit: Some(u32::try_from(wish.limit).unwrap_or(u32::MAX)),
            ..Query::default()
        };
        match wish.scope.as_deref() {
            Some(scope) if scope.ends_with('/') => query.path_prefix = Some(scope.to_owned()),
            Some(tag) => query.tags.push(tag.to_owned()),
            None => {}
        }
        for note in vault.query(&query).await?.notes {
            if self.notes.len() < wish.limit {
                self.add("matches the query", note);
            }
        }
        Ok(())
    }
}

/// How much of it.
struct Wish {
    /// A tag, or with a slash at its end the beginning of a path.
    scope: Option<String>,
    depth: u32,
    limit: usize,
}

impl Wish {
    fn is_within(&self, note: &Note) -> bool {
        match self.scope.as_deref() {
            None => true,
            Some(prefix) if prefix.ends_with('/') => {
                let start = note.path.as_deref().and_then(|path| path.get(..prefix.len()));
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            }
            Some(tag) => note.has_tag(tag),
        }
    }
}

/// `synthesize-notes`: a note, what is linked with it, and what matches a search, in one answer.
pub(super) async fn synthesize(vault: &dyn Vault, mut arguments: Arguments) -> Result<Told, Refusal> {
    let anchor = arguments.text("anchor")?;
    let search = arguments.text("query")?.filter(|text| !text.trim().is_empty());
    let depth = arguments.index("depth")?.unwrap_or(DEPTH).min(DEPTH_MAX);
    let wish = Wish {
        scope: arguments.text("scope")?,
        depth: u32::try_from(depth).unwrap_or_default(),
        limit: arguments.index("limit")?.unwrap_or(NOTES).clamp(1, NOTES_MAX),
    };
    let content = arguments.switch("include_content")?.unwrap_or(true);
    if anchor.is_none() && search.is_none() {
        return Err(Failure::invalid("anchor", "name an anchor (id or path of a note), a query, or both").into());
    }
    let mut found = Found::default();
    if let Some(id) = anchor {
        match vault.get(&Key::IdOrPath(id.clone())).await? {
            Some(note) => found.add("anchor", note),
            None => return Ok(Told::of(json!({ "error": "Note not found", "id": id }))),
        }
        found.add_linked(vault, &wish).await?;
    }
    if let Some(search) = search.filter(|_| found.notes.len() < wish.limit) {
        found.add_matching(vault, &wish, search).await?;
    }
    Ok(told(found, content))
}

fn away(depth: u32) -> String {
    let links = if depth == 1 { "link" } else { "links" };
    format!("{depth} {links} away from the anchor")
}

fn told(found: Found, content: bool) -> Told {
    let form = Form {
        content,
        metadata: Fields::All,
        ..Form::FULL
    };
    let notes = found.notes.into_iter().map(|(why, note)| {
        let mut rendered = form.render(note);
        rendered["why"] = why.into();
        rendered
    });
    let Shown { notes, left_out } = bounds::list(notes.collect());
    let shown = notes.len();
    Told {
        value: notes.into(),
        more: (left_out > 0).then(|| {
            format!(
                "Only {shown} of {} notes are shown: more would not fit into an answer. Ask for fewer with limit, or without \
                 bodies with include_content: false.",
                shown + left_out
            )
        }),
    }
}
