//! Names that a turn may not give to an agent that it makes.

use std::fmt;

use reveille_vault::{NoteId, VaultError};

use super::Trust;

/// What a turn asks before it gives a name. Without anything to ask every name is free.
#[derive(Clone, Default)]
pub(crate) struct Guard(Option<Trust>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// It says nothing of who asks.
impl PartialEq for Guard {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Guard {}

impl From<Trust> for Guard {
    fn from(trust: Trust) -> Self {
        Self(Some(trust))
    }
}

impl Guard {
    /// Whether a turn may give a name to a definition in that vault; `note` is the definition, where it is there.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`]: something of another note, or of the operator, goes with the name.
    pub(crate) async fn check(&self, name: &str, vault: &str, note: Option<&NoteId>) -> Result<(), VaultError> {
        let Some(trust) = &self.0 else { return Ok(()) };
        let why = match trust.stands_in_the_way(name, vault, note).await {
            Ok(None) => return Ok(()),
            Ok(Some(why)) => why,
            Err(error) => {
                return Err(VaultError::Unavailable {
                    vault: vault.to_owned(),
                    reason: format!("it is not known whether the name {name} is free: {error}"),
                });
            }
        };
        Err(VaultError::Forbidden(format!(
            "a turn may not give an agent the name {name}: {why}; nothing was written. Take another name, or ask the operator \
             to make the agent"
        )))
    }
}

impl Trust {
    async fn stands_in_the_way(
        &self,
        name: &str,
        vault: &str,
        note: Option<&NoteId>,
    ) -> Result<Option<&'static str>, reveille_queue::QueueError> {
        if !self.given(name).is_empty() {
            return Ok(Some("the operator has stored secrets or settings for it"));
        }
        if self.inner.grants.all().iter().any(|(holder, ..)| holder == name) {
            return Ok(Some("there are connections of that name"));
        }
        let Ok(channel) = name.parse() else {
            return Ok(None); // the definition itself says what is wrong with it
        };
        let holder = self.inner.queue.holder(&channel).await?;
        let other = holder.is_some_and(|one| one.vault != vault || note.is_none_or(|note| note.as_str() != one.note));
        if other && self.inner.queue.is_known(&channel).await? {
            return Ok(Some("another agent has, or had, conversations under it"));
        }
        Ok(None)
    }
}
