//! How a turn ended, as the queue, the vault and the watchers are told.

use jiff::Timestamp;
use reveille_backends::{Failure, Remedy, TurnOutcome, Usage, Verdict};
use reveille_queue::{SessionUpdate, Spend, State, ThreadKey};
use reveille_transports::webhooks;
use reveille_vault::NoteId;
use reveille_vault::agent::{Inbound, Outbound, OutboundKind, ThreadRecord, ThreadStatus, slug};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::bridges::webhooks::{Reached, Scope, Settled, turn_of};
use crate::effects::{Effect, to_bridges};
use crate::inbox::shown;
use crate::limits::{self, CHAIN_BUDGET, DAY_BUDGET};
use crate::live::{Milestone, Subject};
use crate::record::{FailureRecord, TurnRecord};
use crate::report::{Outcome, Report};
use crate::sent::SentFile;
use crate::turn::Run;

/// The end of a turn.
pub(crate) struct Ending {
    /// Terminal state.
    pub(crate) state: State,
    /// What is kept.
    pub(crate) record: TurnRecord,
    /// The conversation's session from now on.
    pub(crate) session: SessionUpdate,
    /// What it took.
    pub(crate) spend: Spend,
    /// For the operator's log.
    pub(crate) detail: String,
    /// The requester is told that the message was refused, not that it failed.
    pub(crate) refused: bool,
    /// What goes with its answer.
    pub(crate) files: Vec<SentFile>,
    /// When its program gave the result; `None`: there was no program, or no result.
    pub(crate) answered_at: Option<Timestamp>,
    at: Timestamp,
}

/// Billionths of a US dollar. Negative and non-finite costs count as none.
pub(crate) fn nano_usd(usd: f64) -> u64 {
    let nano = (usd * 1e9).round();
    // The bounds keep the conversion exact: 2^53 billionths are nine million dollars.
    if nano.is_finite() && (0.0..9e15).contains(&nano) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
        return nano as u64;
    }
    0
}

/// The same in US dollars.
pub(crate) fn usd(nano_usd: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "for display; the exact number is kept in billionths"
    )]
    let nano = nano_usd as f64;
    nano / 1e9
}

/// What an attempt took.
pub(crate) fn spend_of(outcome: &TurnOutcome) -> Spend {
    let Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    } = outcome.usage;
    Spend {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        nano_usd: nano_usd(outcome.cost_usd),
    }
}

impl Ending {
    fn new(state: State) -> Self {
        Self {
            state,
            record: TurnRecord::default(),
            session: SessionUpdate::Keep,
            spend: Spend::default(),
            detail: String::new(),
            refused: false,
            files: Vec::new(),
            answered_at: None,
            at: Timestamp::now(),
        }
    }

    /// It failed before there was a child.
    pub(crate) fn without_child(failure: Failure) -> Self {
        let mut ending = Self::new(State::Error);
        ending.record.failure = Some(FailureRecord::from(&failure));
        ending.detail = failure.detail;
        ending
    }

    /// A limit forbids it to begin.
    pub(crate) fn refused(failure: FailureRecord) -> Self {
        let mut ending = Self::new(State::Error);
        ending.record.failure = Some(failure);
        ending.refused = true;
        ending
    }

    /// Somebody outside had taken it and answered.
    pub(crate) fn answered(reply: String) -> Self {
        let mut ending = Self::new(State::Ok);
        ending.record.reply = Some(reply);
        ending
    }

    /// A person stopped it while somebody outside had it.
    pub(crate) fn stopped(by: &str) -> Self {
        let mut ending = Self::new(State::Cancelled);
        ending.record.ended_by = Some(by.to_owned());
        ending
    }

    /// Its note was deleted before it could begin.
    pub(crate) fn withdrawn() -> Self {
        let mut ending = Self::new(State::Cancelled);
        ending
            .record
            .notices
            .push("The message was deleted before its turn.".into());
        ending
    }

    /// It was cut off for good. `session`: the one to go on with, and its directory.
    pub(crate) fn interrupted(session: Option<(uuid::Uuid, String)>) -> Self {
        let mut ending = Self::new(State::Interrupted);
        ending.record.failure = Some(FailureRecord {
            code: "interrupted".into(),
            message: "The turn was cut off by a restart of the daemon and is not repeated by itself.".into(),
            next_step: "Look at what was done, then send the message again if you still want it.".into(),
            remedy: Remedy::Retry,
        });
        if let Some((id, cwd)) = session {
            ending.session = SessionUpdate::Set(id, cwd);
        }
        ending
    }

    /// As the backend told it. `cwd` is what the session is bound to.
    pub(crate) fn of(outcome: TurnOutcome, cwd: &str, notices: Vec<String>) -> Self {
        let spend = spend_of(&outcome);
        let mut ending = match outcome.verdict {
            Verdict::Ok { reply } => {
                let mut ending = Self::new(State::Ok);
                ending.record.reply = Some(reply);
                ending
            }
            Verdict::Failed(failure) => Self::without_child(failure),
            Verdict::Stopped => Self::new(State::Cancelled),
        };
        if let Some(id) = outcome.session {
            ending.session = SessionUpdate::Set(id, cwd.to_owned());
            ending.record.session = Some(id.to_string());
        }
        ending.spend = spend;
        ending.record.models = outcome.models;
        ending.record.notices = notices;
        ending
    }

    /// Since when there is a result, or else when the end was known.
    pub(crate) fn since(&self) -> Timestamp {
        self.answered_at.unwrap_or(self.at)
    }

    /// US dollars.
    pub(crate) fn cost_usd(&self) -> f64 {
        usd(self.spend.nano_usd)
    }

    /// The last event of the turn.
    pub(crate) fn milestone(&self, delivered: bool) -> Milestone {
        match (self.state, &self.record.failure) {
            (State::Cancelled, _) => Milestone::Stopped {},
            (_, Some(failure)) => Milestone::Error {
                error: failure.message.clone(),
                code: failure.code.clone(),
                next_step: failure.next_step.clone(),
                undelivered: !delivered,
            },
            _ => Milestone::Done {
                reply: self.record.reply.clone().unwrap_or_default(),
                usage: Usage {
                    input_tokens: self.spend.input_tokens,
                    output_tokens: self.spend.output_tokens,
                    cache_read_tokens: self.spend.cache_read_tokens,
                    cache_write_tokens: self.spend.cache_write_tokens,
                },
                cost_usd: self.cost_usd(),
                note: self.record.note.clone().filter(|_| delivered),
                undelivered: !delivered,
            },
        }
    }
}

/// Where the thread note of a conversation is made. People may move it: it is found by its identity.
pub(crate) fn thread_path(agent: &str, thread: &ThreadKey, conversation: uuid::Uuid) -> String {
    let leaf = match thread {
        ThreadKey::Main => agent.to_owned(),
        ThreadKey::Single(_) => conversation.to_string(),
        ThreadKey::Subject(subject) => {
            let safe = shown(&slug(subject), 80).replace('…', "");
            if safe == *subject {
                format!("{agent}--{safe}")
            } else {
                // Different subjects may look alike once they are safe: the hash tells them apart.
                let hash = Sha256::digest(subject.as_bytes());
                format!(
                    "{agent}--{safe}-{:02x}{:02x}{:02x}{:02x}",
                    hash[0], hash[1], hash[2], hash[3]
                )
            }
        }
    };
    format!("Threads/{agent}/{leaf}")
}

impl Run<'_> {
    /// The thread as it stands before the turn.
    pub(crate) fn thread(&self) -> ThreadRecord {
        let (definition, conversation) = (self.definition(), &self.claim().conversation);
        let spend = conversation.spend;
        ThreadRecord {
            id: NoteId::new(conversation.id.to_string()).unwrap_or_else(|_| NoteId::generate()), // a UUID is a valid id
            path: thread_path(&definition.name, &conversation.lane.thread, conversation.id),
            agent: definition.name.clone(),
            mode: definition.mode.as_str().to_owned(),
            definition: definition.note.to_string(),
            turn: self.claim().lease.turn.to_string(),
            status: ThreadStatus::Working,
            started_at: conversation.started_at.unwrap_or(self.started_at()),
            last_turn_at: None,
            turn_count: conversation.turns,
            session: None,
            model: None,
            status_detail: String::new(),
            tokens: [
                spend.input_tokens,
                spend.output_tokens,
                spend.cache_read_tokens,
                spend.cache_write_tokens,
            ],
            nano_usd: spend.nano_usd,
        }
    }

    fn vault(&self) -> String {
        self.claim().message.vault.clone()
    }

    /// The thread note while the turn runs.
    pub(crate) fn thread_working(&self) -> Effect {
        Effect::Thread {
            vault: self.vault(),
            record: self.thread(),
        }
    }

    fn thread_ended(&self, ending: &Ending) -> ThreadRecord {
        let total = self
            .claim()
            .conversation
            .spend
            .plus(self.claim().spent)
            .plus(ending.spend);
        let detail = ending
            .record
            .failure
            .as_ref()
            .map(|failure| format!("{}: {}", failure.code, failure.message));
        let details: Vec<String> = detail
            .into_iter()
            .chain(ending.record.notices.iter().cloned())
            .collect();
        ThreadRecord {
            status: match ending.state {
                State::Ok => ThreadStatus::Ok,
                State::Cancelled => ThreadStatus::Cancelled,
                State::Interrupted => ThreadStatus::Interrupted,
                _ => ThreadStatus::Error,
            },
            last_turn_at: Some(ending.at),
            turn_count: self.claim().conversation.turns + 1,
            session: match &ending.session {
                SessionUpdate::Keep => self.claim().conversation.session.as_ref().map(|(id, _)| id.to_string()),
                SessionUpdate::Set(id, _) => Some(id.to_string()),
                SessionUpdate::Clear => None,
            },
            model: ending.record.models.first().cloned(),
            status_detail: details.join(" · "),
            tokens: [
                total.input_tokens,
                total.output_tokens,
                total.cache_read_tokens,
                total.cache_write_tokens,
            ],
            nano_usd: total.nano_usd,
            ..self.thread()
        }
    }

    /// Calls `with` for one of the turn's messages, each with its own turn's identity.
    fn report<T>(&self, at: Timestamp, (turn, message): (Uuid, &Inbound), with: impl FnOnce(&Report<'_>) -> T) -> T {
        let (claim, agent) = (self.claim(), &self.definition().name);
        with(&Report {
            turn,
            agent,
            thread: claim.conversation.id,
            vault: &claim.message.vault,
            note: &claim.message.note,
            message,
            chain: &self.chain_of(turn),
            thread_path: &self.thread().path,
            at,
        })
    }

    fn outbound(&self, ending: &Ending) -> Option<Outbound> {
        let asked = self.messages().next()?;
        self.report(ending.at, asked, |report| {
            match (&ending.record.failure, &ending.record.reply) {
                (Some(failure), _) => Some(report.failure(failure)),
                (None, Some(reply)) if !reply.is_empty() => Some(report.reply(reply.clone())),
                _ => None,
            }
        })
    }

    /// The word to the agent that asked for one of the turn's messages, if one did and is there.
    fn callback(
        &self,
        ending: &Ending,
        reply: Option<&Outbound>,
        asked: (Uuid, &Inbound),
    ) -> Result<Option<Effect>, String> {
        let status = if ending.refused {
            "refused"
        } else {
            ending.state.as_str()
        };
        let how = match ending.state {
            _ if ending.refused => "did not take it on (refused)".to_owned(),
            State::Ok => "finished (ok)".to_owned(),
            State::Error => "finished with an error".to_owned(),
            other => format!("did not finish ({})", other.as_str()),
        };
        let outcome = Outcome {
            status,
            how: &how,
            has_thread: true,
            reply: reply
                .filter(|note| note.kind == OutboundKind::Reply)
                .map(|note| &note.id),
        };
        self.report(ending.at, asked, |report| {
            report.callback(&outcome, |name| self.home_of(name), self.across_vaults())
        })
    }

    /// Everything that must happen now, in order: the thread, the reply, the words to the requesters.
    pub(crate) fn effects(&self, ending: &mut Ending) -> Vec<Effect> {
        let outbound = self.outbound(ending);
        ending.record.note = outbound.as_ref().map(|note| note.id.to_string());
        let mut callbacks = Vec::new();
        for asked in self.messages() {
            match self.callback(ending, outbound.as_ref(), asked) {
                Ok(callback) => callbacks.extend(callback),
                Err(notice) => {
                    tracing::warn!(notice);
                    ending.record.notices.push(notice);
                }
            }
        }
        let vault = self.vault();
        let record = self.thread_ended(ending);
        let thread_path = Some(record.path.clone());
        let mut effects = vec![Effect::Thread {
            vault: vault.clone(),
            record,
        }];
        let files = match &outbound {
            Some(note) if note.kind == OutboundKind::Reply => std::mem::take(&mut ending.files),
            _ => Vec::new(),
        };
        let bridged = outbound
            .as_ref()
            .map(|note| to_bridges(self.messages().map(|(_, message)| message), note, &files));
        if let Some(note) = outbound {
            let (id, agent) = (note.id.clone(), note.agent.clone());
            effects.push(Effect::Outbound {
                vault: vault.clone(),
                note,
                thread_path,
            });
            // Each for itself: one that cannot be stored holds no other up.
            effects.extend(files.into_iter().map(|file| Effect::File {
                vault: vault.clone(),
                agent: agent.clone(),
                note: id.clone(),
                file,
            }));
        }
        effects.extend(callbacks);
        effects.extend(bridged.into_iter().flatten());
        effects.extend(self.for_webhooks(ending));
        effects
    }

    /// The budget that ended the turn, if one did.
    fn budget(&self, failure: &FailureRecord, ending: &Ending) -> Option<Reached> {
        let (definition, limits, claim) = (self.definition(), &self.context().limits, self.claim());
        let spent = ending.spend.nano_usd;
        let (scope, limit_usd, spent) = match failure.code.as_str() {
            "budget" => (Scope::Turn, definition.budget_turn_usd, spent),
            DAY_BUDGET => {
                let limit = definition.budget_day_usd.or(limits.budget_day_usd);
                (Scope::Day, limit, claim.today.nano_usd.saturating_add(spent))
            }
            CHAIN_BUDGET => (
                Scope::Chain,
                limits.chain_usd,
                claim.chain.nano_usd.saturating_add(spent),
            ),
            _ => return None,
        };
        Some(Reached {
            scope,
            limit_usd,
            spent_usd: Some(usd(spent)),
            message: failure.message.clone(),
            until_at: (scope == Scope::Day && !self.day_was_raised()).then(|| limits::tomorrow(ending.at)),
        })
    }

    /// The end of the turn of each message, for who has a webhook. What it took is told with the first alone.
    fn for_webhooks(&self, ending: &Ending) -> Vec<Effect> {
        if !self.context().hub.told().is_on() {
            return Vec::new();
        }
        let (outcome, failure) = match (ending.state, &ending.record.failure) {
            (State::Cancelled, _) => (webhooks::Outcome::Stopped, None),
            (_, Some(failure)) => (webhooks::Outcome::Error, Some(failure)),
            _ => (webhooks::Outcome::Done, None),
        };
        let reached = failure.and_then(|failure| self.budget(failure, ending));
        let spend = ending.spend;
        let usage = serde_json::json!(Usage {
            input_tokens: spend.input_tokens,
            output_tokens: spend.output_tokens,
            cache_read_tokens: spend.cache_read_tokens,
            cache_write_tokens: spend.cache_write_tokens,
        });
        let end = |(place, subject): (usize, &Subject)| Effect::Webhook {
            end: Settled {
                turn: turn_of(subject),
                agent: subject.channel.clone(),
                at: ending.at,
                outcome,
                reply: ending
                    .record
                    .reply
                    .clone()
                    .filter(|_| outcome == webhooks::Outcome::Done),
                error: failure.map(|failure| failure.message.clone()),
                code: failure.map(|failure| failure.code.clone()),
                usage: (place == 0).then(|| usage.clone()),
                cost_usd: (place == 0).then(|| ending.cost_usd()),
                budget: reached.clone().filter(|_| place == 0),
            },
        };
        self.subjects().enumerate().map(end).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_kept_in_billionths() {
        for (usd, expected) in [
            (0.1, 100_000_000),
            (0.0, 0),
            (-1.0, 0),
            (f64::NAN, 0),
            (12.000_000_001, 12_000_000_001),
        ] {
            assert_eq!(nano_usd(usd), expected);
        }
    }

    #[test]
    fn tc_key_1_thread_paths_do_not_collide() {
        let id = uuid::Uuid::from_u128(1);
        let path = |thread: ThreadKey| thread_path("eng", &thread, id);
        let subject = |text: &str| path(ThreadKey::Subject(text.into()));
        assert_eq!(path(ThreadKey::Main), "Threads/eng/eng");
        assert_eq!(subject("launch-plan"), "Threads/eng/eng--launch-plan");
        let alike = [
            subject("a b"),
            subject("a/b"),
            subject("a-b"),
            subject("../../etc/passwd"),
            subject("a.b"),
        ];
        let unique: std::collections::BTreeSet<_> = alike.iter().collect();
        assert_eq!(unique.len(), alike.len(), "{alike:?}");
        assert!(alike.iter().all(|path| path.matches('/').count() == 2), "{alike:?}");
    }
}
