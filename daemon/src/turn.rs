//! One turn, from its claim to the delivery of what it left to do.

pub(crate) mod ahead;
mod clock;
mod confine;
mod connections;
mod observer;
mod plan;
mod steps;
mod warm;
mod work;

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, Claim, LeaseError, NewEffect, Pause, Settlement, Spend, State};
use reveille_vault::agent::{Definition, Inbound};
use reveille_vault::{Key, NoteId};
use serde_json::json;
use tokio::sync::oneshot::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::crash;
use crate::ending::Ending;
use crate::inbox::WAITING;
use crate::limits::{self, Allowance, Check, DAY_BUDGET, Reserved};
use crate::live::{Happening, Milestone, Subject};
use crate::metrics::Stage;
use crate::outbox::Shown;
use crate::record::FailureRecord;
use crate::registry::Agent;
use crate::stamp;
use crate::strays;
use crate::traces::Attempt;
use crate::trust::Guard;
use crate::worker::{Context, LiveTurn, put_back};

pub(crate) use self::plan::storage_failure;
use self::work::Ends;

/// How long the end of a turn waits for the vault before it is told as undelivered.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2);
/// Longest pause between tries to write down how a turn ended.
const SETTLE_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Everything about the turn that does not change while it runs.
pub(crate) struct Run<'a> {
    context: &'a Context,
    agent: &'a Agent,
    claim: &'a Claim,
    message: Inbound,
    /// Why the stored message cannot be read.
    unreadable: Option<String>,
    subject: Subject,
    /// Messages that share the turn.
    joined: Vec<Companion>,
    started_at: Timestamp,
    /// What is told of it to who follows traces.
    attempt: Attempt,
}

/// A message that shares the turn of another one.
struct Companion {
    subject: Subject,
    message: Inbound,
}

impl Run<'_> {
    /// The agent's definition.
    pub(crate) fn definition(&self) -> &Definition {
        &self.agent.definition
    }

    /// What was claimed.
    pub(crate) fn claim(&self) -> &Claim {
        self.claim
    }

    /// All messages of the turn, each with its own turn's identity.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Uuid, &Inbound)> {
        let first = (self.claim.lease.turn, &self.message);
        std::iter::once(first).chain(self.joined.iter().map(|one| (one.subject.turn, &one.message)))
    }

    /// What each of its messages is about.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        std::iter::once(&self.subject).chain(self.joined.iter().map(|one| &one.subject))
    }

    /// What its turns need.
    pub(crate) fn context(&self) -> &Context {
        self.context
    }

    /// The chain of hand-overs of one of its messages.
    pub(crate) fn chain_of(&self, turn: Uuid) -> String {
        let joined = self.claim.joined.iter().find(|one| one.turn == turn);
        joined.map_or(&self.claim.message, |one| &one.message).chain.clone()
    }

    /// Whether turns wake agents of other vaults.
    pub(crate) fn across_vaults(&self) -> bool {
        self.context.limits.across_vaults
    }

    /// Knows which names its turn may give to agents.
    pub(crate) fn guard(&self) -> Guard {
        self.context.trust.clone().into()
    }

    /// Start of the turn.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The vault of the agent of that name, when there is one.
    pub(crate) fn home_of(&self, name: &str) -> Option<String> {
        self.context.registry.home(name)
    }
}

/// Runs a claimed turn to its end.
pub(crate) async fn run(context: &Context, agent: &Agent, claim: Claim, live: &LiveTurn, abandon: &CancellationToken) {
    let span = span(&claim);
    let run = span.in_scope(|| Run::new(context, agent, &claim));
    run.to_its_end(live, abandon).instrument(span).await;
}

/// What lines of the log say that belong to a turn. There whatever the log is filtered for.
pub(crate) fn span(claim: &Claim) -> Span {
    tracing::error_span!("turn", turn = %claim.lease.turn, channel = %claim.message.lane.channel)
}

/// Whether a claimed turn may begin.
pub(crate) enum Opening {
    /// It may, and may cost this much, of which a part may be reserved.
    Begin(Option<Allowance>, Option<Reserved>),
    /// It ends at once.
    End(Box<Ending>),
    /// It waits, and so does its agent.
    Wait(Pause),
}

impl<'a> Run<'a> {
    /// Of a claim.
    pub(crate) fn new(context: &'a Context, agent: &'a Agent, claim: &'a Claim) -> Self {
        let subject = Subject {
            channel: claim.message.lane.channel.to_string(),
            turn: claim.lease.turn,
            thread: claim.conversation.id,
            message: claim.message.note.clone(),
        };
        let (message, unreadable) = match serde_json::from_value::<Inbound>(claim.message.body.clone()) {
            Ok(message) => (message, None),
            Err(error) => (Inbound::blank(subject.channel.clone()), Some(error.to_string())),
        };
        let joined = claim.joined.iter().map(|one| Companion {
            subject: Subject {
                turn: one.turn,
                message: one.message.note.clone(),
                ..subject.clone()
            },
            message: serde_json::from_value(one.message.body.clone()).unwrap_or_else(|error| {
                tracing::error!(%error, turn = %one.turn, channel = subject.channel, "a message that joined the turn cannot be read; it is left out");
                Inbound::blank(subject.channel.clone())
            }),
        });
        let joined = joined.collect();
        let started_at = Timestamp::now();
        Self {
            context,
            agent,
            claim,
            message,
            unreadable,
            subject,
            joined,
            started_at,
            attempt: context.traces.attempt(claim, started_at),
        }
    }
}

impl Run<'_> {
    /// What stands in its way.
    pub(crate) async fn opening(&self) -> Opening {
        let end = |ending| Opening::End(Box::new(ending));
        if let Some(failure) = strays::failure(self.agent, &self.claim.message.vault) {
            return end(Ending::refused(failure));
        }
        if self.claim.message.lane.thread.is_former() {
            return end(Ending::refused(strays::former(&self.agent.definition.name)));
        }
        if self.is_withdrawn().await {
            return end(Ending::withdrawn());
        }
        let (check, reserved) = limits::check(
            &self.context.limits,
            self.definition(),
            self.claim,
            self.messages()
                .map(|(_, message)| message.delegation_depth)
                .max()
                .unwrap_or(0),
            &self.context.reservations,
            self.started_at,
        );
        match check {
            Check::Run(allowance) => Opening::Begin(allowance, reserved),
            Check::Refuse(failure) => end(Ending::refused(failure)),
            Check::Wait(pause) => Opening::Wait(pause),
        }
    }

    async fn to_its_end(&self, live: &LiveTurn, abandon: &CancellationToken) {
        crash::point("turn.claimed");
        let attempt = self.claim.interruptions + 1;
        if self.claim.interruptions == 0 {
            self.context.metrics.took_since(Stage::Wait, self.claim.accepted_at);
        }
        self.tell_received().await;
        let (allowance, _reserved) = match self.opening().await {
            Opening::Begin(allowance, reserved) => (allowance, reserved),
            Opening::End(ending) => return self.settle(*ending, abandon).await,
            Opening::Wait(pause) => return self.wait(pause, abandon).await,
        };
        self.tell(&Milestone::started(attempt));
        self.tell_started(attempt, None).await;
        // Before it is taken: what is changed from now on may help.
        let credential = self.context.pauses.credential(self.channel());
        let mut ending = match self.prepare().await {
            Ok(plan) => {
                let plan = match self.judge_interruption(plan).await {
                    Ok(plan) => plan,
                    Err(ending) => return self.settle(ending, abandon).await,
                };
                let stop = &live.stop;
                match self.work(plan, allowance, Ends { stop, abandon }).await {
                    Some(ending) => ending,
                    None => return,
                }
            }
            Err(failure) => Ending::without_child(failure),
        };
        if ending.state == State::Cancelled && live.superseded.load(Ordering::Acquire) {
            ending.record.notices.push("Stopped by a newer message.".into());
        }
        if let Some(failure) = &mut ending.record.failure {
            limits::explain(failure, allowance);
            self.pause_after(failure, credential).await;
        }
        self.settle(ending, abandon).await;
    }

    /// Its first message.
    pub(crate) fn message(&self) -> &Inbound {
        &self.message
    }

    /// Tells it of every message of the turn.
    pub(crate) fn tell(&self, milestone: &Milestone) {
        for subject in self.subjects() {
            self.context.hub.tell(subject, &Happening::About(milestone.clone()));
        }
    }

    /// Tells webhooks of its messages, in case the daemon died between accepting them and that.
    pub(crate) async fn tell_received(&self) {
        let told = self.context.hub.told();
        if !told.is_on() || self.claim.interruptions > 0 {
            return;
        }
        for (subject, (_, message)) in self.subjects().zip(self.messages()) {
            told.received(subject, &message.text, &message.sender, self.claim.accepted_at)
                .await;
        }
    }

    /// Tells webhooks that it begins, before anything else of it. `by`: the session that has taken it, and until when.
    pub(crate) async fn tell_started(&self, attempt: u32, by: Option<(&str, Timestamp)>) {
        let told = self.context.hub.told();
        for subject in self.subjects() {
            told.started(subject, attempt, self.claim.lease.epoch, by).await;
        }
    }

    /// The agent waits, and its message goes back in line and says so.
    pub(crate) async fn wait(&self, pause: Pause, abandon: &CancellationToken) {
        let reason = pause.reason.clone();
        self.context.pauses.begin(self.channel(), pause, None).await;
        if let Ok(id) = NoteId::new(self.claim.message.note.as_str())
            && let Err(error) = stamp::show_by_id(&*self.agent.vault, &id, WAITING, &reason).await
        {
            tracing::warn!(%error, "the message does not say that it waits");
        }
        self.give_back(Spend::default(), abandon).await;
    }

    /// A failure that every next message would meet too makes the agent wait until somebody has acted.
    async fn pause_after(&self, failure: &mut FailureRecord, credential: String) {
        let now = Timestamp::now();
        let until = match failure.code.as_str() {
            "authentication" | "billing" => {
                failure.next_step.push_str(&format!(
                    " Until then the agent waits: it goes on by itself once there is another login, or with `reveille agent \
                     resume {}`.",
                    self.channel()
                ));
                None
            }
            // Somebody has allowed more while it ran: the next turn is measured by that.
            DAY_BUDGET if self.day_was_raised() => return,
            DAY_BUDGET => Some(limits::tomorrow(now)),
            _ => return,
        };
        let reason = format!("{} {}", failure.message, failure.next_step);
        let code = failure.code.clone();
        let since = now;
        self.context
            .pauses
            .begin(
                self.channel(),
                Pause {
                    code,
                    reason,
                    since,
                    until,
                },
                Some(credential),
            )
            .await;
    }

    /// Whether the agent may take more in a day now than when this turn began.
    pub(crate) fn day_was_raised(&self) -> bool {
        let day = |agent: &Agent| agent.definition.budget_day_usd.or(self.context.limits.budget_day_usd);
        let Some(now) = self.context.registry.get(self.channel().as_str()) else {
            return false;
        };
        match (day(&now), day(self.agent)) {
            (None, _) => true,
            (Some(now), Some(then)) => now > then,
            (Some(_), None) => false,
        }
    }

    /// Its agent.
    pub(crate) fn channel(&self) -> &ChannelName {
        &self.claim.message.lane.channel
    }

    /// Whether a person has deleted the message while it waited. A vault that cannot be asked does not hold the turn up:
    /// the queue has everything that it needs.
    async fn is_withdrawn(&self) -> bool {
        self.claim.begun_session.is_none() && self.is_deleted(&self.claim.message.note).await
    }

    async fn is_deleted(&self, note: &str) -> bool {
        let Ok(id) = NoteId::new(note) else {
            return false;
        };
        match self.agent.vault.get(&Key::Id(id)).await {
            Ok(note) => note.is_none(),
            Err(error) => {
                tracing::warn!(%error, "it is not known whether the message is still there");
                false
            }
        }
    }

    async fn give_back(&self, spend: Spend, abandon: &CancellationToken) {
        self.attempt.ended(Some("released"));
        self.context.metrics.spent(self.channel().as_str(), spend);
        let held = (self.claim.lease, self.channel());
        match put_back(&*self.context.queue, held, spend, abandon).await {
            true => tracing::info!("the turn went back in line"),
            false => tracing::warn!(
                "the turn is not back in line yet: the next start puts it there, or the end of its claim"
            ),
        }
        crash::point("turn.released");
        self.keep_attempt();
        self.context.hub.told().rests(self.subject.turn);
        self.context.hub.forget(&self.subject.channel, self.subject.turn);
    }

    /// Marks the thread as working, beside the start of the child. Lost: the end of the turn writes everything again.
    pub(crate) fn show_working(&self) -> Shown {
        let conversation = self.claim.conversation.id;
        self.context.outbox.show_working(conversation, self.thread_working())
    }

    /// What follows from the end of the turn, as it is written down with it.
    fn rows(&self, ending: &mut Ending) -> Vec<NewEffect> {
        // Whoever is told of the end was told of everything before it.
        if self.context.hub.told().is_on() {
            self.context.hub.flush(self.subject.turn);
        }
        let effects = self.effects(ending);
        let rows = effects.iter().map(|effect| effect.row(self.claim.conversation.id));
        rows.collect()
    }

    async fn write_end(&self, ending: &Ending, rows: Vec<NewEffect>) -> Result<(), LeaseError> {
        let settlement = Settlement {
            state: ending.state,
            record: json!(ending.record),
            session: ending.session.clone(),
            spend: ending.spend,
        };
        self.context.queue.settle(self.claim.lease, settlement, rows).await
    }

    /// Writes down how the turn ended, and tells it once the vault has it; says whether it has.
    ///
    /// # Errors
    /// [`LeaseError`]; then nothing is written, and nobody told.
    pub(crate) async fn end(&self, ending: &mut Ending) -> Result<bool, LeaseError> {
        let turn = self.claim.lease.turn;
        ending.record.plain = self.claim.interruptions == 0;
        let rows = self.rows(ending);
        let delivery = self.context.outbox.expect(turn, &self.claim.message.vault);
        if let Err(error) = self.write_end(ending, rows).await {
            self.context.outbox.forget(turn);
            return Err(error);
        }
        Ok(self.after_end(ending, delivery).await)
    }

    /// Writes down how the turn ended, until the storage takes it, and tells it once the vault has it.
    async fn settle(&self, mut ending: Ending, abandon: &CancellationToken) {
        let turn = self.claim.lease.turn;
        // Before it has ended: whoever finds it ended finds them too.
        self.keep_steps(&mut ending);
        let rows = self.rows(&mut ending);
        let delivery = self.context.outbox.expect(turn, &self.claim.message.vault);
        let failed = ending
            .record
            .failure
            .as_ref()
            .filter(|_| ending.state != State::Cancelled);
        self.attempt.ended(failed.map(|failure| failure.code.as_str()));
        let (began, mut tries) = (ending.answered_at.unwrap_or_else(Timestamp::now), 0);
        let mut pause = Duration::from_millis(100);
        loop {
            match self.write_end(&ending, rows.clone()).await {
                Ok(()) => break,
                Err(LeaseError::Stale { .. }) => {
                    tracing::error!("the claim was lost; the result of this attempt is dropped");
                    self.context.outbox.forget(turn);
                    return self.context.hub.forget(&self.subject.channel, turn);
                }
                Err(error) => {
                    tracing::error!(%error, ?pause, "the turn's end is not on disk yet; trying again");
                    tries += 1;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = abandon.cancelled() => {
                            tracing::error!("stopping without the turn's end on disk; the next start resumes the turn");
                            return self.context.outbox.forget(turn);
                        }
                    }
                    pause = (pause * 2).min(SETTLE_PAUSE_MAX);
                }
            }
        }
        self.attempt.recorded(began, tries);
        self.after_end(&ending, delivery).await;
    }

    /// Tells an end that is on disk, once the vault has it; says whether it has.
    async fn after_end(&self, ending: &Ending, delivery: Receiver<bool>) -> bool {
        crash::point("turn.settled");
        self.context.metrics.ended(self.channel().as_str(), ending);
        tracing::info!(
            state = ending.state.as_str(),
            cost_usd = ending.cost_usd(),
            "turn settled"
        );
        if let Some(failure) = &ending.record.failure {
            tracing::warn!(
                code = failure.code,
                message = failure.message,
                detail = ending.detail,
                "turn failed"
            );
        }
        // silent-ok: what became of it is looked up next.
        let _ = tokio::time::timeout(DELIVERY_PATIENCE, delivery).await;
        let mut is_delivered = false;
        self.context.outbox.tell_end(self.claim.lease.turn, |delivered| {
            is_delivered = delivered;
            self.tell(&ending.milestone(delivered));
        });
        if is_delivered {
            self.context.metrics.took_since(Stage::Deliver, ending.since());
        }
        is_delivered
    }
}
