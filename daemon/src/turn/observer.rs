//! What a turn does with what its program says.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use reveille_backends::{Event, Observer};
use reveille_queue::{Lease, Queue};
use uuid::Uuid;

use super::Run;
use super::clock::Clock;
use super::plan::Plan;
use crate::begun::Marker;
use crate::crash;
use crate::live::{Happening, Hub, Subject};
use crate::steps::Steps;

/// Tells the queue, the live events and the record of it.
pub(super) struct TurnObserver {
    queue: Arc<dyn Queue>,
    hub: Hub,
    pub(super) subject: Subject,
    lease: Lease,
    marker: Marker,
    interruptions: u32,
    pub(super) clock: Clock,
    notices: Mutex<Vec<String>>,
    pub(super) steps: Steps,
}

impl Run<'_> {
    /// Of a turn of which that was told already.
    pub(super) fn observer(&self, plan: &Plan, notices: Vec<String>) -> TurnObserver {
        TurnObserver {
            queue: Arc::clone(&self.context.queue),
            hub: self.context.hub.clone(),
            subject: self.subject.clone(),
            lease: self.claim.lease,
            marker: self.marker(plan),
            interruptions: plan.interruptions,
            clock: Clock::new(self.context.metrics.clone(), self.started_at, self.attempt.clone()),
            notices: Mutex::new(notices),
            steps: self.context.steps.clone(),
        }
    }
}

impl TurnObserver {
    /// What people were told.
    pub(super) fn into_notices(self) -> Vec<String> {
        self.notices.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Observer for TurnObserver {
    async fn before_prompt(&self, session: Uuid) -> Result<(), String> {
        crash::point("turn.spawned");
        self.clock.prompted();
        self.marker.mark(session, self.interruptions)?;
        self.queue
            .begin(self.lease, session)
            .await
            .map_err(|error| error.to_string())?;
        crash::point("turn.begun");
        Ok(())
    }

    fn event(&self, mut event: Event) {
        self.keep_whole(&mut event);
        match &event {
            Event::Notice { text } => {
                self.notices
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text.clone());
            }
            Event::Init { .. } => crash::point("turn.init"),
            Event::Text { .. } => {
                crash::point("turn.text");
                self.clock.spoke();
            }
            _ => {}
        }
        self.hub.tell(&self.subject, &Happening::Turn(event));
    }
}
