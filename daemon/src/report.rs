//! What is told of the end of a turn: the note for people, and the word to the agent that asked.

use jiff::Timestamp;
use reveille_vault::NoteId;
use reveille_vault::agent::{Callback, Inbound, Outbound, OutboundKind};
use uuid::Uuid;

use crate::effects::{Effect, derived};
use crate::inbox::shown;
use crate::limits::DEPTH_MAX;
use crate::record::FailureRecord;

/// Characters of the reason in a failure note.
const REASON_CHARS: usize = 240;

/// What a failure note says.
fn failure_text(failure: &FailureRecord) -> String {
    let reason = shown(&failure.message, REASON_CHARS);
    format!("⚠️ I could not finish this turn: {reason}\n\n{}", failure.next_step)
}

/// A turn that has ended.
pub(crate) struct Report<'a> {
    /// The turn.
    pub(crate) turn: Uuid,
    /// The agent that it was for.
    pub(crate) agent: &'a str,
    /// Its conversation, which has the identity of the thread note.
    pub(crate) thread: Uuid,
    /// Where its notes go.
    pub(crate) vault: &'a str,
    /// The inbound note.
    pub(crate) note: &'a str,
    /// What that note says.
    pub(crate) message: &'a Inbound,
    /// The chain of hand-overs that it belongs to.
    pub(crate) chain: &'a str,
    /// Where the thread note is made.
    pub(crate) thread_path: &'a str,
    /// When it ended.
    pub(crate) at: Timestamp,
}

/// The outcome as the requester learns it.
pub(crate) struct Outcome<'a> {
    /// One word for programs.
    pub(crate) status: &'a str,
    /// The same in a sentence that begins with the agent's name.
    pub(crate) how: &'a str,
    /// Whether there is a thread note to look at.
    pub(crate) has_thread: bool,
    /// The reply note.
    pub(crate) reply: Option<&'a NoteId>,
}

impl Report<'_> {
    /// The note with the answer.
    #[must_use]
    pub(crate) fn reply(&self, text: String) -> Outbound {
        self.outbound(text, None)
    }

    /// The note that says why there is none.
    #[must_use]
    pub(crate) fn failure(&self, failure: &FailureRecord) -> Outbound {
        self.outbound(failure_text(failure), Some(failure))
    }

    fn outbound(&self, text: String, failure: Option<&FailureRecord>) -> Outbound {
        Outbound {
            id: derived(self.turn, "outbound"),
            agent: self.agent.to_owned(),
            text,
            kind: match failure {
                Some(_) => OutboundKind::Failure,
                None => OutboundKind::Reply,
            },
            code: failure.map(|failure| failure.code.clone()),
            next_step: failure.map(|failure| failure.next_step.clone()),
            in_reply_to: self.note.to_owned(),
            turn: self.turn.to_string(),
            thread: self.thread.to_string(),
            at: self.at,
        }
    }

    /// The word to the agent that asked, if one did. `home_of` tells the vault of an agent.
    /// `across_vaults`: turns may wake agents of other vaults.
    ///
    /// # Errors
    /// Why that agent is not told, for a person.
    pub(crate) fn callback(
        &self,
        outcome: &Outcome<'_>,
        home_of: impl Fn(&str) -> Option<String>,
        across_vaults: bool,
    ) -> Result<Option<Effect>, String> {
        let Some(requester) = &self.message.reply_to else {
            return Ok(None);
        };
        let depth = self.message.delegation_depth;
        if depth >= DEPTH_MAX {
            return Err(format!(
                "{requester} was not told: the chain of hand-overs has reached its limit of {DEPTH_MAX}"
            ));
        }
        let Some(home) = home_of(requester) else {
            return Err(format!("{requester} was not told: there is no agent of that name"));
        };
        // Links lead to notes of the same vault only.
        let near = home == self.vault;
        if !near && self.message.delegated_by.is_some() && !across_vaults {
            return Err(format!(
                "{requester} was not told: it lives in the vault {home:?}, and an agent asked that may not wake agents there"
            ));
        }
        let links = match (outcome.has_thread, outcome.reply) {
            (false, None) => String::new(),
            _ if !near => format!(" Its notes are in the vault {:?}.", self.vault),
            (true, _) => " The metadata of this note links its thread and its reply.".to_owned(),
            (false, Some(_)) => " The metadata of this note links its reply.".to_owned(),
        };
        let message = Inbound {
            text: format!("[callback] {} {}.{links}", self.agent, outcome.how),
            sender: format!("callback:{}", self.agent),
            correlation_id: self.message.correlation_id.clone(),
            delegation_depth: depth + 1,
            chain: Some(self.chain.to_owned()),
            callback: Some(Callback {
                status: outcome.status.to_owned(),
                source_channel: self.agent.to_owned(),
                source_thread: outcome.has_thread.then(|| self.thread.to_string()),
                source_message: outcome.reply.map(ToString::to_string),
            }),
            ..Inbound::blank(requester.clone())
        };
        Ok(Some(Effect::Callback {
            vault: home,
            id: derived(self.turn, "callback"),
            at: self.at,
            message,
            thread_path: near.then(|| self.thread_path.to_owned()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use reveille_backends::Remedy;

    use super::*;

    #[test]
    fn a_failure_note_gives_a_short_reason_and_the_next_step() {
        let failure = |message: String| FailureRecord {
            code: "rate_limited".into(),
            message,
            next_step: "Wait.".into(),
            remedy: Remedy::Retry,
        };
        let text = failure_text(&failure("Too much.".into()));
        assert_eq!(text, "⚠️ I could not finish this turn: Too much.\n\nWait.");
        let (whole, long) = ("é".repeat(240), "é".repeat(241));
        assert!(failure_text(&failure(whole.clone())).contains(&format!(": {whole}\n\nWait.")));
        assert!(failure_text(&failure(long)).contains(&format!(": {whole}…\n\nWait.")));
    }
}
