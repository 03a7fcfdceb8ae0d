//! `<state>/names.json`: for which note what is given to each name is meant.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::Meant;
use crate::state_dir::write_private;

/// Name of the file in the state directory.
pub(super) const NAME: &str = "names.json";

/// What is in it; `None`: it was never written.
///
/// # Errors
/// It cannot be used. It stays as it is: without it anybody could take a name.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Meant>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| mend(path)),
    };
    let mut meant: Meant = serde_json::from_slice(&text).with_context(|| mend(path))?;
    let mut vaults: BTreeSet<Arc<str>> = BTreeSet::new();
    for owner in meant.values_mut() {
        match vaults.get(&owner.vault) {
            Some(vault) => owner.vault = Arc::clone(vault),
            None => drop(vaults.insert(Arc::clone(&owner.vault))),
        }
    }
    Ok(Some(meant))
}

/// Replaces it.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(path: &Path, meant: &Meant) -> io::Result<()> {
    let text = serde_json::to_string_pretty(meant)?;
    write_private(path, format!("{text}\n").as_bytes())
}

fn mend(path: &Path) -> String {
    format!(
        "the file {} says for which notes secrets and grants are meant, and cannot be read; mend it, or move it away: then they \
         are for the agents that have the names now",
        path.display()
    )
}
