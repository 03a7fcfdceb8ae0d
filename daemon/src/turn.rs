//! One turn, from its claim to the delivery of what it left to do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_backends::{Dirs, Event, Failure, FailureCode, Observer, Remedy, Session, Timeouts, TurnRequest, Verdict};
use reveille_queue::{Claim, Lease, LeaseError, Queue, Settlement, Spend};
use reveille_vault::agent::{Definition, Inbound, OnInterrupt};
use reveille_vault::{Key, NoteId};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::crash;
use crate::ending::{Ending, spend_of};
use crate::live::{Happening, Hub, Milestone, Subject};
use crate::prompt;
use crate::registry::Agent;
use crate::state_dir::private_dir;
use crate::system_prompt;
use crate::worker::Context;

/// How long the end of a turn waits for the vault before it is told as undelivered.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2);
/// Interruptions after which a turn is given up.
const INTERRUPTIONS_MAX: u32 = 2;
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
    started_at: Timestamp,
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

    /// The message.
    pub(crate) fn message(&self) -> &Inbound {
        &self.message
    }

    /// Start of the turn.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Whether an agent of that name can be woken.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.context.registry.get(name).is_some()
    }
}

/// Runs a claimed turn to its end.
pub(crate) async fn run(
    context: &Context,
    agent: &Agent,
    claim: Claim,
    stop: &CancellationToken,
    abandon: &CancellationToken,
) {
    let turn = claim.lease.turn;
    let span = tracing::info_span!("turn", %turn, channel = %claim.message.lane.channel);
    let subject = Subject {
        channel: claim.message.lane.channel.to_string(),
        turn,
        thread: claim.conversation.id,
        message: claim.message.note.clone(),
    };
    let channel = subject.channel.clone();
    let (message, unreadable) = match serde_json::from_value::<Inbound>(claim.message.body.clone()) {
        Ok(message) => (message, None),
        Err(error) => (Inbound::blank(channel), Some(error.to_string())),
    };
    let run = Run {
        context,
        agent,
        claim: &claim,
        message,
        unreadable,
        subject,
        started_at: Timestamp::now(),
    };
    tracing::Instrument::instrument(run.to_its_end(stop, abandon), span).await;
}

impl Run<'_> {
    async fn to_its_end(&self, stop: &CancellationToken, abandon: &CancellationToken) {
        crash::point("turn.claimed");
        let attempt = self.claim.interruptions + 1;
        if self.is_withdrawn().await {
            return self.settle(Ending::withdrawn(), abandon).await;
        }
        self.tell(Milestone::Started { attempt });
        let outcome = match self.prepare().await {
            Ok(plan) => {
                let plan = match self.judge_interruption(plan).await {
                    Ok(plan) => plan,
                    Err(ending) => return self.settle(ending, abandon).await,
                };
                match self.work(plan, stop, abandon).await {
                    Some(ending) => ending,
                    None => return,
                }
            }
            Err(failure) => Ending::without_child(failure),
        };
        self.settle(outcome, abandon).await;
    }

    fn tell(&self, milestone: Milestone) {
        self.context.hub.tell(&self.subject, &Happening::About(milestone));
    }

    /// Whether a person has deleted the message while it waited. A vault that cannot be asked does not hold the turn up:
    /// the queue has everything that it needs.
    async fn is_withdrawn(&self) -> bool {
        let Ok(id) = NoteId::new(self.claim.message.note.as_str()) else {
            return false;
        };
        if self.claim.begun_session.is_some() {
            return false;
        }
        match self.agent.vault.get(&Key::Id(id)).await {
            Ok(note) => note.is_none(),
            Err(error) => {
                tracing::warn!(%error, "it is not known whether the message is still there");
                false
            }
        }
    }

    /// Directories and the session. A failure here ends the turn without a child.
    async fn prepare(&self) -> Result<Plan, Failure> {
        if let Some(error) = &self.unreadable {
            return Err(Failure {
                code: FailureCode::Storage,
                message: "The stored message cannot be read by this version of the daemon.".into(),
                next_step: "Send it again; the original is still in the vault.".into(),
                remedy: Remedy::Permanent,
                detail: error.clone(),
            });
        }
        if self.message.text.trim().is_empty() {
            return Err(Failure {
                code: FailureCode::BlankMessage,
                message: "The message has no text.".into(),
                next_step: "Write what you want done and send it again.".into(),
                remedy: Remedy::Permanent,
                detail: String::new(),
            });
        }
        let base = self.context.conversations.join(self.claim.conversation.id.to_string());
        let work = self
            .definition()
            .workspace
            .as_ref()
            .map_or_else(|| base.join("work"), Into::into);
        let dirs = Dirs {
            cwd: work,
            ctl: base.join("ctl"),
            home: base.join("home"),
            tmp: base.join("tmp"),
        };
        for dir in [&base, &dirs.ctl, &dirs.home, &dirs.tmp, &base.join("work")] {
            private_dir(dir)
                .map_err(|error| storage_failure("the conversation's directory could not be made", &error))?;
        }
        if !dirs.cwd.is_dir() {
            let message = "The agent's workspace directory does not exist.".to_owned();
            let next_step =
                "Make the directory, or correct `workspace` in the agent's definition, then send again.".into();
            let detail = format!("{} is no directory", dirs.cwd.display());
            return Err(Failure {
                code: FailureCode::Storage,
                message,
                next_step,
                remedy: Remedy::Operator,
                detail,
            });
        }
        let cwd = dirs.cwd.display().to_string();
        let (session, notice) = match &self.claim.conversation.session {
            Some((id, bound)) if *bound == cwd => (Session::Resume(*id), None),
            Some(_) => {
                let notice = "The agent's workspace has changed; its conversation begins anew there.";
                (Session::New(Uuid::new_v4()), Some(notice.to_owned()))
            }
            None => (Session::New(Uuid::new_v4()), None),
        };
        Ok(Plan {
            dirs,
            session,
            interrupted: false,
            notice,
        })
    }

    /// What becomes of a turn that was cut off: begun anew when the child never took the prompt, resumed once, then ended.
    async fn judge_interruption(&self, mut plan: Plan) -> Result<Plan, Ending> {
        let Some(begun) = self.claim.begun_session.filter(|_| self.claim.interruptions > 0) else {
            return Ok(plan);
        };
        if !self.context.backend.session_exists(&plan.dirs, begun) {
            if let Err(error) = self.context.queue.unbegin(self.claim.lease).await {
                tracing::warn!(%error, "the interruption counts although nothing had been begun");
            }
            return Ok(plan);
        }
        let resumable = self
            .claim
            .conversation
            .session
            .as_ref()
            .is_none_or(|(id, _)| *id == begun);
        if self.claim.interruptions >= INTERRUPTIONS_MAX || self.definition().on_interrupt == OnInterrupt::Stop {
            return Err(Ending::interrupted(resumable.then_some((begun, plan.cwd()))));
        }
        plan.session = Session::Resume(begun);
        plan.interrupted = true;
        plan.notice = Some("An earlier attempt was cut off by a restart; the session goes on.".into());
        Ok(plan)
    }

    /// Runs the child. `None`: the turn is no longer ours to settle, or went back in line.
    async fn work(&self, plan: Plan, stop: &CancellationToken, abandon: &CancellationToken) -> Option<Ending> {
        let (request, notices) = self.request(&plan).await;
        let thread_note = self.show_working();
        for text in notices.clone() {
            self.context
                .hub
                .tell(&self.subject, &Happening::Turn(Event::Notice { text }));
        }
        let observer = TurnObserver {
            queue: Arc::clone(&self.context.queue),
            hub: self.context.hub.clone(),
            subject: self.subject.clone(),
            lease: self.claim.lease,
            notices: std::sync::Mutex::new(notices),
        };
        let halt = CancellationToken::new();
        let child = self.context.backend.run(request, &observer, halt.clone());
        tokio::pin!(child);
        let mut beat = tokio::time::interval((self.context.lease / 3).max(Duration::from_millis(10)));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.tick().await;
        let mut lost = false;
        let outcome = loop {
            tokio::select! {
                outcome = &mut child => break outcome,
                () = stop.cancelled(), if !halt.is_cancelled() => halt.cancel(),
                () = abandon.cancelled(), if !halt.is_cancelled() => halt.cancel(),
                _ = beat.tick() => match self.context.queue.heartbeat(self.claim.lease).await {
                    Err(LeaseError::Stale { .. }) => { lost = true; halt.cancel(); }
                    Err(error) => tracing::warn!(%error, "no heartbeat"),
                    Ok(()) => {}
                },
            }
        };
        crash::point("turn.ran");
        if let Err(error) = thread_note.await {
            tracing::warn!(%error, "the task that marks the thread as working failed");
        }
        if lost {
            tracing::error!("the claim was lost; the result of this attempt is dropped");
            self.context.hub.forget(&self.subject.channel, self.subject.turn);
            return None;
        }
        let by_person = stop.is_cancelled();
        if outcome.verdict == Verdict::Stopped && !by_person {
            self.give_back(spend_of(&outcome)).await;
            return None;
        }
        let notices = std::mem::take(
            &mut *observer
                .notices
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        Some(Ending::of(outcome, &plan.cwd(), notices))
    }

    async fn give_back(&self, spend: Spend) {
        match self.context.queue.release(self.claim.lease, spend).await {
            Ok(()) => tracing::info!("the turn went back in line; it goes on at the next start"),
            Err(error) => tracing::warn!(%error, "the turn goes back in line at the next start"),
        }
        self.context.hub.forget(&self.subject.channel, self.subject.turn);
    }

    /// What the backend is asked for, and what a person should know about it.
    async fn request(&self, plan: &Plan) -> (TurnRequest, Vec<String>) {
        let definition = self.definition();
        let claude = &self.context.claude;
        let reply = self.callback_reply().await;
        let circumstances = prompt::Context {
            agent: &definition.name,
            now: self.started_at,
            resumed: matches!(plan.session, Session::Resume(_)),
            number: self.claim.conversation.turns + 1,
            note: &self.claim.message.note,
            interrupted: plan.interrupted,
            callback_reply: reply.as_deref(),
        };
        let standing = system_prompt::gather(&*self.agent.vault, definition, &self.thread()).await;
        let request = TurnRequest {
            turn: self.claim.lease.turn,
            prompt: prompt::compose(&self.message, &circumstances),
            session: plan.session,
            dirs: plan.dirs.clone(),
            // Never left to the CLI: a resumed session would take the transcript's model, with a smaller window.
            model: standing
                .model
                .or_else(|| definition.model.clone())
                .or_else(|| claude.model.clone())
                .or_else(|| Some("default".into())),
            system_prompt: standing.prompt,
            max_turns: definition.max_turns,
            budget_usd: definition.budget_turn_usd,
            timeouts: Timeouts {
                start: claude.timeout_start.0,
                idle: definition.timeout_idle.unwrap_or(claude.timeout_idle.0),
                wall: definition.timeout_wall.unwrap_or(claude.timeout_wall.0),
            },
            env: claude.env.clone(),
        };
        let notices = plan.notice.iter().cloned().chain(standing.notices).collect();
        (request, notices)
    }

    /// The reply that a callback points to. Without it the agent still learns where it is.
    async fn callback_reply(&self) -> Option<String> {
        let id = self.message.callback.as_ref()?.source_message.as_ref()?;
        let key = Key::Id(NoteId::new(id.clone()).ok()?); // silent-ok: not an id of ours, so nothing to bring
        match self.agent.vault.get(&key).await {
            Ok(note) => note.map(|note| note.content),
            Err(error) => {
                tracing::warn!(%error, "the reply that the callback points to could not be read");
                None
            }
        }
    }

    /// Marks the thread as working, beside the start of the child. Lost: the end of the turn writes everything again.
    fn show_working(&self) -> tokio::task::JoinHandle<()> {
        let effect = self.thread_working();
        let vault = Arc::clone(&self.agent.vault);
        tokio::spawn(async move {
            if let Err(error) = effect.deliver(&*vault).await {
                tracing::warn!(%error, "the thread could not be marked as working");
            }
        })
    }

    /// Writes down how the turn ended, until the storage takes it, and tells it once the vault has it.
    async fn settle(&self, mut ending: Ending, abandon: &CancellationToken) {
        let turn = self.claim.lease.turn;
        let effects = self.effects(&mut ending);
        let rows: Vec<_> = effects
            .iter()
            .map(|effect| effect.row(self.claim.conversation.id))
            .collect();
        let settlement = Settlement {
            state: ending.state,
            record: json!(ending.record),
            session: ending.session.clone(),
            spend: ending.spend,
        };
        let delivery = self.context.outbox.expect(turn);
        let mut pause = Duration::from_millis(100);
        loop {
            match self
                .context
                .queue
                .settle(self.claim.lease, settlement.clone(), rows.clone())
                .await
            {
                Ok(()) => break,
                Err(LeaseError::Stale { .. }) => {
                    tracing::error!("the claim was lost; the result of this attempt is dropped");
                    self.context.outbox.forget(turn);
                    return self.context.hub.forget(&self.subject.channel, turn);
                }
                Err(error) => {
                    tracing::error!(%error, ?pause, "the turn's end is not on disk yet; trying again");
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
        crash::point("turn.settled");
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
        let delivered = matches!(tokio::time::timeout(DELIVERY_PATIENCE, delivery).await, Ok(Ok(true)));
        self.tell(ending.milestone(delivered));
    }
}

/// How a turn will be run.
struct Plan {
    dirs: Dirs,
    session: Session,
    interrupted: bool,
    notice: Option<String>,
}

impl Plan {
    fn cwd(&self) -> String {
        self.dirs.cwd.display().to_string()
    }
}

fn storage_failure(what: &str, error: &std::io::Error) -> Failure {
    Failure {
        code: FailureCode::Storage,
        message: format!("The turn could not start: {what} ({}).", error.kind()),
        next_step: "Ask the operator to look at the state directory (free space, permissions), then send again.".into(),
        remedy: Remedy::Operator,
        detail: error.to_string(),
    }
}

struct TurnObserver {
    queue: Arc<dyn Queue>,
    hub: Hub,
    subject: Subject,
    lease: Lease,
    notices: std::sync::Mutex<Vec<String>>,
}

#[async_trait]
impl Observer for TurnObserver {
    async fn before_prompt(&self, session: Uuid) -> Result<(), String> {
        crash::point("turn.spawned");
        self.queue
            .begin(self.lease, session)
            .await
            .map_err(|error| error.to_string())?;
        crash::point("turn.begun");
        Ok(())
    }

    fn event(&self, event: Event) {
        match &event {
            Event::Notice { text } => {
                self.notices
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(text.clone());
            }
            Event::Init { .. } => crash::point("turn.init"),
            Event::Text { .. } => crash::point("turn.text"),
            _ => {}
        }
        self.hub.tell(&self.subject, &Happening::Turn(event));
    }
}
