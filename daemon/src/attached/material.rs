//! What a session needs to work on a message.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reveille_queue::Held;
use reveille_vault::agent::Definition;
use reveille_vault::{Attachment, Key, NoteId, UNKNOWN_TYPE, Vault, VaultError, media_type};

use super::{File, Taken, claims};
use crate::prompt;
use crate::registry::Agent;
use crate::system_prompt;
use crate::turn::Run;

/// What a part of an address keeps as it is.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Puts it together. What the vault cannot give now is left out, and said.
pub(super) async fn gather(run: &Run<'_>, agent: &Agent, held: &Held) -> Taken {
    let vault = &*agent.vault;
    // The session has tools of its own: those of a turn's child are not there.
    let definition = Definition {
        vault_tools: false,
        ..Definition::clone(&agent.definition)
    };
    let standing = system_prompt::gather(vault, &definition, &run.thread()).await;
    let mut notices = standing.notices;
    let mut attachments = Vec::new();
    let joined = held.claim.joined.iter().map(|one| &one.message.note);
    for note in std::iter::once(&held.claim.message.note).chain(joined) {
        match files(vault, note).await {
            Ok(files) => attachments.extend(files),
            Err(error) => {
                tracing::warn!(%error, note, "the attachments of a message cannot be listed");
                notices.push("The attachments of the message could not be listed and were left out.".into());
            }
        }
    }
    let (reply, also) = (run.callback_reply().await, run.companions().await);
    let message = run.message();
    Taken {
        id: held.claim.message.note.clone(),
        text: prompt::text(message, reply.as_deref(), &also),
        in_reply_to: held.claim.message.note.clone(),
        system_prompt: standing.prompt.map(|prompt| prompt.text),
        turn: held.claim.lease.turn,
        claim: claims::name(held.claim.lease),
        ends_at: held.until,
        sender: message.sender.clone(),
        subject: message.subject.clone(),
        reply_to: message.reply_to.clone(),
        thread: held.claim.conversation.id,
        attachments,
        notices,
    }
}

async fn files(vault: &dyn Vault, note: &str) -> anyhow::Result<Vec<File>> {
    let id = NoteId::new(note)?;
    match vault.files().attachments(&Key::Id(id)).await {
        // A message that was taken back, and its files with it.
        Err(VaultError::NotFound { .. }) => Ok(Vec::new()),
        listed => Ok(listed?.iter().map(|file| told(vault.name(), file)).collect()),
    }
}

fn told(vault: &str, file: &Attachment) -> File {
    let segments = file.path.split('/').filter(|segment| !segment.is_empty());
    let path: Vec<String> = segments
        .map(|segment| utf8_percent_encode(segment, &SEGMENT).to_string())
        .collect();
    File {
        url: format!("/vault/{vault}/api/storage/{}", path.join("/")),
        name: match file.filename.trim() {
            "" => file.path.rsplit('/').next().unwrap_or_default().to_owned(),
            name => name.to_owned(),
        },
        mime_type: media_type(&file.mime_type).unwrap_or_else(|| UNKNOWN_TYPE.to_owned()),
        size: file.size,
    }
}
