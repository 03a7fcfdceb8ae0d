//! Notes with what they link to: below each line with a wikilink stands the note that it names.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;

use reveille_vault::{Key, Link, Note, NoteId, Vault, VaultError, wikilink};

use super::answer::{Failure, preview};
use super::listing::Parameters;

/// Most times that links of linked notes are expanded.
const DEPTH_MAX: i64 = 3;

/// Most bytes that are put into one note.
const ROOM: usize = 1 << 20;

/// How links are expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expand {
    /// Also the links of linked notes, so many times.
    pub(super) depth: u32,
    /// The whole notes, or their beginnings.
    pub(super) full: bool,
}

impl Expand {
    /// As the parameters say; `None`: links stay as they are.
    pub(super) fn of(parameters: &Parameters) -> Result<Option<Self>, Failure> {
        if !parameters.switch("expand_links", false)? {
            return Ok(None);
        }
        let full = match parameters.first("expand_mode") {
            None | Some("full") => true,
            Some("summary") => false,
            Some(_) => return Err(Failure::invalid("expand_mode", "expand_mode must be full or summary")),
        };
        let depth = parameters.number("expand_depth").unwrap_or(1).clamp(0, DEPTH_MAX);
        Ok(Some(Self {
            depth: u32::try_from(depth).unwrap_or_default(),
            full,
        }))
    }

    /// The body of a note with the notes that it names. Each of them stands there once.
    pub(super) async fn body(self, vault: &dyn Vault, note: &Note) -> Result<String, VaultError> {
        let mut state = Walk {
            vault,
            full: self.full,
            seen: HashSet::from([note.id.clone()]),
            room: ROOM,
        };
        state.body(note, self.depth).await
    }
}

struct Walk<'a> {
    vault: &'a dyn Vault,
    full: bool,
    seen: HashSet<NoteId>,
    room: usize,
}

type Body<'b> = Pin<Box<dyn Future<Output = Result<String, VaultError>> + Send + 'b>>;

impl Walk<'_> {
    fn body<'b>(&'b mut self, note: &'b Note, depth: u32) -> Body<'b> {
        Box::pin(async move {
            let found = wikilink::find(&note.content);
            if depth == 0 || found.is_empty() {
                return Ok(note.content.clone());
            }
            let targets = targets(self.vault, &note.id).await?;
            let (mut body, mut copied) = (String::new(), 0);
            for link in found {
                let Some(id) = targets.get(&link.target).filter(|id| self.seen.insert((*id).clone())) else {
                    continue;
                };
                let Some(linked) = self.vault.get(&Key::Id(id.clone())).await? else {
                    continue;
                };
                let rest = &note.content[link.whole.end..];
                let end = link.whole.end + rest.find('\n').unwrap_or(rest.len());
                body.push_str(&note.content[copied..end]);
                copied = end;
                body.push_str(&self.block(&linked, depth - 1).await?);
            }
            body.push_str(&note.content[copied..]);
            Ok(body)
        })
    }

    async fn block(&mut self, note: &Note, depth: u32) -> Result<String, VaultError> {
        let text = if self.full {
            self.body(note, depth).await?
        } else {
            preview(&note.content)
        };
        let head = head(note);
        let Some(room) = self.room.checked_sub(text.len()) else {
            return Ok(format!(
                "\n<linked-note {head} left-out=\"it is too large; read it by its id\"/>"
            ));
        };
        self.room = room;
        Ok(format!("\n<linked-note {head}>\n{text}\n</linked-note>"))
    }
}

fn head(note: &Note) -> String {
    let attribute = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let id = format!("id=\"{}\"", attribute(note.id.as_str()));
    match &note.path {
        Some(path) => format!("path=\"{}\" {id}", attribute(path)),
        None => id,
    }
}

/// What the wikilinks of a note mean, by the name that stands in them.
async fn targets(vault: &dyn Vault, note: &NoteId) -> Result<HashMap<String, NoteId>, VaultError> {
    let links = match vault.links()?.links_of(&Key::Id(note.clone())).await {
        // It was removed a moment ago.
        Err(VaultError::NotFound { .. }) => Vec::new(),
        links => links?,
    };
    let own = links.into_iter().filter(|link| link.source == *note);
    Ok(own
        .filter_map(|Link { name, target, .. }| Some((name?, target)))
        .collect())
}
