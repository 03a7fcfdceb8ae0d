//! What a bridge may ask of the daemon.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Intake, Refusal};

/// The daemon, as one bridge sees it: each bridge is given its own. Messages enter through [`Intake::take`].
#[async_trait]
pub trait Host: Intake {
    /// Interrupts the turn that the agent is working on.
    ///
    /// # Errors
    /// Why that cannot be done, for the person who asked.
    async fn stop(&self, agent: &str) -> Result<Stopped, String>;

    /// Where a turn stands. `None` when nothing is known of it.
    async fn standing(&self, agent: &str, turn: &str) -> Option<Standing>;

    /// Stores a file in the vault of the agent, for [`Incoming::attachments`](crate::Incoming::attachments). Returns its path
    /// there.
    ///
    /// # Errors
    /// [`Refusal`], such as a file that is too large; then nothing is stored.
    async fn upload(&self, agent: &str, name: &str, content: Vec<u8>) -> Result<String, Refusal>;

    /// Reads a file of the vault of the agent, such as one of [`Outgoing::files`](crate::Outgoing::files).
    ///
    /// # Errors
    /// Why it cannot be read.
    async fn read(&self, agent: &str, path: &str) -> Result<Attachment, String>;

    /// Tells the sessions that listen to this bridge what a person has decided.
    async fn verdict(&self, verdict: Verdict);
}

/// What became of a wish to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The turn that ends now; `None` when none was running.
    pub turn: Option<String>,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits.
    Waiting {
        /// How many are in front of it: the one that runs, and the ones that come first.
        ahead: u64,
    },
    /// It runs.
    Running,
    /// It is over, in whatever way.
    Ended,
}

/// A file of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, without directories.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// All of it.
    pub content: Vec<u8>,
}

/// What a person has decided about a [`PermissionRequest`](crate::PermissionRequest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The request.
    pub request_id: String,
    /// The decision.
    pub behavior: Behaviour,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behaviour {
    /// The tool may be used.
    Allow,
    /// It may not.
    Deny,
}
