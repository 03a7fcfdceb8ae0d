//! Whether the process of a turn stays for the next one, and the one that has stayed for this.

use std::time::Duration;

use reveille_backends::{Failure, Session, TurnRequest};
use reveille_queue::ThreadKey;
use reveille_vault::agent::KeepWarm;
use tokio_util::sync::CancellationToken;

use super::Run;
use crate::delegation::{Origin, Pass};
use crate::metrics::Miss;
use crate::tokens::Loan;
use crate::warm::{Confine, CutOff, Fingerprint, Launch, Owner, Parked, Seat};

/// What a turn knows of processes that stay.
#[derive(Default)]
pub(super) struct Standing {
    /// Has stayed for this turn, with tokens that hold for it.
    pub(super) parked: Option<Parked>,
    /// What the turn's process is started with; `None`: it ends with the turn.
    pub(super) fingerprint: Option<Fingerprint>,
    /// How long it may wait then.
    pub(super) wait: Duration,
}

impl Run<'_> {
    /// How long the turn's process may wait for the next one; `None`: not at all.
    pub(super) fn may_wait(&self, budget_usd: Option<f64>) -> Option<Duration> {
        let usual = self.context.warm.ttl()?;
        // A conversation of one message has no next one. The CLI counts money over the life of its process: a limit that is of
        // a turn can only be given to a process that is.
        if matches!(self.claim.message.lane.thread, ThreadKey::Single(_)) || budget_usd.is_some() {
            return None;
        }
        match self.definition().keep_warm {
            Some(KeepWarm::Never) => None,
            Some(KeepWarm::For(time)) => Some(time),
            Some(KeepWarm::AsConfigured) | None => Some(usual),
        }
    }

    /// Looks for a process that has stayed. One that would not be started like this now is ended first.
    pub(super) async fn standing(&self, request: &mut TurnRequest, pass: &Pass, loans: &[Loan]) -> Standing {
        let wait = self.may_wait(request.budget_usd);
        let mut standing = Standing {
            parked: None,
            fingerprint: wait.map(|_| self.fingerprint(request, pass, loans)),
            wait: wait.unwrap_or_default(),
        };
        let warm = &self.context.warm;
        let Some(parked) = warm.take(self.claim.conversation.id).await else {
            if wait.is_some() {
                warm.figures().missed(Miss::None);
            }
            return standing;
        };
        let session = parked.resident.next_session();
        let goes_on = match (request.session, session) {
            // That of a process which was told nothing is as new as any.
            (Session::New(_), Session::New(_)) => true,
            (asked, had) => asked == had,
        };
        let same =
            goes_on && standing.fingerprint == Some(parked.fingerprint) && self.context.cli.login_problem().is_none();
        if !same {
            tracing::debug!("the process that has waited is not as it would be started now");
            if wait.is_some() {
                warm.figures().missed(Miss::Changed);
            }
            if parked.guess.is_some() {
                warm.was_vain(self.claim.conversation.id);
            }
            parked.end().await;
            return standing;
        }
        request.session = session;
        parked.held.resume(Origin::of(self), loans);
        standing.parked = Some(parked);
        standing
    }

    pub(super) fn fingerprint(&self, request: &TurnRequest, pass: &Pass, loans: &[Loan]) -> Fingerprint {
        let (cli, agent) = (&self.context.cli, self.definition().name.as_str());
        let minted: Vec<&str> = std::iter::once(pass.text())
            .chain(loans.iter().map(Loan::text))
            .collect();
        Fingerprint::of(&Launch {
            agent,
            request,
            program: cli.program().as_deref(),
            credential: &cli.credential_mark(agent),
            shielded: self.context.sandboxing.shields(agent, self.is_trusted()),
            minted: &minted,
        })
    }

    /// The place of the turn: the process that has stayed for it, or one that is started as `request` says then.
    ///
    /// # Errors
    /// As [`Run::confine`].
    pub(super) fn seat<'a>(
        &'a self,
        standing: Standing,
        request: &mut TurnRequest,
        makers: (Confine<'a>, CutOff<'a>),
    ) -> Result<Seat<'a>, Failure> {
        let (backend, warm) = (&*self.context.backend, &self.context.warm);
        match standing.parked {
            Some(parked) => {
                let (watch, log) = (self.context.sandboxing.watch(), parked.held.log.clone());
                let watched = watch.begin(&self.definition().name, self.claim.lease.turn, self.started_at, log);
                Ok(Seat::warm((backend, warm), parked, watched, makers))
            }
            None => Ok(Seat::cold(
                (backend, warm),
                self.confine(request)?,
                standing.fingerprint,
                makers,
            )),
        }
    }

    /// The turn is over, and its process waits for the next one. One whose turn was halted ends: what it was given has been
    /// taken away, for good.
    pub(super) async fn leave(&self, parked: Option<Parked>, (wait, since): (Duration, u64), halt: &CancellationToken) {
        match parked {
            Some(parked) if halt.is_cancelled() => parked.end().await,
            Some(parked) => {
                let owner = Owner {
                    conversation: self.claim.conversation.id,
                    lane: self.claim.message.lane.clone(),
                    definition: self.agent.definition.clone(),
                    vault: self.agent.vault.name().to_owned(),
                    wait,
                    since,
                };
                self.context.warm.park(owner, parked);
            }
            None => {}
        }
    }
}
