//! A process for a turn that was not claimed yet. Whether the turn will run, and whether it may then, is not decided here.

use std::sync::Arc;
use std::time::Duration;

use reveille_backends::Session;
use reveille_queue::Claim;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::Run;
use crate::grants::role;
use crate::limits::{self, Check, Reservations};
use crate::registry::Agent;
use crate::strays;
use crate::system_prompt;
use crate::warm::{self, Held, Owner, Parked};
use crate::worker::Context;

/// Who would have the process that is started for a turn in line, `claim`, which nobody holds. `None`: none is started.
pub(crate) fn owner(context: &Context, agent: &Agent, claim: &Claim) -> Option<Owner> {
    let run = Run::new(context, agent, claim);
    let wait = run.may_have_one()?;
    Some(Owner {
        conversation: claim.conversation.id,
        lane: claim.message.lane.clone(),
        definition: Arc::clone(&agent.definition),
        vault: agent.vault.name().to_owned(),
        wait,
        since: context.warm.now(),
    })
}

/// Starts it. `None`: it did not come up, or was halted, and nothing of it is alive.
pub(crate) async fn start(context: &Context, agent: &Agent, claim: &Claim, halt: CancellationToken) -> Option<Parked> {
    Run::new(context, agent, claim).start_ahead(halt).await
}

impl Run<'_> {
    /// How long it may wait when the turn may be foreseen: everything that would refuse the turn, make it wait or give it a process
    /// of its own is against it. The turn itself asks all of this again.
    fn may_have_one(&self) -> Option<Duration> {
        let claim = self.claim;
        let as_it_came = claim.interruptions == 0 && claim.begun_session.is_none();
        let own = strays::failure(self.agent, &claim.message.vault).is_none() && !claim.message.lane.thread.is_former();
        // Whoever else decides about connections is asked for them by the turn alone.
        let plain = self.is_trusted() && (self.decides_here() || self.definition().wants.is_empty());
        if !as_it_came || !own || !plain || self.check_text().is_err() {
            return None;
        }
        let depth = self.messages().map(|(_, message)| message.delegation_depth).max();
        // Nothing is taken of the money of its chain.
        let (check, _) = limits::check(
            &self.context.limits,
            self.definition(),
            claim,
            depth.unwrap_or(0),
            &Reservations::default(),
            self.started_at,
        );
        let cli = &self.context.cli;
        let runs = check == Check::Run(None) && cli.is_there() && cli.login_problem().is_none();
        if runs { self.may_wait(None) } else { None }
    }

    /// Whether the daemon itself keeps what is granted.
    fn decides_here(&self) -> bool {
        self.context.grants.backend().is_own()
    }

    async fn start_ahead(&self, halt: CancellationToken) -> Option<Parked> {
        let made = tokio::select! {
            biased;
            () = halt.cancelled() => None,
            made = self.make_ahead() => made,
        };
        let (request, held, fingerprint) = made?;
        let start = self.context.backend.start_ahead(request, halt.clone());
        match start.instrument(held.process.clone()).await {
            Ok(resident) => Some(Parked {
                resident,
                held,
                fingerprint,
                guess: None,
            }),
            // Who halted it tells why, where that is worth telling.
            Err(_) if halt.is_cancelled() => None,
            Err(failure) => {
                tracing::info!(
                    detail = failure.detail,
                    "a process that was started ahead did not come up"
                );
                None
            }
        }
    }

    /// What it is started with. Nothing of it opens a door before a turn has it.
    async fn make_ahead(&self) -> Option<(reveille_backends::TurnRequest, Held, crate::warm::Fingerprint)> {
        // silent-ok: the turn tells what is in its way.
        let plan = self.prepare().await.ok()?;
        if let Session::Resume(session) = plan.session
            && self.context.backend.session_size(&plan.dirs, session) == 0
        {
            return None;
        }
        let standing = system_prompt::gather(&*self.agent.vault, self.definition(), &self.thread()).await;
        let want = |note| role::wants_of(note).is_some_and(|wants| wants.map_or(true, |wants| !wants.is_empty()));
        if !self.decides_here() && standing.roles.iter().any(want) {
            return None;
        }
        let mut request = self.ask(&plan, String::new(), standing.model, standing.prompt);
        let mut notices = Vec::new();
        let writing = self.context.warm.writes_ahead(self.claim.conversation.id).await?;
        // silent-ok: as above.
        let loans = self.connect(&mut request, &mut notices, &standing.roles).await.ok()?;
        // It is no turn's yet, so it has the name of none.
        request.turn = Uuid::new_v4();
        let pass = self.context.passes.asleep(request.turn, &self.claim.message.vault);
        request.env.extend(pass.env());
        let fingerprint = self.fingerprint(&request, &pass, &loans);
        drop(writing);
        // silent-ok: as above.
        let process = warm::process_span(self.claim);
        let door = process.in_scope(|| self.enclose(&mut request)).ok()?;
        process.record("turn", "");
        let log = request.policy.log.clone();
        let held = Held {
            pass,
            loans,
            door,
            log,
            process,
        };
        held.suspend();
        Some((request, held, fingerprint))
    }
}
