//! What bridges may ask of the daemon.

use async_trait::async_trait;
use reveille_queue::{ChannelName, State, Turn};
use reveille_transports::fanout::{Fanout, Frame};
use reveille_transports::{Attachment, Bridge, Host, Incoming, Intake, Refusal, Standing, Stopped, Taken, Verdict};
use reveille_vault::{NewFile, VaultError};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::BRIDGE;
use crate::config::FileLimits;
use crate::inbox::Inbox;
use crate::worker::{BEGINS_POLL, BEGINS_WITHIN};

/// Turns of an agent that are looked at to find the running ones.
const LOOKED_AT: u32 = 1000;
/// What an origin may be: so many names, and so many bytes in all.
const ORIGIN_MOST: (usize, usize) = (32, 16 << 10);
/// Longest name in an origin.
const ORIGIN_NAME: usize = 64;

/// What the desks of all bridges share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Parts {
    /// Where messages go, and who works on them.
    pub(crate) inbox: Inbox,
    /// What files may be as large as.
    pub(crate) limits: FileLimits,
}

/// The daemon, as one bridge sees it.
pub(super) struct Desk {
    name: String,
    kind: &'static str,
    parts: Parts,
    sessions: Fanout,
}

impl Desk {
    pub(super) fn new(bridge: &dyn Bridge, parts: Parts, sessions: Fanout) -> Self {
        Self {
            name: bridge.name().to_owned(),
            kind: bridge.kind(),
            parts,
            sessions,
        }
    }

    async fn turn(&self, channel: &str, id: Uuid) -> Option<Turn> {
        match self.parts.inbox.queue.turn(id).await {
            Ok(turn) => turn,
            Err(error) => {
                tracing::warn!(%error, turn = %id, channel, "it is not known how the turn stands");
                None
            }
        }
    }
}

/// A message as the sessions that listen to its channel get it.
pub(crate) fn pushed(message: &Incoming, kind: &str) -> Frame {
    let mut meta: serde_json::Map<String, Value> = message
        .origin
        .iter()
        .filter(|(name, _)| *name != BRIDGE)
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    meta.entry("sender").or_insert_with(|| json!(message.sender));
    Frame {
        event: "message",
        data: json!({ "content": message.text, "meta": meta, "source": kind }),
    }
}

fn check(origin: &std::collections::BTreeMap<String, String>) -> Result<(), Refusal> {
    let fits = |name: &String| {
        (1..=ORIGIN_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    let bytes: usize = origin.iter().map(|(name, value)| name.len() + value.len()).sum();
    if origin.len() > ORIGIN_MOST.0 || bytes > ORIGIN_MOST.1 || !origin.keys().all(fits) {
        let message = "what the bridge says of where the message came from is too much, or is named strangely";
        return Err(Refusal::Invalid(message.into()));
    }
    Ok(())
}

#[async_trait]
impl Intake for Desk {
    /// An agent takes it; where there is none, the sessions that listen get it.
    async fn take(&self, mut message: Incoming) -> Result<Taken, Refusal> {
        check(&message.origin)?;
        message.origin.insert(BRIDGE.to_owned(), self.name.clone());
        let registry = &self.parts.inbox.registry;
        // An agent that is there, only not read yet, gets it when it is tried again. Asked first: a name that is let go of has
        // got its agent before.
        if !registry.is_reserved(&message.agent)
            && registry.get(&message.agent).is_none()
            && self.sessions.push(&self.name, pushed(&message, self.kind)) > 0
        {
            return Ok(Taken {
                vault: String::new(),
                note: Uuid::new_v4().to_string(),
                turn: None,
            });
        }
        self.parts.inbox.take(message).await
    }
}

#[async_trait]
impl Host for Desk {
    async fn stop(&self, agent: &str) -> Result<Stopped, String> {
        let channel: ChannelName = agent.parse().map_err(|_| format!("there is no agent {agent:?}"))?;
        let inbox = &self.parts.inbox;
        let until = Instant::now() + BEGINS_WITHIN;
        let (mut stopped, mut meant) = (Vec::new(), None);
        loop {
            let open = inbox.queue.open_turns(&channel, LOOKED_AT).await;
            let open = open.map_err(|error| format!("the queue cannot be read: {error}; nothing was stopped"))?;
            let ours = |turn: &Turn| turn.state == State::Working && turn.claimed_by.is_none();
            let mut running: Vec<Uuid> = open.iter().filter(|turn| ours(turn)).map(|turn| turn.id).collect();
            // What comes later is not meant.
            let meant = meant.get_or_insert_with(|| running.clone());
            running.retain(|turn| meant.contains(turn) && !stopped.contains(turn));
            stopped.extend(running.iter().copied().filter(|turn| inbox.workers.stop(*turn)));
            running.retain(|turn| !stopped.contains(turn));
            // What was claimed just now is at work in a moment.
            if running.is_empty() || Instant::now() >= until {
                return Ok(Stopped {
                    turn: stopped.first().map(ToString::to_string),
                });
            }
            tokio::time::sleep(BEGINS_POLL).await;
        }
    }

    async fn standing(&self, agent: &str, turn: &str) -> Option<Standing> {
        let mut turn = self.turn(agent, turn.parse().ok()?).await?; // silent-ok: no turn of ours
        // What joined another one stands where that one does.
        if let (false, Some(leader)) = (turn.state.is_terminal(), turn.leader) {
            turn = self.turn(agent, leader).await?;
        }
        if turn.state.is_terminal() {
            return Some(Standing::Ended);
        }
        if turn.state == State::Working {
            return Some(Standing::Running);
        }
        match self.parts.inbox.queue.place(turn.id).await {
            Ok(place) => place.map(|place| Standing::Waiting { ahead: place.ahead }),
            Err(error) => {
                tracing::warn!(%error, turn = %turn.id, channel = agent, "the place in line is unknown");
                None
            }
        }
    }

    async fn upload(&self, agent: &str, name: &str, content: Vec<u8>) -> Result<String, Refusal> {
        let agent = self.parts.inbox.agent(agent)?;
        let most = self.parts.limits.of(agent.vault.name());
        if content.len() > most {
            let message = format!(
                "the file {name:?} has {} bytes; at most {most} are taken",
                content.len()
            );
            return Err(Refusal::Invalid(message));
        }
        let failed = |error: VaultError| match error {
            VaultError::Unavailable { .. } => Refusal::Unavailable(error.to_string()),
            error => Refusal::Invalid(error.to_string()),
        };
        let file = NewFile {
            filename: name.to_owned(),
            mime_type: mime_guess::from_path(name).first_raw().map(str::to_owned),
        };
        let mut upload = agent.vault.files().upload(file).await.map_err(failed)?;
        upload.write(&content).await.map_err(failed)?;
        Ok(upload.finish().await.map_err(failed)?.path)
    }

    async fn read(&self, agent: &str, path: &str) -> Result<Attachment, String> {
        let agent = self.parts.inbox.agent(agent).map_err(|refusal| refusal.to_string())?;
        let opened = agent.vault.files().open(path).await;
        let opened = opened.map_err(|error| error.to_string())?;
        let mut opened = opened.ok_or_else(|| format!("there is no file {path:?}"))?;
        let mut content = Vec::new();
        let read = opened.bytes.read_to_end(&mut content).await;
        read.map_err(|error| format!("the file {path:?} cannot be read: {error}"))?;
        Ok(Attachment {
            name: opened.file.filename,
            mime: opened.file.mime_type,
            content,
        })
    }

    async fn verdict(&self, verdict: Verdict) {
        let frame = Frame {
            event: "permission_verdict",
            data: json!(verdict),
        };
        if self.sessions.push(&self.name, frame) == 0 {
            tracing::warn!(
                bridge = self.name,
                request = verdict.request_id,
                "nobody listens for the decision"
            );
        }
    }
}
