//! What a turn may reach, and what it has tried to reach.

use std::path::PathBuf;

use reveille_backends::{Event, Failure, TurnRequest};
use reveille_sandbox::Policy;

use super::Run;
use crate::grants::Given;
use crate::live::Happening;
use crate::sandboxing::shield::Door;
use crate::sandboxing::{Effective, Lowered, Reach, Refused, WatchedTurn};
use crate::warm::{self, Cold};

impl Run<'_> {
    /// What counts now, and where the turn works when that is not its own directory.
    pub(super) fn may_reach(&self) -> (Effective, Option<PathBuf>) {
        let (sandboxing, definition) = (&self.context.sandboxing, self.definition());
        let effective = sandboxing.effective_of(definition, self.is_trusted());
        let workspace = sandboxing.workspace(definition, &effective);
        (effective, workspace)
    }

    /// In the first turn of a conversation people are told what the agent has not got.
    pub(super) fn lowered(&self, effective: &Effective) -> Option<String> {
        let first = self.claim.conversation.turns == 0 && self.context.sandboxing.is_confined();
        let words: Vec<String> = effective.lowered.iter().map(Lowered::words).collect();
        (first && !words.is_empty()).then(|| {
            format!(
                "The agent runs with less than its definition asks for: {}.",
                words.join("; ")
            )
        })
    }

    /// Lets the turn reach what it was granted.
    pub(super) fn reach_granted(&self, policy: &mut Policy, given: &Given) {
        let mut reach = Reach::default();
        for url in given.addresses() {
            if let Err(error) = reach.grant(url) {
                tracing::warn!(%error, "the address of something that was granted names no host");
            }
        }
        reach.open(policy);
    }

    /// The last touch before a process begins.
    ///
    /// # Errors
    /// The credential is to stay outside, and cannot.
    pub(super) fn confine(&self, request: &mut TurnRequest) -> Result<Cold, Failure> {
        let process = warm::process_span(self.claim);
        let door = process.in_scope(|| self.enclose(request))?;
        let (agent, log) = (&self.definition().name, request.policy.log.clone());
        let watch = self.context.sandboxing.watch();
        let watched = watch.begin(agent, self.claim.lease.turn, self.started_at, log);
        Ok(Cold { watched, door, process })
    }

    /// The same, where nobody watches yet.
    ///
    /// # Errors
    /// As [`Run::confine`].
    pub(super) fn enclose(&self, request: &mut TurnRequest) -> Result<Door, Failure> {
        let (agent, sandboxing) = (&self.definition().name, &self.context.sandboxing);
        let mut door = Door::default();
        if sandboxing.shields(agent, self.is_trusted()) {
            let keys = self.context.cli.keys(&request.env)?;
            door = sandboxing.raise_shield(request, &keys)?;
        }
        let variables = request.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        sandboxing.follow_variables(&mut request.policy, variables);
        Ok(door)
    }

    /// Tells people what was refused, and answers what was tried.
    pub(super) fn tell_connections(&self, watched: &WatchedTurn, notices: &mut Vec<String>) -> Vec<Refused> {
        if let Some(text) = watched.notice(&self.definition().name) {
            notices.push(text.clone());
            self.context
                .hub
                .tell(&self.subject, &Happening::Turn(Event::Notice { text }));
        }
        watched.counts()
    }
}
