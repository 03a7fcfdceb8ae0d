//! What is kept of the steps of a turn.

use reveille_backends::Event;

use super::Run;
use super::observer::TurnObserver;
use crate::ending::Ending;
use crate::live::{Story, Subject};
use crate::steps::{Call, Place, Side};

fn place(subject: &Subject) -> Place {
    Place {
        thread: subject.thread,
        turn: subject.turn,
    }
}

impl Run<'_> {
    /// Keeps what the turn has told, unless its record says all of that.
    pub(super) fn keep_steps(&self, ending: &mut Ending) {
        let Some(story) = self.context.hub.story(&self.subject.channel, self.subject.turn) else {
            ending.record.plain = self.claim.interruptions == 0;
            return;
        };
        ending.record.plain = story.is_plain(ending.record.reply.as_deref());
        if !ending.record.plain {
            self.context.steps.keep(place(&self.subject), &story);
        }
    }

    /// Keeps what an attempt has told that goes back in line.
    pub(super) fn keep_attempt(&self) {
        let story = self.context.hub.story(&self.subject.channel, self.subject.turn);
        if let Some(story) = story.filter(Story::has_begun) {
            self.context.steps.keep(place(&self.subject), &story);
        }
    }
}

impl TurnObserver {
    /// Keeps what an event shows the beginning of.
    pub(super) fn keep_whole(&self, event: &mut Event) {
        let (id, tool, side, whole) = match event {
            Event::Tool { id, tool, whole, .. } => (&*id, Some(&*tool), Side::Input, whole),
            Event::ToolResult { id, tool, whole, .. } => (&*id, tool.as_ref(), Side::Output, whole),
            _ => return,
        };
        if let Some(whole) = whole.take() {
            let call = Call {
                id: id.clone(),
                tool: tool.cloned(),
                side,
                whole,
            };
            self.steps.keep_call(place(&self.subject), call);
        }
    }
}
