//! The door of the queue: inbound notes become durable turns, in the order in which the vault has them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{
    Accepted, Binding, ChannelName, FeedCursor, Lane, Message, MessageMode, Queue, QueueError, ThreadKey,
};
use reveille_vault::agent::{self, Inbound, Mode};
use reveille_vault::{Cursor, Key, NoteId, Vault, VaultError};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::bridges::Seals;
use crate::grants::Grants;
use crate::kept::Kept;
use crate::live::{Happening, Hub, Milestone, Subject};
use crate::registry::{Agent, Registry};
use crate::schedule;
use crate::stamp;
use crate::worker::Workers;

/// How soon messages that could not be told to wait no more are told again.
const SHOWN_AGAIN: Duration = Duration::from_secs(5);
/// How long a door waits for the feed.
const FEED_PATIENCE: Duration = Duration::from_secs(2);
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
    /// How far the feeds are.
    pub(crate) progress: Progress,
    /// Definitions as they last held together.
    pub(crate) kept: Kept,
    /// What is done about what notes want.
    pub(crate) grants: Grants,
    /// Most messages that may wait for one agent when another comes through the door.
    pub(crate) max_waiting: u32,
    /// What the clock sends.
    pub(crate) jobs: schedule::Handle,
    /// Tells the origins of messages that are genuine.
    pub(crate) seals: Seals,
}

/// How far the feed of each vault is: everything up to the cursor is accepted. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    /// `None` until the vault has been read.
    feeds: Arc<Mutex<HashMap<String, watch::Sender<Option<Cursor>>>>>,
    standing: Arc<Mutex<BTreeMap<String, Standing>>>,
}

/// A vault that is not followed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Why, for a person.
    pub(crate) reason: String,
    /// When that began.
    pub(crate) since: Timestamp,
    /// It has not been read since the start: its agents are not known.
    pub(crate) unread: bool,
}

impl Progress {
    fn standing(&self) -> MutexGuard<'_, BTreeMap<String, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A vault cannot be followed now. True when the reason is news.
    pub(crate) fn stands(&self, vault: &str, reason: &str) -> bool {
        let mut standing = self.standing();
        let one = standing.entry(vault.to_owned()).or_insert_with(|| Standing {
            reason: String::new(),
            since: Timestamp::now(),
            unread: self.of(vault, |feed| feed.borrow().is_none()),
        });
        let news = one.reason != reason;
        reason.clone_into(&mut one.reason);
        news
    }

    /// A vault is followed.
    pub(crate) fn follows(&self, vault: &str) {
        self.of(vault, |feed| {
            feed.send_if_modified(|at| at.replace(at.unwrap_or(0)).is_none())
        });
        self.standing().remove(vault);
    }

    /// Why a vault is not followed now.
    pub(crate) fn why_standing(&self, vault: &str) -> Option<Standing> {
        self.standing().get(vault).cloned()
    }

    /// A vault whose agents are not known yet, with the reason.
    pub(crate) fn unread(&self) -> Option<(String, String)> {
        let standing = self.standing();
        let (vault, one) = standing.iter().find(|(_, one)| one.unread)?;
        Some((vault.clone(), one.reason.clone()))
    }

    /// Whether the agents of a vault are known.
    pub(crate) fn is_read(&self, vault: &str) -> bool {
        self.standing().get(vault).is_none_or(|one| !one.unread)
    }

    /// A vault is not there any more.
    pub(crate) fn forget(&self, vault: &str) {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.remove(vault);
        self.standing().remove(vault);
    }

    fn of<T>(&self, vault: &str, with: impl FnOnce(&watch::Sender<Option<Cursor>>) -> T) -> T {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        with(feeds.entry(vault.to_owned()).or_insert_with(|| watch::channel(None).0))
    }

    /// A feed has accepted everything up to here.
    pub(crate) fn reached(&self, vault: &str, cursor: Cursor) {
        self.of(vault, |feed| {
            feed.send_if_modified(|at| {
                let further = Some(cursor) > *at;
                *at = Some(cursor).max(*at);
                further
            })
        });
    }

    /// Waits until a feed has come as far as this; false when that takes longer than `patience`.
    pub(crate) async fn wait(&self, vault: &str, cursor: Cursor, patience: Duration) -> bool {
        let mut feed = self.of(vault, watch::Sender::subscribe);
        let there = feed.wait_for(|at| *at >= Some(cursor));
        matches!(tokio::time::timeout(patience, there).await, Ok(Ok(_)))
    }
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

    /// Waits until the feed has taken everything that the vault has now; false when that takes long. What was written is safe
    /// all the same.
    pub(crate) async fn caught_up(&self, vault: &dyn Vault) -> bool {
        let newest = *vault.watch().borrow();
        self.progress.wait(vault.name(), newest, FEED_PATIENCE).await
    }

    /// Where a message came from, if a bridge brought it; or where the one came from that began its chain, if it reports the
    /// outcome of what the same agent had handed on: the answer then goes where the first one went.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub(crate) async fn origin_of(
        &self,
        vault: &str,
        note: &str,
        message: &mut Inbound,
    ) -> Result<BTreeMap<String, String>, QueueError> {
        let origin = self.seals.genuine(note, std::mem::take(&mut message.origin));
        let (Some(chain), true, true) = (&message.chain, message.callback.is_some(), origin.is_empty()) else {
            return Ok(origin);
        };
        let first = self.queue.turn_of(vault, chain).await?;
        let first = first.and_then(|turn| serde_json::from_value::<Inbound>(turn.message.body).ok()); // silent-ok: no origin then
        let own = first.filter(|first| first.agent == message.agent);
        Ok(own.map(|first| first.origin).unwrap_or_default())
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
                chain: arrival.message.chain_of(&arrival.note),
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
                if let Some(place) = answer.place
                    && self.mode(&arrival.message) == MessageMode::Interrupt
                {
                    self.workers.interrupt(lane, place.conversation, answer.turn);
                }
                self.announce(arrival, lane, answer).await;
            }
            // Also for a message that was known: who accepted it first may not have come as far as this.
            self.workers.wake(lane);
        }
        Ok(accepted)
    }

    /// Agents came or changed: what an agent had under another name moves to the present one, its lanes may run, and messages
    /// that waited for it no longer say so. To be repeated after an error; that does no harm.
    ///
    /// # Errors
    /// The queue cannot be written, and nothing has happened; or it cannot be read, and nobody was woken yet.
    pub(crate) async fn adopt(&self, names: &[String]) -> Result<(), QueueError> {
        if names.is_empty() {
            return Ok(());
        }
        for moved in self.queue.bind(self.bindings(names)).await? {
            tracing::info!(from = %moved.from, to = %moved.to, "an agent has another name; its line and its conversations go with it");
        }
        self.settled(names);
        // Before a turn may begin: one that has ended is not found, and its message would say for ever that it waits.
        let waiting = self.open_messages(names).await?;
        self.workers.wake_channels(names);
        let inbox = self.clone();
        self.workers.spawn(async move {
            let mut left = waiting;
            while let Some(again) = inbox.workers.unless_stopped(inbox.show_waiting(left)).await {
                left = again;
                if left.is_empty() || !inbox.workers.rest(SHOWN_AGAIN).await {
                    return;
                }
                // By now they may wait for another reason, and say so.
                if let Ok(paused) = inbox.queue.pauses().await {
                    left.retain(|(channel, _)| paused.iter().all(|(one, _)| one != channel));
                }
            }
        });
        Ok(())
    }

    /// The open messages of these agents.
    async fn open_messages(&self, names: &[String]) -> Result<Vec<(ChannelName, NoteId)>, QueueError> {
        let mut all = Vec::new();
        for (channel, _) in self.queue.depths().await? {
            if !names.iter().any(|name| name == channel.as_str()) {
                continue;
            }
            let turns = self.queue.open_turns(&channel, ADOPTED_MAX).await?;
            let notes = turns
                .iter()
                .filter_map(|turn| NoteId::new(turn.message.note.as_str()).ok()); // silent-ok: no note of ours
            all.extend(notes.map(|id| (channel.clone(), id)));
        }
        Ok(all)
    }

    /// The queue knows whose these names are. What is given to them goes with them or does not.
    pub(crate) fn settled(&self, names: &[String]) {
        let trust = &self.workers.context().trust;
        let held =
            |names: &[String]| -> Vec<Agent> { names.iter().filter_map(|name| self.registry.get(name)).collect() };
        trust.settle(&held(names), false);
        self.look_at_trust(names);
        if self.progress.unread().is_none() {
            let names = self.registry.names();
            let agents = held(&names);
            let settled: Vec<Agent> = agents.into_iter().filter(|agent| trust.is_settled(agent)).collect();
            trust.settle(&settled, true);
            trust.tell_idle_tables(&names);
        }
    }

    /// Tells of what was given to these names and is not meant for who has them.
    pub(crate) fn look_at_trust(&self, names: &[String]) {
        let trust = &self.workers.context().trust;
        for name in names {
            let agent = self.registry.get(name);
            let other = agent.filter(|agent| !trust.covers(agent.vault.name(), &agent.definition));
            self.registry.withhold(name, other.map(|_| trust.given(name)));
        }
    }

    /// Which note defines which channel, for names that are held.
    pub(crate) fn bindings(&self, names: &[String]) -> Vec<Binding> {
        let holders = names.iter().filter_map(|name| Some((name, self.registry.get(name)?)));
        let bound = holders.filter_map(|(name, agent)| {
            Some(Binding {
                vault: agent.vault.name().to_owned(),
                note: agent.definition.note.to_string(),
                channel: name.parse().ok()?, // silent-ok: every agent's name is a channel's
            })
        });
        bound.collect()
    }

    /// Takes off messages that they wait for an agent that is there now. Answers those for which that has to be tried again.
    async fn show_waiting(&self, messages: Vec<(ChannelName, NoteId)>) -> Vec<(ChannelName, NoteId)> {
        let (mut left, mut away) = (Vec::new(), HashSet::new());
        for (channel, id) in messages {
            let Some(agent) = self.registry.get(channel.as_str()) else {
                continue;
            };
            let vault = &*agent.vault;
            if away.contains(vault.name()) {
                left.push((channel, id));
                continue;
            }
            match self.waits_no_more(vault, &id).await {
                Ok(()) => {}
                Err(VaultError::Unavailable { reason, .. }) => {
                    tracing::warn!(reason, vault = vault.name(), %channel, "some messages still say that they wait for their agent; it is tried again");
                    away.insert(vault.name().to_owned());
                    left.push((channel, id));
                }
                Err(error) => {
                    tracing::warn!(%error, %channel, note = %id, "a message goes on saying that it waits for its agent");
                }
            }
        }
        left
    }

    async fn waits_no_more(&self, vault: &dyn Vault, id: &NoteId) -> Result<(), VaultError> {
        let note = vault.get(&Key::Id(id.clone())).await?;
        match note.filter(|note| note.text("status").as_deref() == Some(WAITING)) {
            Some(note) => stamp::show_unless_changed(vault, &note, "", "").await,
            None => Ok(()),
        }
    }

    async fn announce(&self, arrival: &Arrival, lane: &Lane, answer: &Accepted) {
        let place = answer.place;
        let (thread, position) = place.map_or((Uuid::nil(), 0), |place| (place.conversation, place.ahead));
        let subject = Subject {
            channel: lane.channel.to_string(),
            turn: answer.turn,
            thread,
            message: arrival.note.clone(),
        };
        let queued = Milestone::Queued {
            position,
            text: shown(&arrival.message.text, SHOWN_CHARS),
            sender: arrival.message.sender.clone(),
        };
        self.hub.tell(&subject, &Happening::About(queued));
        let (message, now) = (&arrival.message, Timestamp::now());
        let told = self.hub.told();
        told.received(&subject, &message.text, &message.sender, now).await;
    }
}
