//! The end of what a session has taken: its answer, or a person's stop.

use jiff::Timestamp;
use reveille_queue::{ChannelName, Held, LeaseError, State, Turn};
use reveille_vault::agent::{Outbound, OutboundKind};
use reveille_vault::{NewNote, NoteId};
use serde_json::Value;
use tracing::Instrument as _;

use super::{Desk, Replied, refusal};
use crate::crash;
use crate::ending::Ending;
use crate::http::{ApiError, Caller};
use crate::record::TurnRecord;
use crate::registry::Agent;
use crate::turn::{self, Run};

/// An answer on its way.
struct Answer {
    owner: String,
    text: String,
    claim: Option<String>,
}

impl Desk {
    /// Answers a message that this caller has taken: thread note, reply, and the word to who asked, as at the end of every
    /// turn. The same answer again gives the same note. Without `in_reply_to` and `claim` it is a word of the agent's own:
    /// an outbound note, and no more.
    ///
    /// # Errors
    /// The text is blank, the message is unknown or not this caller's, or it has ended otherwise: then nothing is published.
    pub(crate) async fn reply(
        &self,
        channel: &str,
        caller: &Caller,
        text: &str,
        in_reply_to: Option<&str>,
        claim: Option<&str>,
    ) -> Result<Replied, ApiError> {
        if text.trim().is_empty() {
            return Err(refusal::blank_reply());
        }
        let of_claim = claim.and_then(|claim| claim.split('.').next());
        let Some(id) = in_reply_to.or(of_claim) else {
            let (_, agent) = self.attached(channel)?;
            return say(&agent, text).await;
        };
        let (name, agent) = self.agent(channel)?;
        let turn = self.find(&name, &agent, id).await?;
        if agent.is_served() && turn.claimed_by.is_none() {
            return Err(refusal::not_attached(channel));
        }
        let answer = Answer {
            owner: caller.subject(),
            text: text.to_owned(),
            claim: claim.map(str::to_owned),
        };
        let desk = self.clone();
        self.whole(async move {
            let _alone = desk.alone(turn.conversation).await;
            desk.settle(&name, &turn, answer).await
        })
        .await
    }

    async fn settle(&self, name: &ChannelName, turn: &Turn, answer: Answer) -> Result<Replied, ApiError> {
        // An earlier try of the same may have ended it just now.
        let turn = &self.queue().turn(turn.id).await?.unwrap_or_else(|| turn.clone());
        if turn.state.is_terminal() {
            return self.again(turn, &answer).await;
        }
        let held = self.mine(turn, &answer.owner, answer.claim.as_deref()).await?;
        crash::point("attached.reply");
        let mut ending = Ending::answered(answer.text.clone());
        let agent = self.agent(name.as_str())?.1;
        match self.end(&agent, &held, &mut ending).await {
            Ok(is_delivered) => Ok(Replied {
                id: ending.record.note.unwrap_or_default(),
                in_reply_to: Some(turn.message.note.clone()),
                turn: Some(turn.id),
                repeated: false,
                undelivered: !is_delivered,
            }),
            Err(LeaseError::Stale { .. }) => Err(refusal::claim_over()),
            Err(LeaseError::Queue(error)) => Err(error.into()),
        }
    }

    /// A reply to a turn that has ended: the same again is answered the same.
    async fn again(&self, turn: &Turn, answer: &Answer) -> Result<Replied, ApiError> {
        let record: TurnRecord = match &turn.record {
            Some(Value::Null) | None => TurnRecord::default(),
            Some(record) => serde_json::from_value(record.clone()).unwrap_or_default(), // silent-ok: then it is another answer
        };
        let own = turn.claimed_by.as_deref() == Some(&answer.owner);
        let answered = turn.state == State::Ok && turn.claimed_by.is_some();
        match record.note {
            _ if !answered => Err(refusal::not_held(turn)),
            _ if !own => Err(refusal::not_yours(turn)),
            Some(note) if record.reply.as_deref() == Some(answer.text.as_str()) => Ok(Replied {
                id: note,
                in_reply_to: Some(turn.message.note.clone()),
                turn: Some(turn.id),
                repeated: true,
                undelivered: self.queue().left(turn.id).await? > 0,
            }),
            _ => Err(refusal::already_answered()),
        }
    }

    /// Ends a turn that somebody has taken; says whether the vault has what follows from it.
    pub(super) async fn end(&self, agent: &Agent, held: &Held, ending: &mut Ending) -> Result<bool, LeaseError> {
        let run = Run::new(self.context(), agent, &held.claim);
        let (id, conversation) = (held.claim.lease.turn, held.claim.conversation.id);
        self.inner.marks.take_off(id).await;
        let span = turn::span(&held.claim);
        let ended = run.end(ending).instrument(span).await;
        if ended.is_err() && matches!(self.queue().held(id).await, Ok(Some(_))) {
            self.inner.marks.show(self.context(), &run);
        } else {
            self.inner.marks.show_others(self.context(), conversation);
        }
        // The daemon may run what waits behind it by now.
        self.inner.inbox.workers.wake(&held.claim.message.lane);
        ended
    }

    /// Ends what somebody outside has taken, for a person: who has it is told so with the next call. False: nobody has.
    ///
    /// # Errors
    /// Its agent is gone, or the queue cannot be used.
    pub(crate) async fn stop(&self, turn: &Turn, caller: &Caller) -> Result<bool, ApiError> {
        if turn.claimed_by.is_none() || turn.state.is_terminal() {
            return Ok(false);
        }
        let (desk, turn, by) = (self.clone(), turn.clone(), caller.subject());
        self.whole(async move {
            let _alone = desk.alone(turn.conversation).await;
            let Some(held) = desk.queue().held(turn.id).await? else {
                return Ok(false);
            };
            let (_, agent) = desk.agent(held.claim.message.lane.channel.as_str())?;
            match desk.end(&agent, &held, &mut Ending::stopped(&by)).await {
                Ok(_) => Ok(true),
                Err(LeaseError::Stale { .. }) => Ok(false),
                Err(LeaseError::Queue(error)) => Err(error.into()),
            }
        })
        .await
    }
}

/// A word that answers nothing.
async fn say(agent: &Agent, text: &str) -> Result<Replied, ApiError> {
    let id = NoteId::generate();
    let note = Outbound {
        id: id.clone(),
        agent: agent.definition.name.clone(),
        text: text.to_owned(),
        kind: OutboundKind::Reply,
        code: None,
        next_step: None,
        in_reply_to: String::new(),
        turn: String::new(),
        thread: String::new(),
        at: Timestamp::now(),
    };
    let mut note: NewNote = note.render();
    note.metadata.retain(|_, value| value.as_str() != Some(""));
    agent.vault.create(note).await?;
    Ok(Replied {
        id: id.to_string(),
        in_reply_to: None,
        turn: None,
        repeated: false,
        undelivered: false,
    })
}
