//! Browsers that are signed in: `sessions.json` in the state directory, and all of it in memory. The text of a session is in
//! the browser's cookie alone. What is kept is its digest, made with a key out of the admin token: with another token in the
//! state directory nobody is signed in any more.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::state_dir::{secret, write_private};

/// So many browsers at once; of more, the one whose session ends first is signed out.
const MOST: usize = 256;

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// When each session ends, by its digest.
    sessions: BTreeMap<String, Timestamp>,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    key: [u8; 32],
    life: Duration,
    kept: Mutex<Kept>,
    /// Held while the file is written: the last writer has seen all that the others did.
    writing: tokio::sync::Mutex<()>,
}

impl Sessions {
    /// Those of earlier runs, from a file that need not be there. Where it cannot be read nobody is signed in.
    pub(crate) fn open(path: PathBuf, admin_token: &str, life: Duration) -> Self {
        let kept = read(&path).unwrap_or_else(|reason| {
            let path = path.display();
            tracing::warn!(%path, reason, "who is signed in cannot be read: every browser has to sign in again, with `reveille open`");
            Kept::default()
        });
        let key = Sha256::digest(format!("reveille cookie key\n{admin_token}")).into();
        Self {
            inner: Arc::new(Inner {
                path,
                key,
                life,
                kept: Mutex::new(kept),
                writing: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// How long a session is good.
    pub(crate) fn life(&self) -> Duration {
        self.inner.life
    }

    /// Begins one, and gives its text. It holds also where it cannot be written down: then until the daemon ends.
    pub(crate) async fn begin(&self) -> String {
        let text = secret();
        let digest = self.digest(&text);
        let now = Timestamp::now();
        // silent-ok: a life without an end is as long as time is.
        let end = now.checked_add(self.inner.life).unwrap_or(Timestamp::MAX);
        {
            let sessions = &mut self.kept().sessions;
            sessions.retain(|_, end| *end > now);
            while sessions.len() >= MOST
                && let Some(first) = sessions.iter().min_by_key(|(_, end)| **end).map(|(one, _)| one.clone())
            {
                sessions.remove(&first);
            }
            sessions.insert(digest, end);
        }
        if let Err(error) = self.write().await {
            tracing::warn!(%error, "a sign-in is not written down; it is good until the daemon ends");
        }
        text
    }

    /// Whether a text is that of a session. Found by its digest: how long that takes tells nothing of the others.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let digest = self.digest(text);
        self.kept()
            .sessions
            .get(&digest)
            .is_some_and(|end| *end > Timestamp::now())
    }

    /// Ends one. It does not hold from now on, also when that cannot be written down.
    ///
    /// # Errors
    /// It is not written down: after a restart it would hold again.
    pub(crate) async fn end(&self, text: &str) -> io::Result<()> {
        let digest = self.digest(text);
        self.kept().sessions.remove(&digest);
        self.write().await
    }

    /// Ends all of them, and tells how many there were.
    ///
    /// # Errors
    /// As [`Sessions::end`].
    pub(crate) async fn end_all(&self) -> io::Result<usize> {
        let ended = std::mem::take(&mut self.kept().sessions).len();
        self.write().await.map(|()| ended)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn digest(&self, text: &str) -> String {
        let digest = Sha256::new().chain_update(self.inner.key).chain_update(text).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// To its end, also when the request that wanted it goes away.
    async fn write(&self) -> io::Result<()> {
        let own = self.clone();
        let written = tokio::spawn(async move {
            let _only = own.inner.writing.lock().await;
            let kept = own.kept().clone();
            let path = own.inner.path.clone();
            let write = move || write_private(&path, &serde_json::to_vec_pretty(&kept)?);
            tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
        });
        written.await.map_err(io::Error::other)?
    }
}

/// What the file says, without a word of it in the error.
fn read(path: &Path) -> Result<Kept, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(error.to_string()),
    };
    serde_json::from_slice(&text)
        .map_err(|error| format!("it is damaged near line {} column {}", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn open(dir: &tempfile::TempDir, token: &str) -> Sessions {
        Sessions::open(dir.path().join("sessions.json"), token, HOUR)
    }

    #[tokio::test]
    async fn a_session_outlives_a_restart_and_not_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(&dir, "admin");
        let (one, other) = (sessions.begin().await, sessions.begin().await);
        assert!(sessions.holds(&one) && sessions.holds(&other) && !sessions.holds("guess"));
        sessions.end(&one).await.unwrap();
        let again = open(&dir, "admin");
        for sessions in [&sessions, &again] {
            assert!(!sessions.holds(&one) && sessions.holds(&other));
        }
        let text = std::fs::read_to_string(dir.path().join("sessions.json")).unwrap();
        assert!(!text.contains(&one) && !text.contains(&other), "{text}");
        let mode = std::fs::metadata(dir.path().join("sessions.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!open(&dir, "another").holds(&other), "it is of the old admin token");
        assert_eq!(again.end_all().await.unwrap(), 1);
        assert!(!again.holds(&other) && !open(&dir, "admin").holds(&other));
    }

    #[tokio::test]
    async fn one_that_is_over_does_not_hold_and_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let short = Sessions::open(dir.path().join("sessions.json"), "admin", Duration::ZERO);
        let over = short.begin().await;
        assert!(!short.holds(&over));
        short.begin().await;
        assert_eq!(short.kept().sessions.len(), 1);
    }

    #[tokio::test]
    async fn there_are_so_many_and_the_first_to_end_goes() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(&dir, "admin");
        let first = sessions.begin().await;
        for _ in 0..MOST {
            sessions.begin().await;
        }
        assert_eq!(sessions.kept().sessions.len(), MOST);
        assert!(!sessions.holds(&first));
    }

    #[tokio::test]
    async fn a_damaged_file_signs_everybody_out_and_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sessions.json"), "{").unwrap();
        let sessions = open(&dir, "admin");
        let one = sessions.begin().await;
        assert!(sessions.holds(&one) && open(&dir, "admin").holds(&one));
    }

    #[tokio::test]
    async fn without_a_disk_a_session_begins_and_its_end_is_told_not_to_last() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(dir.path().join("gone").join("sessions.json"), "admin", HOUR);
        let one = sessions.begin().await;
        assert!(sessions.holds(&one));
        assert!(sessions.end(&one).await.is_err());
        assert!(!sessions.holds(&one));
    }
}
