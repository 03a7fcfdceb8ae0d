//! The door of the queue: inbound notes become durable turns. Both the feed and the HTTP door go through here.

use std::sync::Arc;

use reveille_queue::{Accepted, ChannelName, FeedCursor, Lane, Message, MessageMode, Queue, QueueError, ThreadKey};
use reveille_vault::agent::{self, Inbound, Mode};
use reveille_vault::{Key, NoteId};
use serde_json::json;
use uuid::Uuid;

use crate::live::{Happening, Hub, Milestone, Subject};
use crate::registry::Registry;
use crate::stamp;
use crate::worker::Workers;

/// Status on the note of a message whose agent is not there.
pub(crate) const WAITING: &str = "waiting";
/// Most waiting messages whose notes are looked at when their agent comes.
const ADOPTED_MAX: u32 = 1000;
/// Characters of a message that the live view shows.
const SHOWN_CHARS: usize = 2000;

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Inbox {
    /// Where messages become durable.
    pub(crate) queue: Arc<dyn Queue>,
    /// Who there is.
    pub(crate) registry: Registry,
    /// Who watches.
    pub(crate) hub: Hub,
    /// Who works.
    pub(crate) workers: Workers,
}

/// A message with its note.
pub(crate) struct Arrival {
    /// The vault of the note.
    pub(crate) vault: String,
    /// The note.
    pub(crate) note: String,
    /// What it says.
    pub(crate) message: Inbound,
}

/// Cuts a text for display, with `…` where something is missing.
#[must_use]
pub(crate) fn shown(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl Inbox {
    /// The conversation that a message belongs to.
    fn lane(&self, channel: ChannelName, note: &str, message: &Inbound) -> Lane {
        let mode = self
            .registry
            .get(channel.as_str())
            .map_or(Mode::SingleThreaded, |agent| agent.definition.mode);
        let thread = match (&message.subject, mode) {
            (Some(subject), _) => ThreadKey::Subject(subject.clone()),
            (None, Mode::SingleThreaded) => ThreadKey::Main,
            (None, Mode::MultiThreaded) => ThreadKey::Single(note.to_owned()),
        };
        Lane { channel, thread }
    }

    fn mode(&self, message: &Inbound) -> MessageMode {
        let own = || {
            self.registry
                .get(&message.agent)
                .map(|agent| agent.definition.message_mode)
        };
        match message.mode.or_else(own).unwrap_or_default() {
            agent::MessageMode::Followup => MessageMode::Followup,
            agent::MessageMode::Collect => MessageMode::Collect,
            agent::MessageMode::Interrupt => MessageMode::Interrupt,
        }
    }

    /// Accepts messages and moves the feed's cursor, durably, then wakes the workers. Messages accepted before are found
    /// again, not accepted twice. Answers in the given order.
    ///
    /// # Errors
    /// [`QueueError`]; then nothing is stored, the cursor included.
    pub(crate) async fn accept(
        &self,
        arrivals: Vec<Arrival>,
        cursor: Option<FeedCursor>,
    ) -> Result<Vec<Accepted>, QueueError> {
        let mut messages = Vec::with_capacity(arrivals.len());
        for arrival in &arrivals {
            let channel: ChannelName = arrival.message.agent.parse().map_err(|error| QueueError::Refused {
                reason: format!("the message {} was routed to no channel: {error}", arrival.note),
            })?;
            messages.push(Message {
                lane: self.lane(channel, &arrival.note, &arrival.message),
                chain: arrival.note.clone(),
                mode: self.mode(&arrival.message),
                vault: arrival.vault.clone(),
                note: arrival.note.clone(),
                body: json!(arrival.message),
            });
        }
        let lanes: Vec<Lane> = messages.iter().map(|message| message.lane.clone()).collect();
        let accepted = self.queue.accept(messages, cursor).await?;
        for ((arrival, lane), answer) in arrivals.iter().zip(&lanes).zip(&accepted) {
            if answer.fresh {
                self.announce(arrival, lane, answer.turn).await;
            }
            // Also for a message that was known: who accepted it first may not have come as far as this.
            self.workers.wake(lane);
        }
        Ok(accepted)
    }

    /// An agent came or changed: its lanes may run, and messages that waited for it no longer say so.
    pub(crate) async fn adopt(&self, name: &str) {
        if let Err(error) = self.clear_waiting(name).await {
            tracing::warn!(%error, name, "some messages still say that they wait for their agent");
        }
        self.workers.wake_channel(name);
    }

    async fn clear_waiting(&self, name: &str) -> anyhow::Result<()> {
        let (Some(agent), Ok(channel)) = (self.registry.get(name), name.parse::<ChannelName>()) else {
            return Ok(());
        };
        for turn in self.queue.open_turns(&channel, ADOPTED_MAX).await? {
            let Ok(id) = NoteId::new(turn.message.note.as_str()) else {
                continue;
            };
            let note = agent.vault.get(&Key::Id(id)).await?;
            if let Some(note) = note.filter(|note| note.text("status").as_deref() == Some(WAITING)) {
                stamp::show(&*agent.vault, &note, "", "").await?;
            }
        }
        Ok(())
    }

    async fn announce(&self, arrival: &Arrival, lane: &Lane, turn: Uuid) {
        let place = match self.queue.place(turn).await {
            Ok(place) => place,
            Err(error) => {
                tracing::warn!(%error, channel = %lane.channel, "the place in line is unknown");
                None
            }
        };
        let (thread, position) = place.map_or((Uuid::nil(), 0), |place| (place.conversation, place.ahead));
        let subject = Subject {
            channel: lane.channel.to_string(),
            turn,
            thread,
            message: arrival.note.clone(),
        };
        let queued = Milestone::Queued {
            position,
            text: shown(&arrival.message.text, SHOWN_CHARS),
            sender: arrival.message.sender.clone(),
        };
        self.hub.tell(&subject, &Happening::About(queued));
    }
}
