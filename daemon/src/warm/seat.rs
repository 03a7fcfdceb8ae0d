//! The place of one turn: first the process that has waited for it, and a new one where that is not fit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reveille_backends::{
    Again, Backend, Dirs, Failure, Observer, Resident, Session, TurnOutcome, TurnRequest, Usage, Verdict,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{Fingerprint, Guess, Held, Parked, Warm};
use crate::delegation::Pass;
use crate::metrics::Miss;
use crate::sandboxing::WatchedTurn;
use crate::sandboxing::shield::Door;
use crate::tokens::Loan;

/// The last touch before a process is started. The answer lives as long as it.
pub(crate) type Confine<'a> = &'a (dyn Fn(&mut TurnRequest) -> Result<Cold, Failure> + Send + Sync);
/// The prompt of an attempt before which another one was cut off.
pub(crate) type CutOff<'a> = &'a (dyn Fn(&TurnRequest) -> String + Send + Sync);

/// What is made for a process that is started.
pub(crate) struct Cold {
    /// What it tries to reach.
    pub(crate) watched: WatchedTurn,
    /// What keeps its credential out.
    pub(crate) door: Door,
    /// Whom it works for, in the lines of the log.
    pub(crate) process: Span,
}

/// Runs the attempts of one turn.
pub(crate) struct Seat<'a> {
    pub(crate) backend: &'a dyn Backend,
    warm: &'a Warm,
    pub(crate) confine: Confine<'a>,
    pub(crate) cut_off: CutOff<'a>,
    /// What a process is started with that may stay; `None`: none may.
    fingerprint: Option<Fingerprint>,
    state: Mutex<State>,
}

struct State {
    /// Has waited for this turn.
    waiting: Option<Resident>,
    /// It was started for this turn.
    guess: Option<Guess>,
    /// What was made for that.
    held: Option<Held>,
    /// Of the process that runs or ran last.
    watched: WatchedTurn,
    /// What was made for one that was started here.
    door: Option<Door>,
    /// Whom that works for, in the lines of the log.
    process: Span,
    /// Requests are still to be confined, each time.
    is_open: bool,
    /// Waits for the turn after this one.
    stayed: Option<Resident>,
    /// The process that had waited was fit: the turn ran in it.
    was_warm: bool,
}

impl<'a> Seat<'a> {
    /// With a request that is confined already.
    pub(crate) fn cold(
        (backend, warm): (&'a dyn Backend, &'a Warm),
        cold: Cold,
        fingerprint: Option<Fingerprint>,
        (confine, cut_off): (Confine<'a>, CutOff<'a>),
    ) -> Self {
        let state = State {
            waiting: None,
            guess: None,
            held: None,
            watched: cold.watched,
            door: Some(cold.door),
            process: cold.process,
            is_open: false,
            stayed: None,
            was_warm: false,
        };
        Self {
            backend,
            warm,
            confine,
            cut_off,
            fingerprint,
            state: Mutex::new(state),
        }
    }

    /// With a process that has waited. What it was given holds for this turn already.
    pub(crate) fn warm(
        (backend, warm): (&'a dyn Backend, &'a Warm),
        parked: Parked,
        watched: WatchedTurn,
        (confine, cut_off): (Confine<'a>, CutOff<'a>),
    ) -> Self {
        let state = State {
            waiting: Some(parked.resident),
            guess: parked.guess,
            held: Some(parked.held),
            watched,
            door: None,
            process: Span::none(),
            is_open: true,
            stayed: None,
            was_warm: false,
        };
        Self {
            backend,
            warm,
            confine,
            cut_off,
            fingerprint: Some(parked.fingerprint),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn is to end: what it was given works no longer.
    pub(crate) fn revoke(&self) {
        if let Some(held) = &self.state().held {
            held.suspend();
        }
    }

    /// Whether the turn ran in the process that had waited for it.
    pub(crate) fn was_warm(&self) -> bool {
        self.state().was_warm
    }

    /// The turn is over. What is left of it: what it tried to reach, and a process that may wait, with all that was made for it.
    /// No token works any more.
    pub(crate) fn leave(self, pass: Pass, loans: Vec<Loan>) -> (WatchedTurn, Option<Parked>) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let held = match (state.held, state.door) {
            (Some(held), _) => Some(held),
            (None, door) => Some(Held {
                pass,
                loans,
                door: door.unwrap_or_default(),
                log: state.watched.log(),
                process: state.process,
            }),
        };
        let parked = match (state.stayed, held, self.fingerprint) {
            (Some(resident), Some(held), Some(fingerprint)) => {
                held.suspend();
                Some(Parked {
                    resident,
                    held,
                    fingerprint,
                    guess: None,
                })
            }
            _ => None,
        };
        (state.watched, parked)
    }

    /// The turn in the process that has waited for it. `None`: that was not fit, and the turn is as it was.
    async fn again(
        &self,
        turn: &mut TurnRequest,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Option<TurnOutcome> {
        let resident = self.state().waiting.take()?;
        let (began, session) = (Instant::now(), resident.session());
        let guess = self.state().guess.take();
        let before = self.backend.session_size(&turn.dirs, session);
        let given = match resident.run(turn, observer, stop).await {
            Again::Ran(ran) => {
                let (outcome, resident) = *ran;
                let mut state = self.state();
                if resident.is_none() {
                    state.held = None;
                }
                state.stayed = resident;
                state.was_warm = true;
                if let Some(guess) = guess {
                    guess.used();
                }
                self.warm.figures().hit();
                return Some(outcome);
            }
            Again::Unfit { given } => given,
        };
        tracing::info!(
            given,
            "the process that has waited is not fit for the turn; another one is started"
        );
        self.warm.figures().missed(Miss::Unfit);
        self.state().held = None;
        turn.timeouts.wall = turn.timeouts.wall.saturating_sub(began.elapsed());
        let taken = given && self.backend.took_prompt(&turn.dirs, session, before);
        turn.session = match turn.session {
            Session::New(_) if taken => Session::Resume(session),
            // An id is used once.
            Session::New(_) => Session::New(Uuid::new_v4()),
            resume @ Session::Resume(_) => resume,
        };
        if taken {
            turn.prompt = (self.cut_off)(turn);
        }
        None
    }
}

fn failed(failure: Failure) -> TurnOutcome {
    TurnOutcome {
        verdict: Verdict::Failed(failure),
        session: None,
        usage: Usage::default(),
        cost_usd: 0.0,
        models: Vec::new(),
        tools_ran: false,
        partial: String::new(),
    }
}

#[async_trait]
impl Backend for Seat<'_> {
    async fn run(&self, mut turn: TurnRequest, observer: &dyn Observer, stop: CancellationToken) -> TurnOutcome {
        if let Some(outcome) = self.again(&mut turn, observer, &stop).await {
            return outcome;
        }
        if self.state().is_open {
            match (self.confine)(&mut turn) {
                Ok(cold) => {
                    let mut state = self.state();
                    state.watched = cold.watched;
                    state.door = Some(cold.door);
                    state.process = cold.process;
                }
                Err(failure) => return failed(failure),
            }
        }
        let process = self.state().process.clone();
        if self.fingerprint.is_none() {
            return self.backend.run(turn, observer, stop).instrument(process).await;
        }
        let run = self.backend.run_and_stay(turn, observer, stop);
        let (outcome, resident) = run.instrument(process).await;
        self.state().stayed = resident;
        outcome
    }

    fn session_size(&self, dirs: &Dirs, session: Uuid) -> u64 {
        self.backend.session_size(dirs, session)
    }

    fn took_prompt(&self, dirs: &Dirs, session: Uuid, since: u64) -> bool {
        self.backend.took_prompt(dirs, session, since)
    }
}
