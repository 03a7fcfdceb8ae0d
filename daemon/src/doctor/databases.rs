//! Whether the databases are of this version or an older one. A newer one is refused by a start, which is known beforehand.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::{grants, schedule, tokens};

/// Where a file of SQLite has its `user_version`: <https://www.sqlite.org/fileformat.html#user_version_number>.
const USER_VERSION: u64 = 60;

/// What is wrong with the first database of the state directory that a newer version has written. Those of vaults are looked at with their
/// vaults.
pub(super) fn newer(state_dir: &Path) -> Option<String> {
    let known = [
        ("queue.db", reveille_queue::TABLES),
        ("tokens.db", tokens::TABLES),
        ("grants.db", grants::TABLES),
        ("schedule.db", schedule::TABLES),
    ];
    known
        .iter()
        .find_map(|(name, known)| is_newer(&state_dir.join(name), *known))
}

/// Reads the file only: opened as a database, it would have files beside it.
pub(super) fn is_newer(file: &Path, known: usize) -> Option<String> {
    // silent-ok: one that is not there or cannot be read is not newer; that it cannot be read is another check's matter.
    let version = version(file).ok()?;
    let newer = usize::try_from(version).is_ok_and(|version| version > known);
    newer.then(|| {
        format!(
            "a newer version of Reveille wrote {} (its tables have version {version}, this one knows up to {known})",
            file.display()
        )
    })
}

fn version(file: &Path) -> io::Result<u32> {
    let mut open = std::fs::File::open(file)?;
    open.seek(SeekFrom::Start(USER_VERSION))?;
    let mut version = [0; 4];
    open.read_exact(&mut version)?;
    Ok(u32::from_be_bytes(version))
}
