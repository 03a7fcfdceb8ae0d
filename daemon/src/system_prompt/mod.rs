//! The system prompt of a turn, from notes: the thread's roles, the definition, what people wrote on the thread, the
//! thread's loadout. Read at the start of each turn, so that an edit counts from the next one on. Nothing that cannot be
//! read fails a turn: it runs without that, and says so.

mod layers;

use std::collections::HashSet;

use futures_util::future::join_all;
use reveille_backends::{PromptMode, SystemPrompt};
use reveille_vault::agent::{self, Definition, ThreadRecord, ThreadSettings, tag};
use reveille_vault::note::normalise_path;
use reveille_vault::{Key, Note, Vault, VaultError};

use self::layers::{BUDGET, Layer, compose};
use crate::inbox::shown;
use crate::vault_tools;

/// Notes that are asked for at the same time.
const READS: usize = 8;
/// Paths and characters of each that a notice names.
const NAMED_MAX: usize = 20;
const NAMED_CHARS: usize = 200;

/// What a turn has from the vault besides its message.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// `None` when no layer has text.
    pub(crate) prompt: Option<SystemPrompt>,
    /// The thread's own model, which goes before the definition's.
    pub(crate) model: Option<String>,
    /// What a person should know: what was left out, and why.
    pub(crate) notices: Vec<String>,
    /// The thread's roles that were read, without their text.
    pub(crate) roles: Vec<Note>,
}

/// Gathers it. `thread` tells where the conversation's note is, if there is one yet.
pub(crate) async fn gather(vault: &dyn Vault, definition: &Definition, thread: &ThreadRecord) -> Standing {
    let mut standing = Standing::default();
    let note = match thread_note(vault, thread).await {
        Ok(note) => note,
        Err(error) => {
            tracing::warn!(%error, "the thread note could not be read");
            standing.notices.push(
                "The thread note could not be read, so this turn runs with the definition alone: without the thread's \
                 roles, text, loadout and model. The next turn reads it again."
                    .into(),
            );
            None
        }
    };
    let settings = note.as_ref().map(ThreadSettings::of).unwrap_or_default();
    standing.model = settings.model.clone().filter(|model| agent::is_model(model));
    if let Some(model) = settings.model.filter(|model| !agent::is_model(model)) {
        standing.notices.push(format!(
            "The thread's model {:?} can be no model's name, so the definition's was taken. Correct `model` on the thread \
             note, or take it away.",
            shown(&model, NAMED_CHARS)
        ));
    }
    let mut listed = Listed::new(vault);
    let mut layers = listed.read("roles", &settings.roles, true).await;
    layers.extend(own(definition));
    layers.extend(note.map(|note| Layer {
        title: note.path.unwrap_or_else(|| thread.path.clone()),
        note: note.id,
        content: note.content,
        firm: true,
    }));
    layers.extend(listed.read("loadout", &settings.loadout, false).await);
    let mut composed = compose(layers, BUDGET);
    if definition.vault_tools {
        composed.add(&vault_tools::words(definition));
    }
    composed.dropped.append(&mut listed.unread);
    listed.tell(&composed.dropped, &mut standing.notices);
    standing.roles = listed.roles;
    standing.prompt = (!composed.text.is_empty()).then_some(SystemPrompt {
        text: composed.text,
        mode: match definition.prompt_mode {
            agent::PromptMode::Append => PromptMode::Append,
            agent::PromptMode::Replace => PromptMode::Replace,
        },
    });
    standing
}

/// The conversation's note. By identity first: a person may have moved it. Then by its path: a person may have made it
/// before the first turn, and the record will be written there.
async fn thread_note(vault: &dyn Vault, thread: &ThreadRecord) -> Result<Option<Note>, VaultError> {
    match vault.get(&Key::Id(thread.id.clone())).await? {
        Some(note) => Ok(Some(note)),
        None => vault.get(&Key::Path(thread.path.clone())).await,
    }
}

/// The definition's layer.
fn own(definition: &Definition) -> Option<Layer> {
    Some(Layer {
        note: definition.note.clone(),
        title: definition.path.clone().unwrap_or_else(|| definition.name.clone()),
        content: definition.prompt.clone()?,
        firm: true,
    })
}

/// The notes that a thread lists, and what became of them.
struct Listed<'a> {
    vault: &'a dyn Vault,
    seen: HashSet<String>,
    /// The roles among them.
    roles: Vec<Note>,
    /// Paths without a note.
    missing: Vec<String>,
    /// Paths that the vault could not read now.
    unreadable: Vec<String>,
    /// Paths that were not asked for: what stands before them fills the budget.
    unread: Vec<String>,
}

impl<'a> Listed<'a> {
    fn new(vault: &'a dyn Vault) -> Self {
        Self {
            vault,
            seen: HashSet::new(),
            roles: Vec::new(),
            missing: Vec::new(),
            unreadable: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The notes of one list, in its order; each path is read once.
    async fn read(&mut self, list: &str, paths: &[String], firm: bool) -> Vec<Layer> {
        let mut fresh = Vec::new();
        for path in paths {
            match normalise_path(path) {
                Some(path) if self.seen.insert(path.clone()) => fresh.push(path),
                Some(_) => {}
                None => self.missing.push(path.clone()),
            }
        }
        let (mut layers, mut bytes) = (Vec::new(), 0);
        for paths in fresh.chunks(READS) {
            if !firm && bytes > BUDGET {
                self.unread.extend(paths.iter().cloned());
                continue;
            }
            let vault = self.vault;
            let found = join_all(
                paths
                    .iter()
                    .map(|path| async move { vault.get(&Key::Path(path.clone())).await }),
            )
            .await;
            for (path, found) in paths.iter().zip(found) {
                match found {
                    Ok(Some(mut note)) => {
                        bytes += note.content.len();
                        layers.push(Layer {
                            note: note.id.clone(),
                            title: path.clone(),
                            content: std::mem::take(&mut note.content),
                            firm,
                        });
                        if firm && note.has_tag(tag::ROLE) {
                            self.roles.push(note);
                        }
                    }
                    Ok(None) => self.missing.push(path.clone()),
                    Err(error) => {
                        tracing::warn!(%error, path, list, "a note of the system prompt could not be read");
                        self.unreadable.push(path.clone());
                    }
                }
            }
        }
        layers
    }

    /// Says what is not in the prompt.
    fn tell(&self, dropped: &[String], notices: &mut Vec<String>) {
        if !self.missing.is_empty() {
            notices.push(format!(
                "The thread lists notes that are not there; the system prompt went without them: {}. Correct the list on \
                 the thread note, or write them.",
                named(&self.missing)
            ));
        }
        if !self.unreadable.is_empty() {
            notices.push(format!(
                "Notes of the thread could not be read; the system prompt went without them: {}. The next turn reads them \
                 again.",
                named(&self.unreadable)
            ));
        }
        if !dropped.is_empty() {
            notices.push(format!(
                "The system prompt was over budget ({BUDGET} bytes), so notes of the loadout were left out: {}. Shorten \
                 them, or take some off the list.",
                named(dropped)
            ));
        }
    }
}

/// Paths for a person.
fn named(paths: &[String]) -> String {
    let names: Vec<String> = paths
        .iter()
        .take(NAMED_MAX)
        .map(|path| shown(path, NAMED_CHARS))
        .collect();
    let more = match paths.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names.join(", "))
}
