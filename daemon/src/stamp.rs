//! What the daemon writes on people's notes: `status` and `status_detail`, and only when they say something else.

use reveille_vault::{Key, Note, NoteId, Patch, Precondition, Vault, VaultError};
use serde_json::Value;

/// Whether a note says this already. A key that is not there says nothing, which is the same as blank.
pub(crate) fn says(note: &Note, status: &str, detail: &str) -> bool {
    let text = |key: &str| note.metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    text("status") == status && text("status_detail") == detail
}

/// Makes a note say it. A note that is gone needs nothing; one that cannot be changed, such as a file whose front matter is
/// broken, stays as it is and is told of in the log: nobody else shall wait for it.
///
/// # Errors
/// The vault cannot be used now.
pub(crate) async fn show(vault: &dyn Vault, note: &Note, status: &str, detail: &str) -> Result<(), VaultError> {
    write(vault, note, status, detail, Precondition::Force).await
}

/// The same, except for a note that somebody has changed since it was read: whoever follows the vault comes to that change.
///
/// # Errors
/// The vault cannot be used now.
pub(crate) async fn show_unless_changed(
    vault: &dyn Vault,
    note: &Note,
    status: &str,
    detail: &str,
) -> Result<(), VaultError> {
    match write(vault, note, status, detail, Precondition::UpdatedAt(note.updated_at)).await {
        Err(VaultError::Conflict { .. }) => Ok(()),
        written => written,
    }
}

/// What may be better later is an error.
fn pass_by(
    vault: &dyn Vault,
    note: &NoteId,
    (status, detail): (&str, &str),
    error: VaultError,
) -> Result<(), VaultError> {
    if matches!(error, VaultError::Unavailable { .. } | VaultError::Conflict { .. }) {
        return Err(error);
    }
    tracing::warn!(%error, vault = vault.name(), %note, status, detail, "the note cannot say what became of it; everything else goes on");
    Ok(())
}

/// The same for a note that has to be read first.
///
/// # Errors
/// The vault cannot be used now.
pub(crate) async fn show_by_id(vault: &dyn Vault, id: &NoteId, status: &str, detail: &str) -> Result<(), VaultError> {
    match vault.get(&Key::Id(id.clone())).await {
        Ok(Some(note)) => show(vault, &note, status, detail).await,
        Ok(None) => Ok(()),
        Err(error) => pass_by(vault, id, (status, detail), error),
    }
}

async fn write(
    vault: &dyn Vault,
    note: &Note,
    status: &str,
    detail: &str,
    precondition: Precondition,
) -> Result<(), VaultError> {
    if says(note, status, detail) {
        return Ok(());
    }
    let metadata = [("status", status), ("status_detail", detail)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())))
        .collect();
    let patch = Patch {
        metadata,
        ..Patch::default()
    };
    match vault.patch(&Key::Id(note.id.clone()), patch, precondition).await {
        Ok(_) | Err(VaultError::NotFound { .. }) => Ok(()),
        Err(error) => pass_by(vault, &note.id, (status, detail), error),
    }
}
