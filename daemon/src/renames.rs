//! What else changes when a note gets another path: the vault writes the links to it anew.

use reveille_vault::{Key, Note, NoteId, Patch, Vault, VaultError};

/// The other notes whose bodies a patch may change because it gives `before` another path.
///
/// # Errors
/// What is wrong with the patch; the links cannot be read.
pub(crate) async fn rewritten_by(vault: &dyn Vault, before: &Note, patch: &Patch) -> Result<Vec<NoteId>, VaultError> {
    if before.path.is_none() || patch.path.is_none() || patch.preview(before)?.path == before.path {
        return Ok(Vec::new());
    }
    let links = match vault.links() {
        // Then there is nothing to write anew.
        Err(VaultError::Unsupported { .. }) => return Ok(Vec::new()),
        links => links?.links_of(&Key::Id(before.id.clone())).await?,
    };
    let mut sources: Vec<_> = links
        .into_iter()
        .filter(|link| link.name.is_some() && link.source != before.id)
        .map(|link| link.source)
        .collect();
    sources.dedup();
    Ok(sources)
}
