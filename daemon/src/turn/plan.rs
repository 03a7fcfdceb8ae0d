//! How a turn will be run: its directories, its session, and what the model is told.

use std::path::PathBuf;

use reveille_backends::{AgentDir, Dirs, Failure, FailureCode, Remedy, Session, SystemPrompt, Timeouts, TurnRequest};
use reveille_vault::agent::{Inbound, OnInterrupt};
use reveille_vault::{Key, Note, NoteId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Run;
use crate::attachments::{Stage, Staged};
use crate::begun::Marker;
use crate::ending::Ending;
use crate::prompt::{self, CutOff};
use crate::sandboxing::Effective;
use crate::system_prompt;

/// Interruptions after which a turn is given up.
const INTERRUPTIONS_MAX: u32 = 2;

/// How a turn will be run.
pub(super) struct Plan {
    pub(super) dirs: Dirs,
    /// What it may reach.
    pub(super) effective: Effective,
    pub(super) session: Session,
    pub(super) cut_off: CutOff,
    /// Earlier attempts that took the prompt and were cut off.
    pub(super) interruptions: u32,
    pub(super) notice: Option<String>,
}

/// What the prompt of each attempt is made of, besides the message.
pub(super) struct Words {
    pub(super) reply: Option<String>,
    pub(super) also: Vec<Inbound>,
    pub(super) cut_off: CutOff,
    /// The list of attached files.
    pub(super) attached: String,
    /// The roles that stand in the system prompt.
    pub(super) roles: Vec<Note>,
}

impl Words {
    pub(super) fn compose(&self, run: &Run<'_>, resumed: bool, cut_off: CutOff) -> String {
        let text = prompt::compose(
            &run.message,
            &prompt::Context {
                agent: &run.definition().name,
                now: run.started_at,
                resumed,
                number: run.claim.conversation.turns + 1,
                note: &run.claim.message.note,
                cut_off,
                callback_reply: self.reply.as_deref(),
                also: &self.also,
            },
        );
        text + &self.attached
    }
}

impl Plan {
    pub(super) fn cwd(&self) -> String {
        self.dirs.cwd.display().to_string()
    }
}

/// A turn that could not begin because of the disk.
pub(crate) fn storage_failure(what: &str, error: &std::io::Error) -> Failure {
    Failure {
        code: FailureCode::Storage,
        message: format!("The turn could not start: {what} ({}).", error.kind()),
        next_step: "Ask the operator to look at the state directory (free space, permissions), then send again.".into(),
        remedy: Remedy::Operator,
        detail: error.to_string(),
    }
}

impl Run<'_> {
    /// Directories and the session. A failure here ends the turn without a child.
    pub(super) async fn prepare(&self) -> Result<Plan, Failure> {
        self.check_text()?;
        self.context.sandboxing.ready().check().await?;
        let base = self.base();
        let (effective, workspace) = self.may_reach();
        let dirs = Dirs {
            cwd: workspace.unwrap_or_else(|| base.join("work")),
            ctl: base.join("ctl"),
            home: base.join("home"),
            tmp: base.join("tmp"),
        };
        let entered = self.context.doors.enter().await;
        let made = self.make_dirs();
        drop(entered);
        made.map_err(|error| storage_failure("the conversation's directory could not be made", &error))?;
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
            effective,
            session,
            cut_off: CutOff::No,
            interruptions: self.claim.interruptions,
            notice,
        })
    }

    /// The directories of the conversation. Whatever an agent has put in the place of one goes.
    fn make_dirs(&self) -> std::io::Result<()> {
        let base = AgentDir::open(&self.context.conversations)?.make(self.claim.conversation.id.to_string())?;
        for name in ["ctl", "home", "tmp", "work"] {
            base.make(name)?;
        }
        Ok(())
    }

    /// Whether there is something to work on.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_text(&self) -> Result<(), Failure> {
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
        Ok(())
    }

    /// What becomes of a turn that was cut off: begun anew when the child never took the prompt, resumed once, then ended.
    pub(super) async fn judge_interruption(&self, mut plan: Plan) -> Result<Plan, Ending> {
        let Some(begun) = self.claim.begun_session.filter(|_| self.claim.interruptions > 0) else {
            return Ok(plan);
        };
        let taken = self.marker(&plan).was_taken(begun, plan.interruptions);
        if !taken {
            match self.context.queue.unbegin(self.claim.lease).await {
                Ok(()) => plan.interruptions -= 1,
                Err(error) => tracing::warn!(%error, "the interruption counts although nothing had been begun"),
            }
            // An attempt before that one may have taken the prompt.
            if self.claim.interruptions <= 1 {
                return Ok(plan);
            }
        }
        let resumable = self
            .claim
            .conversation
            .session
            .as_ref()
            .is_none_or(|(id, _)| *id == begun);
        if plan.interruptions >= INTERRUPTIONS_MAX || self.definition().on_interrupt == OnInterrupt::Stop {
            return Err(Ending::interrupted(resumable.then_some((begun, plan.cwd()))));
        }
        plan.session = Session::Resume(begun);
        plan.cut_off = CutOff::Restart;
        plan.notice = Some("An earlier attempt was cut off by a restart; the session goes on.".into());
        Ok(plan)
    }

    /// The files of the turn's messages. A stop does not wait for them.
    pub(super) async fn stage(&self, stop: &CancellationToken, abandon: &CancellationToken) -> Staged {
        let joined = self.joined.iter().map(|one| one.subject.message.as_str());
        let notes: Vec<&str> = std::iter::once(self.claim.message.note.as_str())
            .chain(joined)
            .collect();
        let limit = self.context.file_limits.of(self.agent.vault.name());
        let stage = Stage {
            vault: &*self.agent.vault,
            conversation: &self.base(),
            turn: self.claim.lease.turn,
            max_bytes: limit.try_into().unwrap_or(u64::MAX),
        };
        tokio::select! {
            staged = stage.lay_out(&notes) => staged,
            () = stop.cancelled() => Staged::default(),
            () = abandon.cancelled() => Staged::default(),
        }
    }

    /// What the backend is asked for, and what a person should know about it. Connections are still to come.
    pub(super) async fn request(&self, plan: &Plan, staged: Staged) -> (TurnRequest, Vec<String>, Words) {
        let standing = system_prompt::gather(&*self.agent.vault, self.definition(), &self.thread()).await;
        let words = Words {
            reply: self.callback_reply().await,
            also: self.companions().await,
            cut_off: plan.cut_off,
            attached: staged.suffix(),
            roles: standing.roles,
        };
        let resumed = matches!(plan.session, Session::Resume(_));
        let prompt = words.compose(self, resumed, plan.cut_off);
        let request = self.ask(plan, prompt, standing.model, standing.prompt);
        let notices = plan.notice.iter().cloned().chain(self.lowered(&plan.effective));
        let notices = notices.chain(standing.notices);
        let notices = notices.chain(staged.notices).collect();
        (request, notices, words)
    }

    /// What the backend is asked for, with what the model is told.
    pub(super) fn ask(
        &self,
        plan: &Plan,
        prompt: String,
        model: Option<String>,
        system_prompt: Option<SystemPrompt>,
    ) -> TurnRequest {
        let (definition, claude) = (self.definition(), &self.context.claude);
        TurnRequest {
            turn: self.claim.lease.turn,
            prompt,
            session: plan.session,
            dirs: plan.dirs.clone(),
            policy: self.context.sandboxing.policy(&plan.effective, &self.base()),
            // Never left to the CLI: a resumed session would take the transcript's model, with a smaller window.
            model: model
                .or_else(|| definition.model.clone())
                .or_else(|| claude.model.clone())
                .or_else(|| Some("default".into())),
            system_prompt,
            max_turns: definition.max_turns,
            budget_usd: None,
            timeouts: Timeouts {
                start: claude.timeout_start.0,
                idle: definition.timeout_idle.unwrap_or(claude.timeout_idle.0),
                wall: definition.timeout_wall.unwrap_or(claude.timeout_wall.0),
            },
            env: claude.env.clone(),
            secrets: Vec::new(),
        }
    }

    /// The messages that joined, without those that were deleted while they waited.
    pub(crate) async fn companions(&self) -> Vec<Inbound> {
        let mut there = Vec::new();
        for one in &self.joined {
            if !self.is_deleted(&one.subject.message).await {
                there.push(one.message.clone());
            }
        }
        there
    }

    /// The reply that a callback points to. Without it the agent still learns where it is.
    pub(crate) async fn callback_reply(&self) -> Option<String> {
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

    /// The conversation's own directory.
    pub(super) fn base(&self) -> PathBuf {
        self.context.conversations.join(self.claim.conversation.id.to_string())
    }

    pub(super) fn marker(&self, plan: &Plan) -> Marker {
        Marker::new(&self.context.backend, &plan.dirs, self.claim.lease)
    }
}
