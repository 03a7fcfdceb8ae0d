//! Credentials of Claude Code and secrets for turns: `<state>/credentials.json`, one layer for all agents and one for each.
//!
//! What is in it is read anew for each turn, so a change counts from the next one on. Nothing here shows a value: no error, no
//! log line, no `Debug`. Writers take turns by a lock beside the file, and a reader sees the old or the new file, never a
//! part. What other programs have put into it stays.

mod contents;
mod file;
mod lend;
mod names;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use contents::{Contents, Stored};
pub(crate) use lend::unusable;
pub(crate) use names::CREDENTIALS;

/// Name of the file in the state directory.
const NAME: &str = "credentials.json";

/// Why something was not read or not written. Holds nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// What is in the file cannot be used. It stays as it is.
    #[error(
        "the file {path} of credentials cannot be used: {why}; mend it, or move it away and set the credentials again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, without what is in it.
        why: String,
    },
    /// The file system refuses.
    #[error("the file {path} of credentials cannot be {what}: {why}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system said.
        why: String,
    },
    /// What was given will not do. Nothing was written.
    #[error("{0}")]
    Wrong(String),
}

/// For whom something is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// For all agents.
    Default,
    /// For one agent, by its name.
    Channel,
}

impl Layer {
    /// The word in the API.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Channel => "channel",
        }
    }
}

/// The file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials {
    path: Arc<Path>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.path).finish()
    }
}

impl Credentials {
    /// In that state directory.
    #[must_use]
    pub(crate) fn in_dir(state: &Path) -> Self {
        Self {
            path: state.join(NAME).into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it now. No file is the same as an empty one.
    ///
    /// # Errors
    /// [`CredentialsError`]; the file stays as it is.
    pub(crate) fn read(&self) -> Result<Contents, CredentialsError> {
        file::read(&self.path)
    }

    /// Takes away what a crash has left, and what others may read of it.
    ///
    /// # Errors
    /// [`CredentialsError`]
    pub(crate) async fn settle(&self) -> Result<(), CredentialsError> {
        self.alone(file::settle).await
    }

    /// Sets the credential of Claude Code, of one agent or of all.
    ///
    /// # Errors
    /// [`CredentialsError`]; then nothing was changed.
    pub(crate) async fn set_claude(&self, channel: Option<&str>, token: &str) -> Result<(), CredentialsError> {
        let token = names::check_token(token)?.to_owned();
        let channel = checked(channel)?;
        let set = move |contents: &mut Contents| {
            contents.set_claude(channel.as_deref(), &token);
            true
        };
        self.change(set).await.map(drop)
    }

    /// Takes it away; says whether there was one.
    ///
    /// # Errors
    /// [`CredentialsError`]; then nothing was changed.
    pub(crate) async fn remove_claude(&self, channel: Option<&str>) -> Result<bool, CredentialsError> {
        let channel = channel.map(str::to_owned);
        self.change(move |contents| contents.remove_claude(channel.as_deref()))
            .await
    }

    /// Sets a variable of turns, of one agent or of all.
    ///
    /// # Errors
    /// [`CredentialsError`]; then nothing was changed.
    pub(crate) async fn set_env(&self, channel: Option<&str>, name: &str, value: &str) -> Result<(), CredentialsError> {
        names::check(name, value)?;
        let channel = checked(channel)?;
        let (name, value) = (name.to_owned(), value.to_owned());
        let set = move |contents: &mut Contents| {
            contents.set_env(channel.as_deref(), &name, &value);
            true
        };
        self.change(set).await.map(drop)
    }

    /// Takes it away; says whether there was one.
    ///
    /// # Errors
    /// [`CredentialsError`]; then nothing was changed.
    pub(crate) async fn remove_env(&self, channel: Option<&str>, name: &str) -> Result<bool, CredentialsError> {
        if name.is_empty() {
            return Err(CredentialsError::Wrong("a variable has a name".into()));
        }
        let (channel, name) = (channel.map(str::to_owned), name.to_owned());
        self.change(move |contents| contents.remove_env(channel.as_deref(), &name))
            .await
    }

    /// Reads, changes and writes while nobody else does. `change` says whether there is something to write.
    async fn change(
        &self,
        change: impl FnOnce(&mut Contents) -> bool + Send + 'static,
    ) -> Result<bool, CredentialsError> {
        self.alone(|path| {
            let mut contents = file::read(path)?;
            let changed = change(&mut contents);
            if changed {
                file::write(path, &contents)?;
            }
            Ok(changed)
        })
        .await
    }

    /// Does something with the file that no other writer comes between, also when nobody waits for it any more.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, CredentialsError> + Send + 'static,
    ) -> Result<T, CredentialsError> {
        let lock = file::lock(&self.path).await?;
        let path = Arc::clone(&self.path);
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&path);
            drop(lock);
            done
        });
        done.await.unwrap_or_else(|error| {
            Err(CredentialsError::Io {
                path: self.path.to_path_buf(),
                what: "written",
                why: error.to_string(),
            })
        })
    }
}

fn checked(channel: Option<&str>) -> Result<Option<String>, CredentialsError> {
    channel
        .map(|channel| names::check_channel(channel).map(str::to_owned))
        .transpose()
}

#[cfg(test)]
mod tests;
