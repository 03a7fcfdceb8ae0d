//! Attached agents: a session of somebody else pulls their messages and answers them; the daemon runs no process. The queue
//! alone says who has what: nothing is written on the message. Everything else is as for a turn that the daemon runs: limits,
//! thread note, reply, the word to who asked.

mod answer;
mod claims;
mod marks;
mod material;
mod offer;
mod refusal;
mod sweep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, Held, LeaseError, Queue, Spend, Turn};
use reveille_vault::agent::Inbound;
use serde::Serialize;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use self::marks::Marks;
use self::offer::Offer;
use crate::ending::Ending;
use crate::http::{ApiError, Caller};
use crate::inbox::Inbox;
use crate::live::{Milestone, Subject};
use crate::registry::Agent;
use crate::turn::{Opening, Run};
use crate::worker::Context;

/// Messages that a listing shows.
const ITEMS: u32 = 20;
/// Characters of a message that a listing shows.
const PREVIEW_CHARS: usize = 120;
/// Messages that one call ends because a limit forbids them or because they were taken back; the next call goes on.
const ENDED_MAX: u32 = 100;

/// Tells who watches, and who has a webhook, that a session has taken a message. Webhooks are told once of each claim.
async fn tell_taken(run: &Run<'_>, held: &Held) {
    let attempt = held.claim.interruptions + 1;
    run.tell(&Milestone::Started {
        attempt,
        by: Some(held.owner.clone()),
        ends_at: Some(held.until),
    });
    run.tell_started(attempt, Some((&held.owner, held.until))).await;
}

/// What waits.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PendingMessages)]
pub(crate) struct Pending {
    /// How many messages that can be taken.
    pub(crate) count: u64,
    /// The first of them, in the order in which they are taken.
    pub(crate) items: Vec<Item>,
    /// Why none is given now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pause: Option<String>,
}

/// A message that waits.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PendingMessage)]
pub(crate) struct Item {
    /// The inbound note.
    pub(crate) id: String,
    /// The beginning of its text, in one line.
    pub(crate) preview: String,
    /// Its conversation.
    pub(crate) thread: Uuid,
    /// Who wrote it.
    pub(crate) sender: String,
    /// When it was accepted.
    pub(crate) at: Timestamp,
}

/// A message that a session has taken.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TakenMessage)]
pub(crate) struct Taken {
    /// The inbound note.
    pub(crate) id: String,
    /// What is to be done: the message, and those that share its turn.
    pub(crate) text: String,
    /// To be given back with the reply; the same as `id`.
    #[serde(rename = "inReplyTo")]
    pub(crate) in_reply_to: String,
    /// Who the agent is; to be adopted for this message.
    #[serde(rename = "systemPrompt")]
    #[schema(required)]
    pub(crate) system_prompt: Option<String>,
    /// The turn.
    pub(crate) turn: Uuid,
    /// Names this claim among all that the message had.
    pub(crate) claim: String,
    /// When the claim ends unless it is renewed.
    pub(crate) ends_at: Timestamp,
    /// Who wrote it.
    pub(crate) sender: String,
    /// What its conversation is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// The agent that is told the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<String>,
    /// Its conversation.
    pub(crate) thread: Uuid,
    /// Files that it brings.
    pub(crate) attachments: Vec<File>,
    /// What should be known: what could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) notices: Vec<String>,
}

/// A file of a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TakenFile)]
pub(crate) struct File {
    /// What its sender calls it.
    pub(crate) name: String,
    /// Its media type.
    pub(crate) mime_type: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Where the daemon gives it out, to who may read the vault.
    pub(crate) url: String,
}

/// A reply that is safe.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Replied {
    /// The outbound note.
    pub(crate) id: String,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_reply_to: Option<String>,
    /// Its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Uuid>,
    /// It had been given before; nothing was written.
    pub(crate) repeated: bool,
    /// It is kept, but the vault has not taken it yet.
    pub(crate) undelivered: bool,
}

/// A message that waits again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Released {
    /// The inbound note.
    pub(crate) id: String,
    /// Its turn.
    pub(crate) turn: Uuid,
}

/// A claim with another end.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Renewed {
    /// The inbound note.
    pub(crate) id: String,
    /// Its turn.
    pub(crate) turn: Uuid,
    /// The claim.
    pub(crate) claim: String,
    /// When it ends now.
    pub(crate) ends_at: Timestamp,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    inbox: Inbox,
    /// How long a claim holds.
    ttl: Duration,
    /// Threads that say that they are worked on.
    marks: Marks,
    /// Conversations in which something ends: one at a time.
    ends: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>,
}

impl Desk {
    /// `ttl`: how long a claim holds.
    #[must_use]
    pub(crate) fn new(inbox: Inbox, ttl: Duration) -> Self {
        let inner = Inner {
            inbox,
            ttl,
            marks: Marks::default(),
            ends: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn context(&self) -> &Context {
        self.inner.inbox.workers.context()
    }

    fn queue(&self) -> &dyn Queue {
        &*self.inner.inbox.queue
    }

    /// Whether there is an attached agent of that name: sessions are shown the tools of one.
    #[must_use]
    pub(crate) fn is_attached(&self, channel: &str) -> bool {
        self.attached(channel).is_ok()
    }

    /// The agent, whoever runs its turns.
    fn agent(&self, channel: &str) -> Result<(ChannelName, Agent), ApiError> {
        let agent = self.inner.inbox.registry.get(channel);
        let agent = agent.ok_or_else(|| ApiError::no_agent(channel, &self.inner.inbox.progress))?;
        let name = channel.parse().map_err(|_| ApiError::unknown_agent(channel))?;
        Ok((name, agent))
    }

    fn attached(&self, channel: &str) -> Result<(ChannelName, Agent), ApiError> {
        let (name, agent) = self.agent(channel)?;
        match agent.is_served() {
            true => Err(refusal::not_attached(channel)),
            false => Ok((name, agent)),
        }
    }

    /// Why no message of the agent is given now; `None` when none waits.
    async fn pause(&self, name: &ChannelName, agent: &Agent) -> Result<Option<String>, ApiError> {
        let definition = &agent.definition;
        if definition.paused {
            let reason = definition.pause_reason.as_deref().map(|reason| format!(": {reason}"));
            return Ok(Some(format!("paused by a person{}", reason.unwrap_or_default())));
        }
        let pauses = self.queue().pauses().await?;
        let pause = pauses.into_iter().find(|(paused, _)| paused == name);
        Ok(pause.map(|(_, pause)| format!("{}: {}", pause.code, pause.reason)))
    }

    /// What waits for an attached agent.
    ///
    /// # Errors
    /// There is none, or the queue cannot be read.
    pub(crate) async fn pending(&self, channel: &str) -> Result<Pending, ApiError> {
        let (name, agent) = self.attached(channel)?;
        let front = self.queue().front(&name, ITEMS).await?;
        Ok(Pending {
            count: front.waiting,
            items: front.turns.iter().map(item).collect(),
            pause: self.pause(&name, &agent).await?,
        })
    }

    /// Takes the first message that waits for an attached agent. What a limit forbids, and what was deleted, ends on the way,
    /// as it does where the daemon runs the turns. `None`: none waits, or the agent is paused. Whoever does not wait for the
    /// answer has taken nothing.
    ///
    /// # Errors
    /// There is no such agent, or the queue cannot be used.
    pub(crate) async fn next(&self, channel: &str, caller: &Caller) -> Result<Option<Taken>, ApiError> {
        let (desk, channel, owner) = (self.clone(), channel.to_owned(), caller.subject());
        let (tell, told) = oneshot::channel();
        self.inner.inbox.workers.spawn(async move {
            // silent-ok: who asked has gone away; what is lost with it goes back in line by itself.
            let _ = tell.send(desk.take(&channel, &owner).await);
        });
        let offer = told.await.map_err(|_| refusal::broken_off())??;
        Ok(offer.map(Offer::accept))
    }

    /// Does a thing to its end, also when who asked for it goes away.
    async fn whole<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (tell, told) = oneshot::channel();
        self.inner.inbox.workers.spawn(async move {
            // silent-ok: nobody wants to hear it any more; it is done all the same.
            let _ = tell.send(work.await);
        });
        told.await.map_err(|_| refusal::broken_off())?
    }

    async fn take(&self, channel: &str, owner: &str) -> Result<Option<Offer>, ApiError> {
        for _ in 0..ENDED_MAX {
            let (name, agent) = self.attached(channel)?;
            if agent.definition.paused {
                return Ok(None);
            }
            let Some(held) = self.queue().take(&name, owner, self.inner.ttl).await? else {
                return Ok(None);
            };
            // It may have been paused or switched between the two looks, and that was answered.
            let agent = match self.attached(channel) {
                Ok((_, agent)) if !agent.definition.paused => agent,
                _ => {
                    self.put_back(&held).await;
                    continue;
                }
            };
            match self.hand_over(&agent, &held).await {
                Ok(None) => {}
                Ok(offer) => return Ok(offer),
                Err(error) => {
                    self.put_back(&held).await;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// What a session gets of what it has taken; `None` when the message has ended or its agent waits.
    async fn hand_over(&self, agent: &Agent, held: &Held) -> Result<Option<Offer>, ApiError> {
        let (turn, conversation) = (held.claim.lease.turn, held.claim.conversation.id);
        let run = Run::new(self.context(), agent, &held.claim);
        let ending = match run.opening().await {
            Opening::Begin(..) => run.check_text().err().map(Ending::without_child),
            Opening::End(ending) => Some(*ending),
            Opening::Wait(pause) => {
                let (reason, _alone) = (pause.reason.clone(), self.alone(conversation).await);
                // One try: a claim from outside ends by itself.
                let once = CancellationToken::new();
                once.cancel();
                run.wait(pause, &once).await;
                self.is_back((turn, run.channel()), "released", &reason).await;
                return Ok(None);
            }
        };
        let gathered = match ending {
            None => Ok(material::gather(&run, agent, held).await),
            Some(ending) => Err(ending),
        };
        let _alone = self.alone(conversation).await;
        // It may have been stopped or given back meanwhile, or its time may be over. That was told; nothing comes behind it.
        let Some(held) = self.still(held).await? else {
            return Ok(None);
        };
        let taken = match gathered {
            Ok(taken) => taken,
            Err(mut ending) => {
                return match self.end(agent, &held, &mut ending).await {
                    Ok(_) | Err(LeaseError::Stale { .. }) => Ok(None),
                    Err(LeaseError::Queue(error)) => Err(error.into()),
                };
            }
        };
        let channel = &held.claim.message.lane.channel;
        // Nobody may have seen yet that an earlier claim is over.
        self.inner.marks.take_off(turn).await;
        self.inner.inbox.hub.forget(channel.as_str(), turn);
        self.inner.marks.show(self.context(), &run);
        run.tell_received().await;
        tell_taken(&run, &held).await;
        tracing::info!(%turn, %channel, by = held.owner, "a session has taken a message");
        Ok(Some(Offer::new(self, taken, held)))
    }

    /// The same claim as it is now, while it holds.
    async fn still(&self, held: &Held) -> Result<Option<Held>, ApiError> {
        let now = self.queue().held(held.claim.lease.turn).await?;
        Ok(now.filter(|now| now.claim.lease == held.claim.lease))
    }

    /// Gives back a claim that nobody has heard of.
    async fn put_back(&self, held: &Held) {
        let (turn, lane) = (held.claim.lease.turn, &held.claim.message.lane);
        let _alone = self.alone(held.claim.conversation.id).await;
        match self.queue().release(held.claim.lease, Spend::default()).await {
            Ok(()) => {
                self.is_back((turn, &lane.channel), "released", "Given back before anybody had it.")
                    .await;
            }
            // It has ended otherwise.
            Err(LeaseError::Stale { .. }) => self.inner.inbox.workers.wake(lane),
            Err(LeaseError::Queue(error)) => {
                tracing::error!(%error, %turn, channel = %lane.channel, "a message goes back in line when its claim ends");
            }
        }
    }

    /// Waits until nothing else ends in a conversation: its numbers are totals.
    async fn alone(&self, conversation: Uuid) -> OwnedMutexGuard<()> {
        let lock = {
            let mut ends = self.inner.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(ends.entry(conversation).or_default())
        };
        lock.lock_owned().await
    }
}

fn item(turn: &Turn) -> Item {
    // silent-ok: taking it tells what is unreadable
    let message = serde_json::from_value::<Inbound>(turn.message.body.clone()).ok();
    let (text, sender) = message
        .map(|message| (message.text, message.sender))
        .unwrap_or_default();
    Item {
        id: turn.message.note.clone(),
        preview: preview(&text),
        thread: turn.conversation,
        sender,
        at: turn.accepted_at,
    }
}

/// One line of at most [`PREVIEW_CHARS`] characters.
fn preview(text: &str) -> String {
    let mut line = String::new();
    let mut left = PREVIEW_CHARS;
    for word in text.split_whitespace() {
        let space = usize::from(!line.is_empty());
        let chars = word.chars().take(left + 1).count() + space;
        if chars > left {
            let room = left.saturating_sub(space + 1);
            if space == 1 && room > 0 {
                line.push(' ');
            }
            line.extend(word.chars().take(room));
            line.push('…');
            return line;
        }
        if space == 1 {
            line.push(' ');
        }
        line.push_str(word);
        left -= chars;
    }
    line
}

fn subject_of(turn: &Turn) -> Subject {
    Subject {
        channel: turn.message.lane.channel.to_string(),
        turn: turn.id,
        thread: turn.conversation,
        message: turn.message.note.clone(),
    }
}
