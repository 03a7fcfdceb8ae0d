//! Claims: whose they are, for how long, and giving them back.

use reveille_queue::{ChannelName, Held, Lease, LeaseError, Spend, State, Turn};
use uuid::Uuid;

use super::{Desk, Released, Renewed, refusal, subject_of};
use crate::delegation::Origin;
use crate::http::{ApiError, Caller};
use crate::inbox::shown;
use crate::live::{Happening, Milestone};
use crate::registry::Agent;
use crate::turn::Run;

/// Characters of a message that the live view shows.
const SHOWN_CHARS: usize = 2000;

/// How a claim is called outside. Not a secret: who shows it must be the one who made it.
pub(super) fn name(lease: Lease) -> String {
    format!("{}.{}", lease.turn, lease.epoch)
}

fn lease(claim: &str) -> Option<Lease> {
    let (turn, epoch) = claim.split_once('.')?;
    Some(Lease {
        turn: turn.parse().ok()?,   // silent-ok: none of ours
        epoch: epoch.parse().ok()?, // silent-ok: none of ours
    })
}

impl Desk {
    /// The turn of a message to an agent; of one that shares a turn, that one. `id`: the note, or the turn.
    pub(super) async fn find(&self, name: &ChannelName, agent: &Agent, id: &str) -> Result<Turn, ApiError> {
        let unknown = || refusal::unknown_message(name.as_str(), id);
        let mut found = self.queue().turn_of(agent.vault.name(), id).await?;
        if let (None, Ok(turn)) = (&found, id.parse::<Uuid>()) {
            found = self.queue().turn(turn).await?;
        }
        if let Some(leader) = found.as_ref().and_then(|turn| turn.leader) {
            found = self.queue().turn(leader).await?;
        }
        found
            .filter(|turn| turn.message.lane.channel == *name)
            .ok_or_else(unknown)
    }

    /// The claim on a turn, if it is this one's. `claim`: the one that it must be.
    pub(super) async fn mine(&self, turn: &Turn, owner: &str, claim: Option<&str>) -> Result<Held, ApiError> {
        let Some(held) = self.queue().held(turn.id).await? else {
            let now = self.queue().turn(turn.id).await?;
            return Err(refusal::not_held(now.as_ref().unwrap_or(turn)));
        };
        if held.owner != owner {
            let claimed_by = Some(held.owner);
            return Err(refusal::not_yours(&Turn {
                claimed_by,
                ..turn.clone()
            }));
        }
        if claim.is_some_and(|claim| lease(claim) != Some(held.claim.lease)) {
            return Err(refusal::claim_over());
        }
        Ok(held)
    }

    /// What this caller has taken, as the turn that hands on.
    ///
    /// # Errors
    /// The claim is not this caller's, or over.
    pub(crate) async fn origin(&self, caller: &Caller, claim: &str) -> Result<Origin, ApiError> {
        let unknown = || refusal::not_a_claim(claim);
        let turn = lease(claim).ok_or_else(unknown)?.turn;
        let turn = self.queue().turn(turn).await?.ok_or_else(unknown)?;
        let held = self.mine(&turn, &caller.subject(), Some(claim)).await?;
        let (_, agent) = self.agent(held.claim.message.lane.channel.as_str())?;
        Ok(Origin::of(&Run::new(self.context(), &agent, &held.claim)))
    }

    /// Holds a claim for another while.
    ///
    /// # Errors
    /// It is not this caller's, or there is none.
    pub(crate) async fn renew(
        &self,
        channel: &str,
        caller: &Caller,
        id: &str,
        claim: Option<&str>,
    ) -> Result<Renewed, ApiError> {
        let (name, agent) = self.agent(channel)?;
        let turn = self.find(&name, &agent, id).await?;
        let held = self.mine(&turn, &caller.subject(), claim).await?;
        let lease = held.claim.lease;
        match self.queue().renew(lease, self.inner.ttl).await {
            Ok(ends_at) => Ok(Renewed {
                id: turn.message.note,
                turn: turn.id,
                claim: self::name(lease),
                ends_at,
            }),
            Err(LeaseError::Stale { .. }) => Err(refusal::claim_over()),
            Err(LeaseError::Queue(error)) => Err(error.into()),
        }
    }

    /// Gives a message back: it waits again at its place. The operator may do so with everybody's.
    ///
    /// # Errors
    /// It is not this caller's, or nobody has it.
    pub(crate) async fn release(
        &self,
        channel: &str,
        caller: &Caller,
        id: &str,
        claim: Option<&str>,
    ) -> Result<Released, ApiError> {
        let (name, agent) = self.agent(channel)?;
        let turn = self.find(&name, &agent, id).await?;
        let owner = match (caller, &turn.claimed_by) {
            (Caller::Operator, Some(owner)) => owner.clone(),
            _ => caller.subject(),
        };
        let (desk, claim) = (self.clone(), claim.map(str::to_owned));
        self.whole(async move {
            let _alone = desk.alone(turn.conversation).await;
            let held = desk.mine(&turn, &owner, claim.as_deref()).await?;
            match desk.queue().release(held.claim.lease, Spend::default()).await {
                Ok(()) => {}
                Err(LeaseError::Stale { .. }) => return Err(refusal::claim_over()),
                Err(LeaseError::Queue(error)) => return Err(error.into()),
            }
            tracing::info!(turn = %turn.id, channel = %name, by = owner, "a message was given back");
            let words = format!("Given back by {owner}; it waits again.");
            desk.is_back((turn.id, &name), "released", &words).await;
            Ok(Released {
                id: turn.message.note,
                turn: turn.id,
            })
        })
        .await
    }

    /// Tells everybody that a turn is back in line, and lets its lane look: the daemon may run it by now. For who is alone
    /// in its conversation. False: its thread could not be told, because its agent is not known yet.
    pub(super) async fn is_back(&self, (turn, channel): (Uuid, &ChannelName), why: &'static str, words: &str) -> bool {
        let inbox = &self.inner.inbox;
        let now = match self.queue().turn(turn).await {
            Ok(Some(now)) => now,
            Ok(None) => return true,
            Err(error) => {
                tracing::warn!(%error, %turn, %channel, "it is not told that the message is back in line");
                return true;
            }
        };
        if now.state != State::Waiting {
            // Somebody has it again, or it has ended: whoever did that tells it.
            self.take_off_old(turn, channel).await;
            return true;
        }
        inbox.hub.told().rests(turn);
        inbox.hub.forget(now.message.lane.channel.as_str(), turn);
        let is_told = self.inner.marks.end(self.context(), &now, words).await;
        let place = match self.queue().place(turn).await {
            Ok(place) => place,
            Err(error) => {
                tracing::warn!(%error, %turn, channel = %now.message.lane.channel, "the place in line is unknown");
                None
            }
        };
        let waiting = Milestone::Waiting {
            position: place.map_or(0, |place| place.ahead),
            held: now.held,
            text: shown(now.message.body["text"].as_str().unwrap_or_default(), SHOWN_CHARS),
            back: Some(why),
        };
        inbox.hub.tell(&subject_of(&now), &Happening::About(waiting));
        inbox.workers.wake(&now.message.lane);
        is_told
    }

    /// A claim that is over shows nothing any more; the one that holds now does.
    async fn take_off_old(&self, turn: Uuid, channel: &ChannelName) {
        match self.queue().held(turn).await {
            Ok(held) => {
                let lease = held.map(|held| held.claim.lease);
                self.inner.marks.take_off_unless(turn, lease).await;
            }
            Err(error) => {
                tracing::warn!(%error, %turn, %channel, "it may be shown as worked on by who has it no longer");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_claim_is_called_by_its_turn_and_its_number() {
        let given = Lease {
            turn: Uuid::from_u128(7),
            epoch: 3,
        };
        assert_eq!(lease(&name(given)), Some(given));
        for other in ["", ".", "3", "x.3", "00000000-0000-0000-0000-000000000007.", "7.-1"] {
            assert_eq!(lease(other), None, "{other}");
        }
    }
}
