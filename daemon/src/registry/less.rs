//! What is left of a definition that an edit has broken.

use std::sync::Arc;

use reveille_vault::Note;
use reveille_vault::agent::{Definition, Filesystem, Mount, MountMode, Network, WANTS, Want, tag};
use serde_json::Value;

/// The later, the more can be reached.
fn rank(network: Network) -> u8 {
    match network {
        Network::Restricted => 0,
        Network::Proxied => 1,
        Network::Open => 2,
    }
}

/// What a definition was before an edit broke it, less what the edit takes away: to stop an agent must not fail for another
/// mistake.
pub(super) fn without_what_was_taken(earlier: &Arc<Definition>, note: &Note) -> Arc<Definition> {
    let says = |key: &str, other_than: &str| note.text(key).is_some_and(|word| word != other_than);
    let mut now = Definition::clone(earlier);
    if says("paused", "false") {
        now.paused = true;
        now.pause_reason = note.text("pause_reason");
    }
    now.vault_tools &= !says("vault_tools", "true");
    now.defines_agents &= note.text("defines_agents").as_deref() == Some("true");
    if note.text("filesystem").as_deref() != Some("full") {
        now.filesystem = Filesystem::Workspace;
    }
    let network = note.text("network");
    if let Some((_, word)) = Network::WORDS
        .iter()
        .find(|(word, _)| network.as_deref() == Some(*word))
        && rank(*word) < rank(now.network)
    {
        now.network = *word;
        now.given.push("network");
    }
    if let Ok(left) = note.metadata.get(WANTS).map_or(Ok(Vec::new()), Want::parse_list) {
        now.wants.retain(|want| left.contains(want));
    }
    keep_places(&mut now, note);
    Arc::new(now)
}

/// A setting as it reads in a note by itself, whatever is wrong with the others; `None`: it does not.
fn alone(of: &Definition, note: &Note, key: &str) -> Option<Definition> {
    let name = ("name".to_owned(), Value::String(of.name.clone()));
    let value = note.metadata.get(key).map(|value| (key.to_owned(), value.clone()));
    let written = Note {
        content: String::new(),
        tags: vec![tag::DEFINITION.to_owned()],
        metadata: [name].into_iter().chain(value).collect(),
        ..note.clone()
    };
    Definition::parse(&written).ok() // silent-ok: then nothing of it is left
}

/// Of the directories and hosts those that the note names as well, with what may be done there by both.
fn keep_places(now: &mut Definition, note: &Note) {
    let mounts = alone(now, note, "mounts").map(|left| left.mounts).unwrap_or_default();
    now.mounts.retain_mut(|mount| {
        let same = |left: &&Mount| (&left.host_path, &left.mount_path) == (&mount.host_path, &mount.mount_path);
        let mut left = mounts.iter().filter(same).peekable();
        let is_left = left.peek().is_some();
        if left.all(|left| left.mode == MountMode::Ro) {
            mount.mode = MountMode::Ro;
        }
        is_left
    });
    let egress = alone(now, note, "egress").map(|left| left.egress).unwrap_or_default();
    now.egress.retain(|host| egress.contains(host));
    let workspace = alone(now, note, "workspace").and_then(|left| left.workspace);
    now.workspace.take_if(|was| workspace.as_ref() != Some(was));
}
