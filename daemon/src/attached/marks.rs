//! Thread notes of what sessions have taken: they say that it is worked on, and when it no longer is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reveille_queue::{Lease, Turn};
use reveille_vault::agent::ThreadStatus;
use reveille_vault::{Key, Note, NoteId, Vault, VaultError};
use uuid::Uuid;

use crate::effects::Effect;
use crate::ending::thread_path;
use crate::inbox::WAITING;
use crate::outbox::Shown;
use crate::stamp;
use crate::turn::Run;
use crate::worker::Context;

struct Mark {
    lease: Lease,
    conversation: Uuid,
    effect: Effect,
    /// Lost while another turn of the conversation is shown.
    shown: Option<Shown>,
}

/// By the turn.
#[derive(Default)]
pub(super) struct Marks {
    shown: Mutex<HashMap<Uuid, Mark>>,
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Mark>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread of a turn says that it is worked on.
    pub(super) fn show(&self, context: &Context, run: &Run<'_>) {
        let (conversation, effect) = (run.claim().conversation.id, run.thread_working());
        let shown = context.outbox.show_working(conversation, effect.clone());
        let mark = Mark {
            lease: run.claim().lease,
            conversation,
            effect,
            shown: Some(shown),
        };
        self.lock().insert(run.claim().lease.turn, mark);
    }

    /// Whether it is shown that this claim is worked on.
    pub(super) fn shows(&self, lease: Lease) -> bool {
        self.lock().get(&lease.turn).is_some_and(|mark| mark.lease == lease)
    }

    /// A turn is over: nothing says any more that it is worked on when this returns.
    pub(super) async fn take_off(&self, turn: Uuid) {
        let shown = self.lock().remove(&turn).and_then(|mark| mark.shown);
        if let Some(shown) = shown {
            shown.end().await;
        }
    }

    /// The same, unless what is shown is this claim.
    pub(super) async fn take_off_unless(&self, turn: Uuid, lease: Option<Lease>) {
        let shown = self.lock().get(&turn).map(|mark| mark.lease);
        if shown.is_some() && shown != lease {
            self.take_off(turn).await;
        }
    }

    /// Another turn of the conversation, if one is worked on, says so again. Its notes say so once more behind the end of
    /// the one that was.
    pub(super) fn show_others(&self, context: &Context, conversation: Uuid) -> bool {
        let mut marks = self.lock();
        let other = marks.values_mut().find(|mark| mark.conversation == conversation);
        let Some(mark) = other else {
            return false;
        };
        mark.shown = Some(context.outbox.show_working(conversation, mark.effect.clone()));
        true
    }

    /// A turn is back in line: its thread says so, unless another one is worked on there. False: it cannot be found while
    /// the agent is not known.
    pub(super) async fn end(&self, context: &Context, turn: &Turn, words: &str) -> bool {
        self.take_off(turn.id).await;
        if self.show_others(context, turn.conversation) {
            return true;
        }
        let Some(agent) = context.registry.get(turn.message.lane.channel.as_str()) else {
            return false;
        };
        if let Err(error) = waits(&*agent.vault, turn, words).await {
            tracing::warn!(%error, turn = %turn.id, channel = %turn.message.lane.channel, "the thread may still say that the message is worked on");
        }
        true
    }
}

async fn waits(vault: &dyn Vault, turn: &Turn, words: &str) -> Result<(), VaultError> {
    let working = |note: &Note| {
        note.text("status").as_deref() == Some(ThreadStatus::Working.as_str())
            && note.text("turn") == Some(turn.id.to_string())
    };
    let lane = &turn.message.lane;
    let path = thread_path(lane.channel.as_str(), &lane.thread, turn.conversation);
    let note = match NoteId::new(turn.conversation.to_string()) {
        Ok(id) => vault.get(&Key::Id(id)).await?,
        Err(_) => None,
    };
    let note = match note {
        None => vault.get(&Key::Path(path)).await?,
        found => found,
    };
    match note.filter(working) {
        Some(note) => stamp::show(vault, &note, WAITING, words).await,
        None => Ok(()),
    }
}
