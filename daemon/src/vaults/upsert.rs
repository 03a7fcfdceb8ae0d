//! An upsert for vaults that judge patches and creations.

use reveille_vault::{Key, NewNote, Note, Patch, Precondition, Vault, VaultError};

/// How often an upsert is begun again because the note came or went meanwhile.
const TRIES: u32 = 16;

/// [`Vault::upsert`] by the vault's own patch and creation, for vaults that judge both.
///
/// # Errors
/// Those of the two.
pub(crate) async fn upsert_in_steps(
    vault: &dyn Vault,
    path: &str,
    patch: Patch,
    create: NewNote,
) -> Result<(Note, bool), VaultError> {
    let key = Key::Path(path.to_owned());
    let mut tries = 1;
    loop {
        match vault.patch(&key, patch.clone(), Precondition::Force).await {
            Err(VaultError::NotFound { .. }) => {}
            outcome => return outcome.map(|note| (note, false)),
        }
        let new = NewNote {
            path: Some(path.to_owned()),
            ..create.clone()
        };
        match vault.create(new).await {
            Err(VaultError::PathTaken { .. }) if tries < TRIES => tries += 1,
            outcome => return outcome.map(|note| (note, true)),
        }
    }
}
