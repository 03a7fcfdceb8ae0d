//! The folder of an export: what is written there, and what must not be.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::super::CliError;

/// Keeps which files the exports have written, a line each: digest and name. Its first line names the vault.
const LIST: &str = ".reveille-export";

/// The folder.
pub(super) struct Folder {
    root: PathBuf,
    /// Lines of the list.
    known: HashSet<String>,
    list: File,
}

/// A file that has no name yet. Dropped: it is gone.
pub(super) struct Scratch {
    file: NamedTempFile,
    hasher: Sha256,
}

/// What became of a file.
pub(super) enum Placed {
    New,
    Changed,
    Same,
    /// Something that is not ours has its name. Says what.
    Foreign(&'static str),
}

impl Folder {
    /// Opens the folder, or makes it. `force`: also when it holds what no export has written.
    pub(super) fn open(root: &Path, vault: &str, force: bool) -> Result<Self, CliError> {
        fs::create_dir_all(root).map_err(|error| unusable(root, &error))?;
        let path = root.join(LIST);
        let head = format!("notes of the vault {vault}");
        let known: HashSet<String> = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashSet::new(),
            Err(error) => return Err(unusable(&path, &error)),
        };
        if known.is_empty() {
            let mut entries = fs::read_dir(root).map_err(|error| unusable(root, &error))?;
            if entries.next().is_some() && !force {
                return Err(CliError::Usage(format!(
                    "{} is not empty, and no export was written there; name another folder, or add --force: what is there \
                     is not overwritten",
                    root.display()
                )));
            }
        } else if !known.contains(&head) && !force {
            return Err(CliError::Usage(format!(
                "{} holds an export of another vault; name another folder, or add --force",
                root.display()
            )));
        }
        let list = OpenOptions::new().create(true).append(true).open(&path);
        let mut folder = Self {
            root: root.to_owned(),
            known,
            list: list.map_err(|error| unusable(&path, &error))?,
        };
        folder.remember(head)?;
        Ok(folder)
    }

    /// A new file for what comes next.
    pub(super) fn scratch(&self) -> Result<Scratch, CliError> {
        // In the folder: it gets its name by a rename.
        let file = tempfile::Builder::new()
            .prefix(".reveille-")
            .suffix(".tmp")
            .tempfile_in(&self.root);
        Ok(Scratch {
            file: file.map_err(|error| unusable(&self.root, &error))?,
            hasher: Sha256::new(),
        })
    }

    /// Gives a file its name. A file that is there with other bytes is replaced only when an export has written it and nobody
    /// has changed it since.
    pub(super) fn place(&mut self, scratch: Scratch, name: &str) -> Result<Placed, CliError> {
        let target = self.root.join(name);
        let failed = |error: &io::Error| unusable(&target, error);
        let digest = scratch.digest();
        let before = match fs::symlink_metadata(&target) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(error) => return Err(failed(&error)),
            Ok(meta) if !meta.is_file() => return Ok(Placed::Foreign("is a link or a directory; move it away")),
            Ok(_) => Some(digest_of(&target)?),
        };
        if before.as_ref() == Some(&digest) {
            return Ok(Placed::Same);
        }
        if before
            .as_ref()
            .is_some_and(|before| !self.known.contains(&line(before, name)))
        {
            return Ok(Placed::Foreign(
                "was written or changed by somebody else, and was left alone; move it away",
            ));
        }
        if !self.make_dirs(name)? {
            return Ok(Placed::Foreign("stands below a link or a file; move that away"));
        }
        // Before the file has its name: after a crash it is known whose it is.
        self.remember(line(&digest, name))?;
        scratch.file.as_file().sync_all().map_err(|error| failed(&error))?;
        let placed = match before {
            None => scratch.file.persist_noclobber(&target),
            Some(_) => scratch.file.persist(&target),
        };
        match placed {
            Ok(_) if before.is_some() => Ok(Placed::Changed),
            Ok(_) => Ok(Placed::New),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Placed::Foreign("was just made by somebody else, and was left alone"))
            }
            Err(error) => Err(failed(&error.error)),
        }
    }

    /// Makes the directories above a file. `false`: one of them is something else. Links are not followed.
    fn make_dirs(&self, name: &str) -> Result<bool, CliError> {
        for (at, _) in name.match_indices('/') {
            let dir = self.root.join(name.get(..at).unwrap_or_default());
            match fs::symlink_metadata(&dir) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&dir).map_err(|error| unusable(&dir, &error))?;
                }
                Err(error) => return Err(unusable(&dir, &error)),
            }
        }
        Ok(true)
    }

    fn remember(&mut self, line: String) -> Result<(), CliError> {
        if self.known.contains(&line) {
            return Ok(());
        }
        let written = self.list.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| unusable(&self.root.join(LIST), &error))?;
        self.known.insert(line);
        Ok(())
    }
}

impl Scratch {
    /// Takes the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.hasher.update(bytes);
        let written = self.file.write_all(bytes);
        written.map_err(|error| unusable(self.file.path(), &error))
    }

    /// Of everything so far.
    pub(super) fn digest(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }
}

fn line(digest: &str, name: &str) -> String {
    format!("{digest} {name}")
}

fn unusable(path: &Path, error: &io::Error) -> CliError {
    CliError::Failed(format!("{} cannot be used: {error}", path.display()))
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The same of a file.
pub(crate) fn digest_of(path: &Path) -> Result<String, CliError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut file = File::open(path).map_err(|error| unusable(path, &error))?;
    loop {
        match file.read(&mut buffer).map_err(|error| unusable(path, &error))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
