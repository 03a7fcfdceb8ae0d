//! A folder of Markdown files: the contract, and what only a folder can show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is test code, the helpers too"
)]

#[path = "folder/backup.rs"]
mod backup;
mod contract;
#[path = "folder/crash.rs"]
mod crash;
#[path = "folder/damage.rs"]
mod damage;
#[path = "folder/editors.rs"]
mod editors;
#[path = "folder/files.rs"]
mod files;
#[path = "folder/identity.rs"]
mod identity;
#[path = "folder/place.rs"]
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contract::{DEADLINE, Subject, batch_contract, files_contract, order_contract, removal_contract, vault_contract};
use reveille_vault::folder::Options;
use reveille_vault::{Change, FolderVault, Key, Note, Query, Vault, VaultError, VaultState};
use tempfile::TempDir;

async fn folder() -> Subject {
    let dir = Dir::new();
    Subject {
        vault: dir.open(),
        _keep: Box::new(dir),
    }
}

vault_contract!(folder);
batch_contract!(folder);
removal_contract!(folder);
order_contract!(folder);
files_contract!(folder);

/// A folder with its index beside it.
struct Dir {
    dir: TempDir,
    folder: PathBuf,
}

impl Dir {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("notes");
        fs::create_dir(&folder).unwrap();
        Self { dir, folder }
    }

    fn options(&self) -> Options {
        Options::new(&self.folder, self.dir.path().join("state/index.db"))
    }

    fn open(&self) -> Arc<FolderVault> {
        FolderVault::open("test", self.options()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file the way `cp` does.
    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every file below the folder, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut dirs = vec![self.folder.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    dirs.push(path);
                } else {
                    names.push(path.strip_prefix(&self.folder).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        names.sort_unstable();
        names
    }
}

fn at(path: &str) -> Key {
    Key::Path(path.into())
}

async fn get(vault: &FolderVault, path: &str) -> Option<Note> {
    vault.get(&at(path)).await.unwrap()
}

/// Waits until the note at `path` is as `wanted` says; the watcher must tell of it.
async fn note_where(vault: &FolderVault, path: &str, wanted: impl Fn(&Note) -> bool) -> Note {
    let mut newest = vault.watch();
    let found = async {
        loop {
            newest.borrow_and_update();
            if let Some(note) = get(vault, path).await.filter(|note| wanted(note)) {
                return note;
            }
            newest.changed().await.unwrap();
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("{path} is not as it must be"))
}

async fn note_at(vault: &FolderVault, path: &str) -> Note {
    note_where(vault, path, |_| true).await
}

/// Waits until no note is at `path`.
async fn gone(vault: &FolderVault, path: &str) {
    let mut newest = vault.watch();
    let gone = async {
        loop {
            newest.borrow_and_update();
            if get(vault, path).await.is_none() {
                return;
            }
            newest.changed().await.unwrap();
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
}

/// Waits until the state is as `wanted` says.
async fn state_where(vault: &FolderVault, wanted: impl Fn(&VaultState) -> bool) -> VaultState {
    let found = async {
        loop {
            let state = vault.state();
            if wanted(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("the state is {:?}", vault.state()))
}

async fn log(vault: &FolderVault) -> Vec<Change> {
    vault.changes(0, 10_000).await.unwrap()
}

async fn all(vault: &FolderVault) -> Vec<Note> {
    vault.query(&Query::default()).await.unwrap().notes
}

async fn paths(vault: &FolderVault) -> Vec<String> {
    let mut paths: Vec<_> = all(vault).await.into_iter().filter_map(|note| note.path).collect();
    paths.sort_unstable();
    paths
}

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    match outcome {
        Err(VaultError::Unavailable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn invalid<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    match outcome {
        Err(VaultError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Runs a program that must succeed.
fn run(dir: &Path, program: &str, args: &[&str]) {
    let status = std::process::Command::new(program)
        .args(args)
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(status.success(), "{program} {args:?}");
}
