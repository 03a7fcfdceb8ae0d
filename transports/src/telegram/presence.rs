//! Shows in its chat what becomes of a message: that it waits, and that somebody writes while its turn runs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shared::{Shared, Target};
use crate::{Host, Standing};

/// Of so many turns the state is watched; of older ones it is not.
const MOST: usize = 256;

/// A turn that answers a message.
pub(super) struct Watched {
    pub(super) turn: String,
    pub(super) chat: i64,
    pub(super) thread: Option<i64>,
    pub(super) message: i64,
    /// Its place in the queue is still to be told.
    pub(super) tell: bool,
}

/// Watches what comes through `news`, until `drain` is cancelled.
pub(super) async fn watch(
    shared: &Shared,
    host: &Arc<dyn Host>,
    mut news: mpsc::UnboundedReceiver<Watched>,
    drain: &CancellationToken,
) {
    let mut watched: VecDeque<Watched> = VecDeque::new();
    let mut ticks = tokio::time::interval(shared.options.pace.typing);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            new = news.recv() => match new {
                Some(mut new) => {
                    let look = look(shared, host, &mut new);
                    let goes_on = tokio::select! {
                        () = drain.cancelled() => return,
                        goes_on = look => goes_on,
                    };
                    if goes_on.is_some() {
                        watched.push_back(new);
                    }
                    if watched.len() > MOST {
                        watched.pop_front();
                    }
                }
                None => return,
            },
            _ = ticks.tick(), if !watched.is_empty() => {
                let round = round(shared, host, &mut watched);
                tokio::select! {
                    () = drain.cancelled() => return,
                    () = round => {}
                }
            }
        }
    }
}

async fn round(shared: &Shared, host: &Arc<dyn Host>, watched: &mut VecDeque<Watched>) {
    let mut typing = BTreeSet::new();
    for _ in 0..watched.len() {
        let Some(mut one) = watched.pop_front() else { break };
        match look(shared, host, &mut one).await {
            Some(Standing::Running) => {
                typing.insert((one.chat, one.thread));
                watched.push_back(one);
            }
            Some(_) => watched.push_back(one),
            None => {}
        }
    }
    for (chat, thread) in typing {
        let mut arguments = json!({"chat_id": chat, "action": "typing"});
        if let Some(thread) = thread {
            arguments["message_thread_id"] = json!(thread);
        }
        shared.try_call("sendChatAction", &arguments).await;
    }
}

/// Where the turn stands; `None` when there is nothing more to see.
async fn look(shared: &Shared, host: &Arc<dyn Host>, one: &mut Watched) -> Option<Standing> {
    let standing = host.standing(&shared.options.agent, &one.turn).await?;
    match standing {
        Standing::Ended => return None,
        Standing::Waiting { ahead } if ahead > 0 && one.tell => {
            let text = match ahead {
                1 => "Your message waits: 1 other is before it.".to_owned(),
                more => format!("Your message waits: {more} others are before it."),
            };
            let to = Target::of(one.chat, one.thread, Some(one.message));
            shared.tell(&to, &text).await;
        }
        Standing::Waiting { .. } | Standing::Running => {}
    }
    one.tell = false;
    Some(standing)
}
