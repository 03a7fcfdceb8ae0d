//! The program of a turn, from what it is given to what it leaves.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use reveille_backends::{Event, FailureCode, Session, TurnRequest, Verdict};
use reveille_queue::LeaseError;
use tokio_util::sync::CancellationToken;

use super::Run;
use super::clock::Clock;
use super::plan::Plan;
use crate::attempts;
use crate::crash;
use crate::delegation::Origin;
use crate::ending::{Ending, spend_of};
use crate::limits::Allowance;
use crate::live::Happening;
use crate::prompt::CutOff;
use crate::sent::Answer;

/// Who may end a turn.
pub(super) struct Ends<'a> {
    /// A person.
    pub(super) stop: &'a CancellationToken,
    /// The daemon, which goes.
    pub(super) abandon: &'a CancellationToken,
}

impl Run<'_> {
    /// Runs the child. `None`: the turn is no longer ours to settle, or went back in line.
    pub(super) async fn work(&self, plan: Plan, allowance: Option<Allowance>, ends: Ends<'_>) -> Option<Ending> {
        let staged = self.stage(ends.stop, ends.abandon).await;
        let (mut request, mut notices, words) = self.request(&plan, staged).await;
        let here = self.context.warm.enter(self.claim.conversation.id).await;
        let connected = tokio::select! {
            connected = self.connect(&mut request, &mut notices, &words.roles) => connected,
            () = ends.stop.cancelled() => Ok(Vec::new()),
            () = ends.abandon.cancelled() => Ok(Vec::new()),
        };
        let mut loans = match connected {
            Ok(loans) => loans,
            Err(failure) => return Some(Ending::without_child(failure)),
        };
        request.budget_usd = allowance.map(Allowance::usd);
        // Void as soon as this attempt is over or shall end.
        let pass = self.context.passes.issue(Origin::of(self));
        request.env.extend(pass.env());
        let standing = self.standing(&mut request, &pass, &loans).await;
        let wait = standing.wait;
        let compose = |attempt: &TurnRequest, cut_off: CutOff| {
            words.compose(self, matches!(attempt.session, Session::Resume(_)), cut_off)
        };
        let clock = Clock::new(self.context.metrics.clone(), self.started_at, self.attempt.clone());
        let clock = Arc::new(clock);
        let again = |attempt: &TurnRequest, cut_off: bool, code: FailureCode| {
            clock.retried(code);
            compose(attempt, if cut_off { CutOff::Api } else { words.cut_off })
        };
        let confine = |request: &mut TurnRequest| self.confine(request);
        let cut_off = |request: &TurnRequest| compose(request, CutOff::Process);
        let seat = match self.seat(standing, &mut request, (&confine, &cut_off)) {
            Ok(seat) => seat,
            Err(failure) => return Some(Ending::without_child(failure)),
        };
        let thread_note = self.show_working();
        self.tell_notices(&notices);
        let observer = self.observer(&plan, notices, Arc::clone(&clock));
        let halt = CancellationToken::new();
        let pauses: Vec<Duration> = self.context.claude.retry_pauses.iter().map(|span| span.0).collect();
        let child = attempts::run(&seat, request, again, &pauses, &observer, &halt);
        let living = self.context.metrics.child();
        let (outcome, lost) = self
            .attend(child, &ends, &halt, || {
                pass.revoke();
                loans.clear();
                seat.revoke();
            })
            .await;
        drop(living);
        let answered_at = clock.ended();
        if seat.was_warm() {
            self.attempt.was_warm();
        }
        let (watched, parked) = seat.leave(pass, loans);
        let watched = self.context.sandboxing.watch().end(&self.definition().name, &watched);
        // However the attempt is taken: it has tried.
        self.context.metrics.reached(&watched.counts());
        crash::point("turn.ran");
        thread_note.end().await;
        self.leave(parked, (wait, here.since), &halt).await;
        if lost {
            return self.lose();
        }
        if outcome.verdict == Verdict::Stopped && !ends.stop.is_cancelled() {
            self.give_back(spend_of(&outcome), ends.abandon).await;
            return None;
        }
        let mut notices = observer.into_notices();
        let egress = self.tell_connections(&watched, &mut notices);
        let mut ending = Ending::of(outcome, &plan.cwd(), notices);
        ending.record.egress = egress;
        ending.answered_at = answered_at;
        // They may be large.
        let halt = CancellationToken::new();
        let copied = self.collect(&plan, &mut ending, &halt);
        match self.attend(copied, &ends, &halt, || ()).await {
            ((), true) => self.lose(),
            ((), false) => Some(ending),
        }
    }

    /// The claim is somebody else's now.
    fn lose(&self) -> Option<Ending> {
        tracing::error!("the claim was lost; the result of this attempt is dropped");
        self.attempt.ended(Some("claim_lost"));
        self.context.hub.forget(&self.subject.channel, self.subject.turn);
        None
    }

    /// Keeps copies of the files that the answer shows, until `halt`.
    async fn collect(&self, plan: &Plan, ending: &mut Ending, halt: &CancellationToken) {
        let Some(text) = ending.record.reply.clone().filter(|text| text.contains("![")) else {
            return;
        };
        let limit = self.context.file_limits.of(self.agent.vault.name());
        let answer = Answer {
            text,
            cwd: plan.dirs.cwd.clone(),
            conversations: self.context.conversations.clone(),
            conversation: self.claim.conversation.id,
            turn: self.claim.lease.turn,
            max_bytes: limit.try_into().unwrap_or(u64::MAX),
        };
        let halt = halt.clone();
        match tokio::task::spawn_blocking(move || answer.collect(&|| halt.is_cancelled())).await {
            Ok(collected) => {
                ending.files = collected.files;
                ending.record.notices.extend(collected.notices);
            }
            Err(error) => {
                tracing::error!(%error, "the files of an answer were not looked for");
                let notice = "The files that the answer shows could not be looked for, and were not sent.";
                ending.record.notices.push(notice.into());
            }
        }
    }

    fn tell_notices(&self, notices: &[String]) {
        for text in notices.iter().cloned() {
            let happening = Happening::Turn(Event::Notice { text });
            self.context.hub.tell(&self.subject, &happening);
        }
    }

    /// Stays with the program, or with another long work of the turn, until it has ended, keeps the claim meanwhile, and halts it
    /// when it is to end: then what it was given is taken back. The second part of the answer: the claim is no longer ours.
    async fn attend<T>(
        &self,
        work: impl Future<Output = T>,
        ends: &Ends<'_>,
        halt: &CancellationToken,
        mut take_back: impl FnMut(),
    ) -> (T, bool) {
        let mut work = pin!(work);
        // The claim or the last beat was just now. A first beat at once would take the millisecond that timers are exact to.
        let pause = (self.context.lease / 3).max(Duration::from_millis(10));
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut lost = false;
        loop {
            tokio::select! {
                outcome = &mut work => return (outcome, lost),
                () = ends.stop.cancelled(), if !halt.is_cancelled() => halt.cancel(),
                () = ends.abandon.cancelled(), if !halt.is_cancelled() => halt.cancel(),
                _ = beat.tick() => {
                    match self.context.queue.heartbeat(self.claim.lease).await {
                        Err(LeaseError::Stale { .. }) => { lost = true; halt.cancel(); }
                        Err(error) => tracing::warn!(%error, "no heartbeat"),
                        Ok(()) => {}
                    }
                }
            }
            if halt.is_cancelled() {
                take_back();
            }
        }
    }
}
