//! Turns by Claude Code: a `claude -p` process each, which may stay for the next turn of its session.

#[cfg(test)]
mod captures;
mod child;
mod command;
mod content;
mod drive;
mod failure;
mod files;
pub mod fuzzing;
mod lines;
mod locate;
mod options;
#[cfg(test)]
mod reading;
mod redact;
mod resident;
mod stream;
mod transcript;
mod verdict;

use std::io;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use files::{config_dir_in, make_config_dir};
pub use locate::{Probe, ProbeError, find_program, probe};
pub use options::{ClaudeOptions, authorities, base_env};
pub use resident::{Again, Resident};

use crate::turn::{Backend, Dirs, Event, Failure, FailureCode, Observer, Session, TurnOutcome, TurnRequest, Verdict};
use child::Process;
use drive::{Driven, Journey, drive};
use locate::ProbeCache;
use redact::Redactor;
use stream::Counted;
use verdict::{Finished, not_started, says_session_is_taken, says_session_is_unknown, verdict};

/// Runs turns with the Claude Code CLI.
pub struct ClaudeBackend {
    options: ClaudeOptions,
    probes: ProbeCache,
}

impl ClaudeBackend {
    /// A backend; starts nothing.
    #[must_use]
    pub fn new(options: ClaudeOptions) -> Self {
        Self {
            options,
            probes: ProbeCache::default(),
        }
    }

    /// What the program says about itself, asked once per state of its file.
    ///
    /// # Errors
    /// As [`probe()`].
    pub async fn probe(&self) -> Result<Probe, ProbeError> {
        let ClaudeOptions {
            program,
            prefix_args,
            sandbox,
            ..
        } = &self.options;
        self.probes.get(program, prefix_args, &**sandbox).await
    }

    async fn probe_for_turn(&self) -> Result<Probe, Failure> {
        match self.probe().await {
            Ok(probe) => Ok(probe),
            Err(error @ ProbeError::Start { .. }) if !self.options.program.exists() => {
                Err(not_started(FailureCode::ProgramMissing, &error.to_string()))
            }
            Err(error) => {
                tracing::warn!(%error, "Claude Code does not say what it is; it is started all the same");
                Ok(Probe::default())
            }
        }
    }

    /// Starts a program. The inner error: it was stopped before it ran, and has written that to stderr.
    async fn launch(
        &self,
        turn: &TurnRequest,
        session: Session,
        probe: &Probe,
        stop: &CancellationToken,
    ) -> Result<Result<Process, String>, Failure> {
        let (dirs, prompt) = (turn.dirs.clone(), turn.system_prompt.clone());
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| files::write_files(&dirs, prompt.as_ref())))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|error| not_started(FailureCode::Storage, &format!("a file for the CLI: {error}")))?;
        let mut process = self.spawn(turn, session, probe)?;
        let launched = tokio::select! {
            biased;
            () = stop.cancelled() => Err(None),
            launched = process.launch(turn.timeouts.start) => launched.map_err(Some),
        };
        if let Err(problem) = launched {
            process.kill();
            let (stderr, ..) = process.finish().await;
            return match problem {
                Some(error) => Err(not_started(FailureCode::Sandbox, &error.to_string())),
                None => Ok(Err(stderr)),
            };
        }
        Ok(Ok(process))
    }

    /// One process. An error says why there was none.
    async fn attempt(
        &self,
        turn: &TurnRequest,
        session: Session,
        probe: &Probe,
        (observer, stop, stay): (&dyn Observer, &CancellationToken, bool),
    ) -> Result<Driven, Failure> {
        let process = match self.launch(turn, session, probe, stop).await? {
            Ok(process) => process,
            Err(stderr) => {
                return Ok(Driven {
                    end: Finished::stopped_early(stderr),
                    process: None,
                    given: false,
                    heard: false,
                });
            }
        };
        let tool_limit = command::tool_limit(&self.options, turn);
        Ok(drive(
            process,
            Journey {
                turn,
                session: session.id(),
                tool_limit,
                observer,
                stop,
                hidden: self.hidden(turn),
                stay,
            },
        )
        .await)
    }

    fn spawn(&self, turn: &TurnRequest, session: Session, probe: &Probe) -> Result<Process, Failure> {
        let command = command::build(&self.options, turn, session, probe);
        let policy = command::policy(&self.options, turn);
        let confined = self
            .options
            .sandbox
            .confine(command, &policy)
            .map_err(|error| not_started(FailureCode::Sandbox, &error.to_string()))?;
        let program = confined.command.program.clone();
        Process::spawn(confined, (command::TURN_MARKER, &turn.turn.to_string())).map_err(|error| {
            let code = if program.exists() {
                FailureCode::SpawnFailed
            } else {
                FailureCode::ProgramMissing
            };
            not_started(code, &format!("{}: {error}", program.display()))
        })
    }

    /// Attempts until one of them is not about the session. `None` when the turn was stopped before there was any.
    async fn run_healed(
        &self,
        turn: &TurnRequest,
        (observer, stop, stay): (&dyn Observer, &CancellationToken, bool),
        outcome: &mut TurnOutcome,
    ) -> Result<Option<Driven>, Failure> {
        if turn.prompt.trim().is_empty() {
            return Err(not_started(FailureCode::BlankMessage, "the prompt is blank"));
        }
        let probe = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            probe = self.probe_for_turn() => probe?,
        };
        let mut session = turn.session;
        let mut replaced = false;
        while !stop.is_cancelled() {
            let driven = self.attempt(turn, session, &probe, (observer, stop, stay)).await?;
            account(outcome, &driven.end);
            let stored = transcript::size(&turn.dirs, session.id()) > 0;
            match heal(session, &driven.end, stored).filter(|_| !replaced) {
                None => return Ok(Some(driven)),
                Some(next) => session = next,
            }
            if matches!(session, Session::New(_)) {
                replaced = true;
                observer.event(Event::Notice {
                    text: LOST_SESSION.to_owned(),
                });
            }
        }
        Ok(None)
    }

    /// What is a secret by its name, or was given as one. A variable may be a path, which is part of what tools do.
    fn hidden(&self, turn: &TurnRequest) -> Redactor {
        let base = self
            .options
            .base_env
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        let own = turn.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut redactor = Redactor::new();
        base.chain(own).for_each(|(name, value)| redactor.variable(name, value));
        turn.secrets.iter().for_each(|secret| redactor.secret(secret));
        redactor
    }

    /// What an error of a turn must not show.
    fn redactor(&self, turn: &TurnRequest) -> Redactor {
        let mut redactor = self.hidden(turn);
        turn.env.iter().for_each(|(name, value)| redactor.given(name, value));
        redactor
    }
}

impl ClaudeBackend {
    async fn run_one(
        &self,
        turn: TurnRequest,
        observer: &dyn Observer,
        stop: CancellationToken,
        stay: bool,
    ) -> (TurnOutcome, Option<Resident>) {
        let mut outcome = nothing_yet();
        let redactor = self.redactor(&turn);
        let before = transcript::size(&turn.dirs, turn.session.id());
        let driven = match self.run_healed(&turn, (observer, &stop, stay), &mut outcome).await {
            Ok(Some(driven)) => driven,
            Ok(None) => return (outcome, None),
            Err(failure) => {
                let detail = redactor.clean(&failure.detail);
                outcome.verdict = Verdict::Failed(Failure { detail, ..failure });
                return (outcome, None);
            }
        };
        let session = driven.end.stream.session.unwrap_or_default();
        let Some((process, bytes)) = driven.process else {
            conclude(&mut outcome, &turn.dirs, &driven.end, observer, &redactor);
            return (outcome, None);
        };
        let resident = Resident {
            process,
            untold: None,
            bytes,
            session,
            counted: driven.end.stream.counted().clone(),
            tool_limit: command::tool_limit(&self.options, &turn),
            hidden: self.hidden(&turn),
            redactor: redactor.clone(),
            kept: Vec::new(),
        };
        let before = if session == turn.session.id() { before } else { 0 };
        let resident = resident
            .stored(&turn.dirs, before, driven.end.stream.said.as_deref())
            .await;
        conclude(&mut outcome, &turn.dirs, &driven.end, observer, &redactor);
        (outcome, resident)
    }
}

impl ClaudeBackend {
    async fn ahead(&self, turn: &TurnRequest, stop: &CancellationToken) -> Result<Resident, Failure> {
        let not_up = |why: &str| not_started(FailureCode::SpawnFailed, why);
        let stopped = "it is not wanted any more";
        let probe = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(not_up(stopped)),
            probe = self.probe_for_turn() => probe?,
        };
        let launched = self.launch(turn, turn.session, &probe, stop).await?;
        let mut resident = Resident {
            process: launched.map_err(|_| not_up(stopped))?,
            untold: Some(turn.session),
            bytes: 0,
            session: turn.session.id(),
            counted: Counted::default(),
            tool_limit: command::tool_limit(&self.options, turn),
            hidden: self.hidden(turn),
            redactor: self.redactor(turn),
            kept: Vec::new(),
        };
        let up = tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped),
            up = resident.comes_up() => up,
            () = tokio::time::sleep(turn.timeouts.start) => Err("it takes too long"),
        };
        match up {
            Ok(()) => Ok(resident),
            Err(why) => {
                let stderr = resident.kill().await;
                Err(not_up(&format!("{why}; {stderr}")))
            }
        }
    }
}

#[async_trait]
impl Backend for ClaudeBackend {
    async fn run(&self, turn: TurnRequest, observer: &dyn Observer, stop: CancellationToken) -> TurnOutcome {
        self.run_one(turn, observer, stop, false).await.0
    }

    async fn run_and_stay(
        &self,
        turn: TurnRequest,
        observer: &dyn Observer,
        stop: CancellationToken,
    ) -> (TurnOutcome, Option<Resident>) {
        self.run_one(turn, observer, stop, true).await
    }

    async fn start_ahead(&self, turn: TurnRequest, stop: CancellationToken) -> Result<Resident, Failure> {
        self.ahead(&turn, &stop).await.map_err(|failure| Failure {
            detail: self.redactor(&turn).clean(&failure.detail),
            ..failure
        })
    }

    fn session_size(&self, dirs: &Dirs, session: Uuid) -> u64 {
        transcript::size(dirs, session)
    }

    fn took_prompt(&self, dirs: &Dirs, session: Uuid, since: u64) -> bool {
        transcript::took_prompt(dirs, session, since)
    }
}

const LOST_SESSION: &str = "The earlier conversation could not be found, so a new one was begun: \
    the agent does not know what was said before.";
const UNSAVED_SESSION: &str = "Claude Code did not save this conversation, so the next message begins a new one. \
    Check the free space of the disk.";

/// The outcome of a turn in which nothing has happened.
fn nothing_yet() -> TurnOutcome {
    TurnOutcome {
        verdict: Verdict::Stopped,
        session: None,
        usage: crate::turn::Usage::default(),
        cost_usd: 0.0,
        models: Vec::new(),
        tools_ran: false,
        partial: String::new(),
    }
}

fn account(outcome: &mut TurnOutcome, end: &Finished) {
    let stream = &end.stream;
    outcome.usage = outcome.usage.plus(stream.usage);
    outcome.cost_usd += stream.cost_usd;
    let earlier = std::mem::replace(&mut outcome.models, stream.models.clone());
    outcome.also_used(earlier);
    outcome.tools_ran |= stream.tools_ran;
}

/// The session to try next, when the process ended because of its session and nothing else. `stored` tells whether the CLI
/// has stored something of it.
fn heal(session: Session, end: &Finished, stored: bool) -> Option<Session> {
    if end.ending.is_some() || end.stream.session.is_some() {
        return None;
    }
    match session {
        Session::Resume(_) if !stored || says_session_is_unknown(end) => Some(Session::New(Uuid::new_v4())),
        // Its id is taken: an earlier attempt got further than was known.
        Session::New(id) if !end.stream.spoke && (stored || says_session_is_taken(end)) => Some(Session::Resume(id)),
        _ => None,
    }
}

fn conclude(outcome: &mut TurnOutcome, dirs: &Dirs, end: &Finished, observer: &dyn Observer, redactor: &Redactor) {
    outcome.verdict = verdict(end, redactor);
    if !matches!(outcome.verdict, Verdict::Ok { .. }) {
        outcome.partial = end.stream.text();
    }
    outcome.session = end.stream.session.filter(|session| {
        let stored = transcript::size(dirs, *session) > 0;
        if !stored {
            observer.event(Event::Notice {
                text: UNSAVED_SESSION.to_owned(),
            });
        }
        stored
    });
}
