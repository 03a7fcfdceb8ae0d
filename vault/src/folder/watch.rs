//! Being told of changes, and dealing with them once they are over.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Folder;
use super::disk::{self, Look};
use super::paths;
use super::scan::{self, GONE, QUIET};
use super::state::{Part, State};
use crate::store::VaultError;

/// Between looks when the folder is not there, and after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Between scans when nobody tells of changes.
const BLIND: Duration = Duration::from_secs(10);

/// Names that are dealt with while writers wait.
const CHUNK: usize = 256;

/// What the background is told.
#[derive(Debug)]
pub(super) enum Hint {
    /// Something is happening under this name.
    Name(String),
    /// A look has found something under this name that is not over yet.
    Looked(String),
    /// A file says something else now although it looks as it did.
    Anew(String),
    /// Something was missed.
    Everything,
    /// Something does not work; it is tried again.
    Trouble,
}

/// The system's watcher, with the directories that it watches. Directories one by one: so hidden ones cost nothing.
pub(super) struct Watch {
    watcher: Mutex<Option<RecommendedWatcher>>,
    dirs: Mutex<HashSet<PathBuf>>,
}

impl Watch {
    /// `None` for the root: nothing is watched, the folder is only looked at.
    pub(super) fn start(root: Option<PathBuf>, hints: mpsc::UnboundedSender<Hint>, state: &State) -> Self {
        let watcher = root.and_then(|root| {
            let started = notify::recommended_watcher(move |told| hear(&root, told, &hints));
            // Without it the scans are all there is.
            started.map_err(|error| state.set(Part::Watching, blind(&error))).ok()
        });
        Self {
            watcher: Mutex::new(watcher),
            dirs: Mutex::default(),
        }
    }

    /// Watches a directory from now on, also when it is another one than before under that name. Answers why not.
    pub(super) fn dir(&self, dir: &Path) -> Option<String> {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match watcher.as_mut()?.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.dirs().insert(dir.to_owned());
                return None;
            }
            Err(error) => error,
        };
        match &error.kind {
            // It went in between; whoever took it away is told of.
            ErrorKind::PathNotFound => None,
            // Nor can it be read, which is told.
            ErrorKind::Io(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => None,
            _ => Some(blind(&error)),
        }
    }

    /// Whether the system tells of changes at all.
    pub(super) fn is_on(&self) -> bool {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Forgets the directories below `dir`: it was moved or removed. The system goes on telling of them under their old names.
    fn forget(&self, dir: &Path) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watcher) = watcher.as_mut() else { return };
        let mut dirs = self.dirs();
        for gone in dirs.extract_if(|known| known.starts_with(dir)) {
            if let Err(error) = watcher.unwatch(&gone) {
                tracing::debug!(%error, dir = %gone.display(), "the directory was not watched any more");
            }
        }
    }

    fn knows(&self, dir: &Path) -> bool {
        self.dirs().contains(dir)
    }

    fn dirs(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the watcher's thread.
    pub(super) fn stop(&self) {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.dirs().clear();
    }
}

fn blind(error: &notify::Error) -> String {
    let seconds = BLIND.as_secs();
    match error.kind {
        ErrorKind::MaxFilesWatch => format!(
            "the system watches no more directories; changes are found by looking every {seconds} s. To be told of them again: \
             sysctl fs.inotify.max_user_watches=524288"
        ),
        _ => format!("the folder cannot be watched ({error}); changes are found by looking every {seconds} s"),
    }
}

/// Runs on the watcher's thread.
fn hear(root: &Path, told: notify::Result<Event>, hints: &mpsc::UnboundedSender<Hint>) {
    let tell = |hint| {
        // silent-ok: the vault has been closed
        let _ = hints.send(hint);
    };
    let event = match told {
        Ok(event) if event.need_rescan() => return tell(Hint::Everything),
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(%error, "the watcher has lost track; everything is looked at");
            return tell(Hint::Everything);
        }
    };
    let of_dirs = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Data(_)) => false,
        EventKind::Access(_) => return,
        EventKind::Modify(ModifyKind::Metadata(_)) if event.paths.iter().all(|path| path != root) => false,
        _ => true,
    };
    for path in event.paths {
        if path == root {
            // It was moved or removed, or its permissions were changed.
            tell(Hint::Everything);
        } else if let Some(name) = paths::below(root, &path)
            && (of_dirs || paths::is_note(&name))
        {
            tell(Hint::Name(name));
        }
    }
}

/// Names to be dealt with, with the time of the last hint.
type Pending = HashMap<String, Instant>;

/// Follows the folder until `end`.
pub(super) async fn follow(
    folder: Arc<Folder>,
    mut hints: mpsc::UnboundedReceiver<Hint>,
    mut end: watch::Receiver<bool>,
) {
    let mut pending = Pending::new();
    let mut next_scan = Instant::now();
    let mut first = true;
    loop {
        if next_scan <= Instant::now() {
            let outcome = folder.start_or_scan(first).await;
            first &= outcome.is_err();
            next_scan = Instant::now() + folder.pause(&outcome);
            folder.tell_ready();
        }
        let due = pending.values().map(|last| *last + QUIET).min();
        let wake = due.map_or(next_scan, |due| due.min(next_scan));
        tokio::select! {
            _ = end.wait_for(|end| *end) => return,
            hint = hints.recv() => match hint {
                Some(Hint::Name(name)) => {
                    pending.insert(name, Instant::now());
                    continue;
                }
                Some(Hint::Looked(name)) => {
                    pending.entry(name).or_insert_with(Instant::now);
                    continue;
                }
                Some(Hint::Anew(name)) => {
                    folder.reread(name.clone());
                    pending.insert(name, Instant::now());
                    continue;
                }
                // Not at once: whatever made so many events goes on for a while.
                Some(Hint::Everything) => next_scan = next_scan.min(Instant::now() + QUIET * 2),
                Some(Hint::Trouble) => next_scan = next_scan.min(Instant::now() + RETRY),
                None => return,
            },
            () = tokio::time::sleep_until(wake) => {}
        }
        if let Err(error) = folder.deal_with(&mut pending).await {
            folder.place.state.set(
                Part::Index,
                format!("changes of files could not be taken over ({error}); it is tried again"),
            );
            pending.clear();
            next_scan = next_scan.min(Instant::now() + RETRY);
        }
    }
}

impl Folder {
    /// How long to wait for the next scan.
    fn pause(&self, outcome: &Result<(), VaultError>) -> Duration {
        if let Err(error) = outcome {
            if self.place.state.trouble(Part::Folder).is_none() {
                self.place.state.set(
                    Part::Index,
                    format!("the folder could not be read ({error}); it is tried again"),
                );
            }
            return RETRY;
        }
        if self.place.state.trouble(Part::Writing).is_some() {
            RETRY
        } else if self.place.state.trouble(Part::Watching).is_some() {
            self.scan_every.min(BLIND)
        } else {
            self.scan_every
        }
    }

    /// Takes over what has come to rest.
    async fn deal_with(self: &Arc<Self>, pending: &mut Pending) -> Result<(), VaultError> {
        let now = Instant::now();
        let due: Vec<String> = pending
            .iter()
            .filter(|(_, last)| now - **last >= QUIET)
            .map(|(name, _)| name.clone())
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        if !scan::is_same(&self.place.root, self.place.accepted()) {
            // Not the folder that it was: only a scan may judge that.
            pending.clear();
            self.place.hint(Hint::Everything);
            return Ok(());
        }
        let (mut names, mut waiting) = (Vec::new(), Vec::new());
        for name in due {
            let Some(last) = pending.remove(&name) else { continue };
            match disk::look(&self.place.root.join(&name)) {
                Ok(Look::Missing) if now - last < GONE => {
                    waiting.push((name, last));
                }
                Ok(Look::Missing | Look::Dir) => self.expand(name, &mut names).await?,
                Ok(Look::Link) => self.expand(name, &mut names).await?,
                _ if paths::is_note(&name) => names.push(name),
                _ => {}
            }
        }
        names.sort_unstable();
        names.dedup();
        let whole = names.len() <= CHUNK;
        for chunk in names.chunks(CHUNK) {
            let _order = self.order.lock().await;
            for later in self.take(chunk.to_vec(), whole).await? {
                waiting.push((later, Instant::now()));
            }
        }
        pending.extend(waiting);
        if !whole {
            let _order = self.order.lock().await;
            self.index.mirror_with(Vec::new(), true).await?;
        }
        Ok(())
    }

    /// A name that is a directory, or was a directory or a file: all that is or was below it.
    async fn expand(self: &Arc<Self>, name: String, names: &mut Vec<String>) -> Result<(), VaultError> {
        let below = format!("{name}/");
        names.extend(
            self.index
                .sources_below(below)
                .await?
                .into_iter()
                .map(|source| source.name),
        );
        let this = Arc::clone(self);
        let dir = name.clone();
        let walk = self
            .blocking(move || {
                let path = this.place.root.join(&dir);
                if this.watch.knows(&path) {
                    this.watch.forget(&path);
                }
                Ok(match disk::look(&path) {
                    Ok(Look::Dir) => Some(this.walk(&dir)),
                    _ => None,
                })
            })
            .await?;
        names.extend(walk.into_iter().flat_map(|walk| walk.files.into_keys()));
        if paths::is_note(&name) {
            names.push(name);
        }
        Ok(())
    }
}
