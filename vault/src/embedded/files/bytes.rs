//! The directory with the bytes. Names in it are made here, so nothing that a client sends is ever part of a path.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::embedded::fault::Fault;

/// The directory beside the database.
#[derive(Debug, Clone)]
pub(in crate::embedded) struct FileDir {
    path: PathBuf,
    /// Copies that are being made: nothing is removed meanwhile.
    copies: Arc<AtomicUsize>,
}

/// Keeps the files of a directory where they are until it is dropped.
pub(in crate::embedded) struct Hold(Arc<AtomicUsize>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl FileDir {
    /// Where it is: `vault.db-files` beside `vault.db`.
    pub(in crate::embedded) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-files");
        Self {
            path: path.into(),
            copies: Arc::default(),
        }
    }

    /// Nothing is removed from now on. What should have been is left to the next sweep.
    pub(in crate::embedded) fn hold(&self) -> Hold {
        self.copies.fetch_add(1, Ordering::AcqRel);
        Hold(Arc::clone(&self.copies))
    }

    /// Where the bytes of a file are.
    pub(in crate::embedded) fn place_of(&self, id: &str) -> PathBuf {
        self.path.join(id)
    }

    /// Makes it (0700) when it is not there.
    pub(super) fn open(database: &Path) -> Result<Self, Fault> {
        let dir = Self::beside(database);
        let path = &dir.path;
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| path.metadata())
            .and_then(|meta| match meta.permissions().mode() & 0o777 {
                0o700 => Ok(()),
                _ => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
            });
        made.map_err(|error| {
            Fault::Unusable(format!(
                "the directory of files {} cannot be made or used ({error}); mend its permissions",
                path.display()
            ))
        })?;
        Ok(dir)
    }

    /// A new file for the bytes of an upload.
    pub(super) async fn create(&self, id: Uuid) -> Result<NewBytes, Fault> {
        let path = self.path.join(id.to_string());
        let mut options = tokio::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path).await;
        let file = opened.map_err(|error| failed(&path, &error))?;
        Ok(NewBytes {
            file,
            size: 0,
            path: Unfinished(path),
        })
    }

    /// The bytes of a file that has a row.
    pub(super) async fn read(&self, id: &str) -> Result<tokio::fs::File, Fault> {
        let path = self.path.join(id);
        tokio::fs::File::open(&path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::Unusable(format!(
                "the bytes of a stored file are gone ({}); restore that file from a backup",
                path.display()
            )),
            _ => failed(&path, &error),
        })
    }

    /// Removes files; answers the names that are gone now.
    pub(super) async fn remove(&self, ids: Vec<String>) -> Vec<String> {
        let dir = self.clone();
        let removed = tokio::task::spawn_blocking(move || dir.remove_now(&ids)).await;
        removed.unwrap_or_else(|error| {
            tracing::warn!(%error, "some files were not removed; the next sweep tries again");
            Vec::new()
        })
    }

    /// The same at once.
    pub(super) fn remove_now(&self, ids: &[String]) -> Vec<String> {
        if self.copies.load(Ordering::Acquire) > 0 {
            return Vec::new();
        }
        let gone = |id: &&String| match std::fs::remove_file(self.path.join(id)) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                tracing::warn!(%error, file = id, dir = %self.path.display(), "a file that nobody needs could not be removed");
                false
            }
        };
        ids.iter().filter(gone).cloned().collect()
    }
}

/// Bytes on their way.
pub(super) struct NewBytes {
    file: tokio::fs::File,
    size: u64,
    path: Unfinished,
}

/// Bytes that are on the disk.
pub(super) struct WholeBytes {
    size: u64,
    path: Unfinished,
}

/// Removes the file when it is dropped.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "an unfinished upload stays until the next sweep");
        }
    }
}

impl NewBytes {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| failed(&self.path.0, &error))?;
        self.size = self.size.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        Ok(())
    }

    /// Puts them on the disk, with their name in the directory.
    pub(super) async fn sync(self) -> Result<WholeBytes, Fault> {
        let Self { mut file, size, path } = self;
        let synced = async {
            file.flush().await?;
            file.sync_all().await?;
            let dir = path.0.parent().map(Path::to_owned).unwrap_or_default();
            tokio::task::spawn_blocking(move || File::open(dir)?.sync_all()).await?
        };
        let synced: io::Result<()> = synced.await;
        synced.map_err(|error| failed(&path.0, &error))?;
        Ok(WholeBytes { size, path })
    }
}

impl WholeBytes {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A row stands for them now.
    pub(super) fn keep(mut self) {
        self.path.0 = PathBuf::new();
    }
}

fn failed(path: &Path, error: &io::Error) -> Fault {
    Fault::Unusable(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; the file was not stored: free some space and try again".to_owned()
        }
        _ => format!(
            "{} could not be read or written ({error}); check the disk and the permissions, then try again",
            path.display()
        ),
    })
}
