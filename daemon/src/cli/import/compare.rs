//! Whether a file and a note say the same.

use std::path::Path;

use reveille_vault::Note;
use reveille_vault::agent::{Inbound, tag};
use sha2::{Digest as _, Sha256};

use super::super::CliError;
use super::super::client::Client;
use super::super::export::{digest_of, hex};
use super::walk::Incoming;

/// Whether a key is the daemon's word on the note: what became of a definition here, it says itself.
pub(super) fn is_the_daemons(incoming: &Incoming, key: &str) -> bool {
    ["status", "status_detail"].contains(&key) && incoming.as_note().has_tag(tag::DEFINITION)
}

/// What a note says otherwise than its file. What the file does not say is no difference, and unless messages shall wake,
/// nor is the mark of an earlier import.
pub(super) fn differences(incoming: &Incoming, note: &Note, wake: bool) -> Vec<&'static str> {
    let file = &incoming.note;
    let mut tags: Vec<&String> = file.tags.iter().collect();
    tags.sort_unstable();
    tags.dedup();
    let (mut asked, mut metadata) = (file.metadata.clone(), note.metadata.clone());
    for metadata in [&mut asked, &mut metadata] {
        metadata.retain(|key, _| !is_the_daemons(incoming, key));
    }
    if !wake && !file.metadata.contains_key(Inbound::IMPORTED) {
        metadata.remove(Inbound::IMPORTED);
    }
    let differs = [
        (file.id.as_ref().is_some_and(|id| *id != note.id), "id"),
        (incoming.path.is_some() && incoming.path != note.path, "path"),
        (file.content != note.content, "text"),
        (!tags.into_iter().eq(&note.tags), "tags"),
        (asked != metadata, "metadata"),
        (
            file.created.is_some_and(|created| created != note.created_at),
            "time of creation",
        ),
    ];
    let differs = differs.into_iter().filter(|(differs, _)| *differs);
    differs.map(|(_, what)| what).collect()
}

/// Whether the vault has the bytes of a file under that path.
pub(super) async fn same_bytes(client: &Client, vault: &str, stored: &str, local: &Path) -> Result<bool, CliError> {
    let mut hasher = Sha256::new();
    let found = client.download(vault, stored, |bytes| {
        hasher.update(bytes);
        Ok(())
    });
    Ok(found.await? && hex(&hasher.finalize()) == digest_of(local)?)
}
