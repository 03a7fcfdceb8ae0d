//! The PIN: what a browser or a program that was let in must show once more before it does something dangerous.
//!
//! A PIN has few digits, so guesses are counted, on the disk, before they are looked at: five in five minutes for each
//! subject, and fifty in a row for all of them together. After those it is locked until the operator sets another one from
//! the machine itself. Only its argon2id hash is stored. Who has shown it gets a token of 32 random bytes for five minutes,
//! good for that subject alone, kept in memory.

mod file;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use self::file::Kept;
use crate::state_dir::secret_bytes;

/// How long a step-up token works.
const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);
/// Step-up tokens of one subject at once; the oldest goes first.
const TOKENS_MAX: usize = 16;
/// Guesses of one subject in [`WINDOW`].
const GUESSES: usize = 5;
/// How long a guess counts.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Wrong guesses of everybody since the last right one; then no more are looked at.
const WRONG_MAX: u32 = 50;

type Digest = [u8; 32];

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether a text can be a PIN: 4 to 12 ASCII digits.
#[must_use]
pub(crate) fn is_pin(text: &str) -> bool {
    (4..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why a PIN was not taken, or not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// There is none.
    #[error("no PIN is set")]
    NotSet,
    /// The first one is set on the machine itself.
    #[error("none is set, and the first one is set on the machine of the daemon")]
    NotHere,
    /// It is another one.
    #[error("that is not the PIN")]
    Wrong,
    /// That subject has guessed often enough for a while.
    #[error("there were {GUESSES} wrong PINs in five minutes")]
    TooMany {
        /// Until the next guess is looked at.
        wait: Duration,
    },
    /// Everybody together has.
    #[error("there were {WRONG_MAX} wrong PINs in a row, so it is locked")]
    Locked,
    /// The file is damaged: it is not known whether there is a PIN.
    #[error("step-up.json cannot be read ({0}), so nobody can show a PIN")]
    Unreadable(String),
    /// The guess cannot be counted, or the PIN not be kept.
    #[error("step-up.json cannot be written ({0}); nothing was changed")]
    Unwritable(String),
}

/// Why a dangerous request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// There is no PIN, and the configuration wants one.
    Setup,
    /// A step-up token is needed.
    Token,
    /// It is not known whether there is a PIN.
    Unreadable(String),
}

/// Whether there is a PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is none.
    Unset,
    /// There is one.
    Set,
    /// Nobody knows, for that reason.
    Unreadable(String),
}

struct Session {
    subject: String,
    until: Instant,
}

/// The keeper of the PIN. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StepUp {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    required: bool,
    standing: RwLock<Standing>,
    /// Held while a guess is looked at: one hash at a time, so that guessing cannot take all processors and memory.
    kept: tokio::sync::Mutex<Kept>,
    sessions: Mutex<HashMap<Digest, Session>>,
}

impl StepUp {
    /// Reads the file. One that is damaged is no reason not to start, but nothing dangerous is done then.
    #[must_use]
    pub(crate) fn open(path: PathBuf, required: bool) -> Self {
        let (kept, standing) = match file::read(&path) {
            Ok(kept) if kept.pin.is_some() => (kept, Standing::Set),
            Ok(kept) => (kept, Standing::Unset),
            Err(reason) => {
                tracing::error!(
                    reason,
                    "step-up.json cannot be read: what the PIN guards is closed; `reveille pin clear` mends it"
                );
                (Kept::default(), Standing::Unreadable(reason))
            }
        };
        let inner = Inner {
            path,
            required,
            standing: RwLock::new(standing),
            kept: tokio::sync::Mutex::new(kept),
            sessions: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether there is a PIN.
    #[must_use]
    pub(crate) fn standing(&self) -> Standing {
        let standing = self.inner.standing.read();
        standing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether dangerous things need a PIN even when there is none.
    #[must_use]
    pub(crate) fn is_required(&self) -> bool {
        self.inner.required
    }

    /// Whether `subject`, who shows `token`, may do something dangerous now.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn ask(&self, subject: &str, token: Option<&str>) -> Result<(), Asked> {
        match self.standing() {
            Standing::Unset if self.inner.required => Err(Asked::Setup),
            Standing::Unset => Ok(()),
            Standing::Unreadable(reason) => Err(Asked::Unreadable(reason)),
            Standing::Set if token.is_some_and(|token| self.holds(subject, token)) => Ok(()),
            Standing::Set => Err(Asked::Token),
        }
    }

    fn holds(&self, subject: &str, token: &str) -> bool {
        let now = Instant::now();
        // Found by the digest: how long that takes tells nothing about any token.
        self.sessions(|sessions| {
            sessions
                .get(&digest(token))
                .is_some_and(|session| session.until > now && session.subject == subject)
        })
    }

    fn sessions<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Session>) -> T) -> T {
        look(&mut self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A step-up token for who shows the right PIN, and the end of its life.
    ///
    /// # Errors
    /// [`PinError`].
    pub(crate) async fn exchange(&self, subject: &str, pin: &str) -> Result<(String, Timestamp), PinError> {
        let mut kept = self.inner.kept.lock().await;
        self.guess(&mut kept, subject, pin).await?;
        // Before anybody can change the PIN.
        Ok(self.mint(subject))
    }

    fn mint(&self, subject: &str) -> (String, Timestamp) {
        let token = secret_bytes();
        let now = Instant::now();
        let session = Session {
            subject: subject.to_owned(),
            until: now + TOKEN_LIFE,
        };
        self.sessions(|sessions| {
            sessions.retain(|_, session| session.until > now);
            let own = sessions.iter().filter(|(_, session)| session.subject == subject);
            let own: Vec<(Instant, Digest)> = own.map(|(digest, session)| (session.until, *digest)).collect();
            if own.len() >= TOKENS_MAX
                && let Some((_, oldest)) = own.iter().min()
            {
                sessions.remove(oldest);
            }
            sessions.insert(digest(&token), session);
        });
        (token, Timestamp::now() + TOKEN_LIFE)
    }

    /// Takes the step-up tokens of a subject away, and tells how many there were.
    pub(crate) fn lock(&self, subject: &str) -> usize {
        let now = Instant::now();
        self.sessions(|sessions| {
            let before = sessions.len();
            sessions.retain(|_, session| session.subject != subject && session.until > now);
            before - sessions.len()
        })
    }

    /// Sets the PIN, where there is one already only for who shows that, and the first one only on the machine itself. All
    /// step-up tokens end.
    ///
    /// # Errors
    /// [`PinError`]; then nothing is changed, and a wrong one counts as a guess.
    pub(crate) async fn set(
        &self,
        subject: &str,
        on_machine: bool,
        new: &str,
        current: Option<&str>,
    ) -> Result<(), PinError> {
        let mut kept = self.inner.kept.lock().await;
        // Looked at under the lock: it may have been cleared a moment ago.
        if self.standing() == Standing::Unset {
            if !on_machine {
                return Err(PinError::NotHere);
            }
        } else {
            // None is a wrong one that gives nothing away, so it does not count.
            let Some(current) = current else {
                self.readable(&kept)?;
                return Err(PinError::Wrong);
            };
            self.guess(&mut kept, subject, current).await?;
        }
        let new = new.to_owned();
        let hashed = blocking(move || {
            let hashed: Result<PasswordHash, _> = Argon2::default().hash_password(new.as_bytes());
            hashed.map(|hash| hash.to_string()).map_err(|error| error.to_string())
        });
        let next = Kept {
            pin: Some(hashed.await.map_err(PinError::Unwritable)?),
            ..Kept::default()
        };
        self.keep(&mut kept, next).await?;
        self.change(Standing::Set);
        Ok(())
    }

    /// Forgets the PIN, whatever the file holds. All step-up tokens end.
    ///
    /// # Errors
    /// [`PinError::Unwritable`]; then there is still the same one.
    pub(crate) async fn clear(&self) -> Result<(), PinError> {
        let mut kept = self.inner.kept.lock().await;
        self.keep(&mut kept, Kept::default()).await?;
        self.change(Standing::Unset);
        Ok(())
    }

    fn change(&self, standing: Standing) {
        *self.inner.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
        self.sessions(HashMap::clear);
    }

    /// The hash, while guesses are looked at.
    fn readable(&self, kept: &Kept) -> Result<String, PinError> {
        match self.standing() {
            Standing::Unreadable(reason) => Err(PinError::Unreadable(reason)),
            Standing::Unset | Standing::Set => kept.pin.clone().ok_or(PinError::NotSet),
        }
    }

    /// Counts a guess, looks at it, and counts it no longer if it was right.
    async fn guess(&self, kept: &mut Kept, subject: &str, pin: &str) -> Result<(), PinError> {
        let hash = self.readable(kept)?;
        if kept.wrong >= WRONG_MAX {
            return Err(PinError::Locked);
        }
        let now = Timestamp::now();
        let mut next = kept.clone();
        next.forget(now);
        if let Some(wait) = next.wait(subject, now) {
            return Err(PinError::TooMany { wait });
        }
        next.count(subject, now);
        // On the disk before it is looked at: a restart gives nobody another guess.
        self.keep(kept, next).await?;
        // What is none is not worth the work.
        if !is_pin(pin) {
            return Err(PinError::Wrong);
        }
        let pin = pin.to_owned();
        let right = blocking(move || {
            let hash = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
            Ok(Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok())
        });
        if !right.await.map_err(PinError::Unreadable)? {
            return Err(PinError::Wrong);
        }
        let mut next = kept.clone();
        next.right(subject);
        self.keep(kept, next).await
    }

    async fn keep(&self, kept: &mut Kept, next: Kept) -> Result<(), PinError> {
        let (path, written) = (self.inner.path.clone(), next.clone());
        let done = blocking(move || file::write(&path, &written).map_err(|error| error.to_string()));
        done.await.map_err(PinError::Unwritable)?;
        *kept = next;
        Ok(())
    }
}

/// Work that keeps a thread busy, or makes it wait for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let ran = tokio::task::spawn_blocking(work).await;
    ran.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests;
