//! What a turn does with what its program says.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use reveille_backends::{Event, Observer};
use reveille_queue::{Lease, Queue};
use reveille_sandbox::Exceeded;
use uuid::Uuid;

use super::Run;
use super::clock::Clock;
use super::plan::Plan;
use crate::begun::Marker;
use crate::crash;
use crate::live::{Happening, Hub, Subject};
use crate::metrics::Metrics;
use crate::steps::Steps;

/// Tells the queue, the live events and the record of it.
pub(super) struct TurnObserver {
    queue: Arc<dyn Queue>,
    hub: Hub,
    metrics: Metrics,
    pub(super) subject: Subject,
    lease: Lease,
    marker: Marker,
    interruptions: u32,
    pub(super) clock: Arc<Clock>,
    notices: Mutex<Vec<String>>,
    pub(super) steps: Steps,
}

impl Run<'_> {
    /// Of a turn of which that was told already.
    pub(super) fn observer(&self, plan: &Plan, notices: Vec<String>, clock: Arc<Clock>) -> TurnObserver {
        TurnObserver {
            queue: Arc::clone(&self.context.queue),
            hub: self.context.hub.clone(),
            metrics: self.context.metrics.clone(),
            subject: self.subject.clone(),
            lease: self.claim.lease,
            marker: self.marker(plan),
            interruptions: plan.interruptions,
            clock,
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

/// Whether it is text that is shown as a part of the answer: what a sub-agent says is not.
fn is_of_the_answer(event: &Event) -> bool {
    match event {
        Event::TextDelta { text } | Event::Text { text, parent: None } => !text.is_empty(),
        _ => false,
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
            Event::Text { .. } => crash::point("turn.text"),
            _ => {}
        }
        if is_of_the_answer(&event) {
            self.clock.spoke();
        }
        self.hub.tell(&self.subject, &Happening::Turn(event));
    }

    fn answered(&self) {
        self.clock.answered();
    }

    fn limited(&self, exceeded: Exceeded) {
        self.metrics.limited(exceeded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_begins_with_the_first_piece_and_not_with_the_text_of_a_sub_agent() {
        let text = |text: &str, parent: Option<&str>| Event::Text {
            text: text.to_owned(),
            parent: parent.map(str::to_owned),
        };
        let piece = |text: &str| Event::TextDelta { text: text.to_owned() };
        let thought = Event::Thinking {
            text: "well".to_owned(),
            parent: None,
        };
        assert!(is_of_the_answer(&piece("a")) && is_of_the_answer(&text("a", None)));
        for event in [piece(""), text("", None), text("a", Some("toolu_1")), thought] {
            assert!(!is_of_the_answer(&event), "{event:?}");
        }
    }
}
