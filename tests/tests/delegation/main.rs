//! Agents that hand work to each other: what the daemon keeps track of, whatever the agents say.

mod callbacks;
mod definitions;
mod door;
mod jobs;
mod marks;
mod real_cli;
mod tools;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Answer, Daemon, Journal, JournalNote, LIMIT, Sent};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Tags of a message to an agent.
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

/// A daemon with these agents.
async fn with(agents: &[&str]) -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    for agent in agents {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    Ok(daemon)
}

/// Writes a message as a note of the operator; answers its id.
async fn letter(daemon: &Daemon, path: &str, text: &str, metadata: &Value) -> Result<String> {
    let note = daemon.note_put(path, text, &INBOUND, metadata).await?;
    Ok(note["id"].as_str().context("a note has an id")?.to_owned())
}

/// The note of a message, once there is one that `wanted` describes.
async fn message(daemon: &Daemon, what: &str, wanted: impl Fn(&JournalNote) -> bool) -> Result<JournalNote> {
    eventually(what, LIMIT, async || {
        let notes = daemon.journal()?.notes;
        Ok(notes.into_iter().find(|note| note.is_inbound() && wanted(note)))
    })
    .await
}

fn callbacks(journal: &Journal) -> Vec<&JournalNote> {
    journal.notes.iter().filter(|note| note.is_callback()).collect()
}

/// What stands on a message about its chain: chain, depth, turn, sender.
fn marks(note: &JournalNote) -> [&str; 4] {
    ["chain_id", "delegation_depth", "delegated_by", "sender"].map(|key| note.text(key))
}

/// A turn that runs until it is let go, and its token, as its child has it.
struct Held {
    sent: Sent,
    turn: String,
    token: String,
    gate: PathBuf,
}

impl Held {
    /// The turn of a message of the operator.
    async fn new(daemon: &Daemon, agent: &str) -> Result<Self> {
        Self::with(daemon, agent, &json!({})).await
    }

    /// The same, of a note with further metadata.
    async fn with(daemon: &Daemon, agent: &str, metadata: &Value) -> Result<Self> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        let file = |name: &str| daemon.scratch().join(format!("{name}-{key}"));
        let (token, gate) = (file("token"), file("gate"));
        let text = format!(
            "[[exec printf %s \"$REVEILLE_TURN $REVEILLE_TOKEN\" >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]]",
            token.display(),
            gate.display(),
        );
        let mut all = metadata.clone();
        all["agent"] = json!(agent);
        let id = letter(daemon, &format!("held/{key}"), &text, &all).await?;
        let told = eventually("the turn runs", LIMIT, async || {
            Ok(std::fs::read_to_string(&token).ok()) // silent-ok: not there yet
        })
        .await?;
        let (turn, token) = told.split_once(' ').context("a turn and a token")?;
        Ok(Self {
            sent: Sent {
                id,
                turn: Some(turn.to_owned()),
            },
            turn: turn.to_owned(),
            token: token.to_owned(),
            gate,
        })
    }

    /// A request with the token of the turn.
    async fn ask(&self, daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", bearer.as_str())];
        daemon.ask(method, target, &headers, body.as_bytes()).await
    }

    /// The note that a request writes.
    async fn write(&self, daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Value> {
        let answer = self.ask(daemon, method, target, body).await?;
        anyhow::ensure!(
            (200..300).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.json()?
        );
        answer.json()
    }

    fn let_go(&self) -> Result<()> {
        Ok(std::fs::write(&self.gate, "")?)
    }
}
