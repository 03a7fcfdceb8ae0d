//! A copy of the folder, with everything that is in it: file by file, for others may write there at any time. The index is
//! copied as any embedded vault is: see [`crate::Vault::back_up`].

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{FolderVault, Options};
use crate::embedded::EmbeddedVault;
use crate::embedded::Fault;
use crate::embedded::backup::{private_dir, refused, sync};
use crate::store::{Backup, VaultError};

/// How often a file is copied that changes while that is done. The last copy counts.
const TRIES: usize = 3;

/// Files and bytes of a tree.
#[derive(Debug, Default)]
struct Size {
    files: u64,
    bytes: u64,
}

/// Removes a copy that was given up.
struct Part<'a>(&'a Path);

impl Drop for Part<'_> {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "a part of a copy that was given up is still there");
            }
            _ => {}
        }
    }
}

impl FolderVault {
    /// Copies a folder and its index into a directory, without opening them as a vault; no daemon needs to run. Without an
    /// index there are only the files. Otherwise as [`crate::Vault::back_up`]. Blocks until it is done.
    ///
    /// # Errors
    /// As there.
    pub fn back_up_files(name: &str, options: &Options, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        let (folder, size) = copy_folder(name, &options.folder, dir, replace)?;
        let mut backup = match options.index.exists() {
            true => {
                let index = EmbeddedVault::back_up_file(name, &options.index, dir, replace);
                undone_unless(&folder, replace, index)?
            }
            false => Backup {
                file: folder.clone(),
                folder: None,
                notes: 0,
                files: 0,
                bytes: 0,
            },
        };
        backup.add(folder, &size);
        Ok(backup)
    }

    /// Puts a copy that is in `from` where the folder and its index belong, while nobody has them open. An index that is there
    /// is given up with `replace`; a folder with something in it is in the way in any case. Blocks until it is done.
    ///
    /// # Errors
    /// As [`FolderVault::back_up_files`].
    pub fn restore_files(name: &str, options: &Options, from: &Path, replace: bool) -> Result<Backup, VaultError> {
        let folder = &options.folder;
        let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if folder.symlink_metadata().is_ok() && !is_empty() {
            let message = format!(
                "{} is there already; move it away first. Nothing was copied",
                folder.display()
            );
            return Err(VaultError::Invalid(message));
        }
        let index = from.join(options.index.file_name().unwrap_or_default());
        let state = options.index.parent().unwrap_or(Path::new("."));
        let mut put = match index.exists() {
            true => EmbeddedVault::restore_file(name, &index, state, replace)?,
            false => Backup {
                file: folder.clone(),
                folder: None,
                notes: 0,
                files: 0,
                bytes: 0,
            },
        };
        let above = folder.parent().unwrap_or(Path::new("/"));
        let copied = copy_to(&from.join(name), above, folder, true).map_err(|fault| told(name, fault));
        let (folder, size) = copied?;
        put.add(folder, &size);
        Ok(put)
    }

    pub(super) async fn copy_into(&self, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        let (name, root, to) = (
            self.folder.place.name.clone(),
            self.folder.place.root.clone(),
            dir.to_owned(),
        );
        let copied = self.folder.blocking(move || copy_folder(&name, &root, &to, replace));
        let (folder, size) = copied.await?;
        let mut backup = undone_unless(&folder, replace, self.folder.index.copy_into(dir, replace).await)?;
        backup.add(folder, &size);
        Ok(backup)
    }
}

impl Backup {
    fn add(&mut self, folder: PathBuf, size: &Size) {
        self.folder = Some(folder);
        self.files += size.files.saturating_sub(self.notes);
        self.bytes += size.bytes;
    }
}

/// A folder without its index is half a copy; one that has replaced an earlier one stays.
fn undone_unless<T>(folder: &Path, replaced: bool, index: Result<T, VaultError>) -> Result<T, VaultError> {
    if index.is_err() && !replaced {
        drop(Part(folder));
    }
    index
}

/// Copies everything in `root` to `<dir>/<name>`.
fn copy_folder(name: &str, root: &Path, dir: &Path, replace: bool) -> Result<(PathBuf, Size), VaultError> {
    copy_to(root, dir, &dir.join(name), replace).map_err(|fault| told(name, fault))
}

fn told(name: &str, fault: Fault) -> VaultError {
    match fault {
        Fault::Refused(error) => error,
        Fault::Unusable(reason) => VaultError::Unavailable {
            vault: name.to_owned(),
            reason,
        },
        other => VaultError::Invalid(format!("{other:?}")),
    }
}

fn copy_to(root: &Path, dir: &Path, target: &Path, replace: bool) -> Result<(PathBuf, Size), Fault> {
    let gone = |error: io::Error| {
        let root = root.display();
        Fault::Unusable(format!(
            "the folder {root} is not there ({error}); is it mounted? Nothing was copied"
        ))
    };
    let real = root.canonicalize().map_err(gone)?;
    private_dir(dir)?;
    let invalid = |message: String| Fault::from(VaultError::Invalid(message));
    if dir.canonicalize().is_ok_and(|dir| dir.starts_with(&real)) {
        let message = format!(
            "{} is in the folder that is to be copied; choose another directory",
            dir.display()
        );
        return Err(invalid(message));
    }
    let there = target.symlink_metadata().is_ok();
    if there && !replace {
        let message = format!(
            "{} is there already; choose another directory, or say that it is to be replaced",
            target.display()
        );
        return Err(invalid(message));
    }
    let id = uuid::Uuid::now_v7();
    let part = dir.join(format!(".{id}.part"));
    let unfinished = Part(&part);
    let size = copy_tree(&real, &part)?;
    let old = dir.join(format!(".{id}.old"));
    if there {
        std::fs::rename(target, &old).map_err(|error| refused(target, error))?;
    }
    if let Err(error) = std::fs::rename(&part, target) {
        if there && let Err(error) = std::fs::rename(&old, target) {
            tracing::error!(%error, at = %old.display(), "the earlier copy is under another name now");
        }
        return Err(refused(target, error));
    }
    sync(dir)?;
    drop(unfinished);
    drop(Part(&old));
    Ok((target.to_owned(), size))
}

fn copy_tree(root: &Path, to: &Path) -> Result<Size, Fault> {
    let mut size = Size::default();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        let (from, into) = (root.join(&dir), to.join(&dir));
        private_dir(&into)?;
        let entries = std::fs::read_dir(&from).map_err(|error| unreadable(&from, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&from, &error))?;
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
            let into = into.join(entry.file_name());
            if kind.is_dir() {
                dirs.push(dir.join(entry.file_name()));
            } else if kind.is_symlink() {
                let leads = std::fs::read_link(entry.path()).map_err(|error| unreadable(&entry.path(), &error))?;
                symlink(leads, &into).map_err(|error| refused(&into, error))?;
            } else if kind.is_file() {
                // One that has gone meanwhile was removed before this moment.
                if let Some(bytes) = copy_file(&entry.path(), &into)? {
                    size.files += 1;
                    size.bytes += bytes;
                }
            }
        }
        sync(&into)?;
    }
    Ok(size)
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::Unusable(format!(
        "{} cannot be read ({error}); nothing was copied",
        path.display()
    ))
}

/// The bytes and the times of a file. `None`: it has gone.
fn copy_file(from: &Path, to: &Path) -> Result<Option<u64>, Fault> {
    let mut tries = 1;
    loop {
        let mut source = match File::open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(from, &error)),
        };
        let meta = |file: &File| file.metadata().map_err(|error| unreadable(from, &error));
        let before = meta(&source)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut copy = options.open(to).map_err(|error| refused(to, error))?;
        let bytes = io::copy(&mut source, &mut copy).map_err(|error| refused(to, error))?;
        let after = meta(&source)?;
        let same = before.len() == after.len() && before.modified().ok() == after.modified().ok(); // silent-ok: every system that we run on knows it
        if !same && tries < TRIES {
            tries += 1;
            continue;
        }
        // When a note was changed last is the time of its file.
        let kept = after
            .modified()
            .and_then(|at| copy.set_modified(at))
            .and_then(|()| copy.set_permissions(Permissions::from_mode(after.permissions().mode() & 0o700)));
        kept.and_then(|()| copy.sync_all())
            .map_err(|error| refused(to, error))?;
        return Ok(Some(bytes));
    }
}
