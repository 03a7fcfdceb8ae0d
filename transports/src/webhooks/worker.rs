//! Sends to one receiver.
//!
//! A failure is mostly the receiver's: then one call at a time tries it, each time another lane, and the pauses grow. When it
//! is back all lanes go on at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::call::{Caller, Ending};
use super::event::Report;
use super::subscription::Subscription;
use super::{OUTBOX_PAUSE, Shared};
use crate::outbox::{Item, OutboxError};

/// Where it is kept that a receiver refused.
pub(super) const REFUSED: &str = "refused";
/// Tries of what the receiver calls wrong, when it is a batch of live events.
const WRONG_TRIES: u32 = 3;
/// Longest time without a look at the clock on the wall, which may have been set.
const LOOK: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Refused {
    fingerprint: String,
    why: String,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    bridge: String,
    failures: u32,
    not_before: Option<Timestamp>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, subscription: Subscription) -> Self {
        Self {
            bridge: subscription.bridge(),
            subscription: Arc::new(subscription),
            shared,
            failures: 0,
            not_before: None,
        }
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.subscription.url.as_str()]
            .into_iter()
            .chain(self.subscription.secrets.iter().map(crate::sign::Secret::expose))
        {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it refused, and was neither changed nor resumed since.
    async fn is_refused(&self) -> Result<bool, OutboxError> {
        let kept = self.shared.options.outbox.kept(&self.bridge, REFUSED).await?;
        let refused: Option<Refused> = kept.and_then(|text| serde_json::from_str(&text).ok()); // silent-ok: of another version
        let refused = refused.filter(|refused| refused.fingerprint == self.fingerprint());
        let why = refused.map(|refused| refused.why);
        let is = why.is_some();
        self.shared.set(&self.subscription.name, |status| status.refused = why);
        Ok(is)
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let Some(caller) = self.caller(&stop).await else { return };
        while !stop.is_cancelled() {
            match self.is_refused().await {
                Ok(false) => break,
                Ok(true) => return,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read; it is tried again");
                    pause(OUTBOX_PAUSE, &stop).await;
                }
            }
        }
        self.send(&caller, &stop).await;
    }

    /// The way to the receiver. When there is none, because this system knows no certificate authorities, somebody may mend that:
    /// it is looked for again. `None`: the daemon stops.
    async fn caller(&mut self, stop: &CancellationToken) -> Option<Caller> {
        let shared = Arc::clone(&self.shared);
        let subscription = Arc::clone(&self.subscription);
        let name = &subscription.name;
        while !stop.is_cancelled() {
            let why = match Caller::new(&shared, &subscription) {
                Ok(caller) => {
                    self.failures = 0;
                    return Some(caller);
                }
                Err(why) => why,
            };
            // The same again is no news.
            if self.failures == 0 {
                tracing::warn!(webhook = name, why, "nothing can be sent; it is tried again");
            }
            self.failures = self.failures.saturating_add(1);
            let wait = self.pause(self.failures);
            let at = shared.later(wait);
            shared.set(name, |status| {
                (status.failures, status.next_at, status.error) = (self.failures, Some(at), Some(why));
            });
            pause(wait, stop).await;
        }
        None
    }

    async fn send(&mut self, caller: &Caller, stop: &CancellationToken) {
        let mut wake = self.shared.options.outbox.changes();
        let mut calls: JoinSet<(Item, Ending)> = JoinSet::new();
        let mut busy: HashMap<Id, String> = HashMap::new();
        let mut beats: JoinSet<Ending> = JoinSet::new();
        let every = self.subscription.beat();
        let mut beat = tokio::time::interval(every.unwrap_or(LOOK));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            wake.borrow_and_update();
            let wait = match self.begin(caller, &mut calls, &mut busy).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read; it is tried again");
                    OUTBOX_PAUSE
                }
            };
            let ending = tokio::select! {
                () = stop.cancelled() => break,
                _ = wake.changed() => continue,
                () = tokio::time::sleep(wait) => continue,
                _ = beat.tick(), if every.is_some() && beats.is_empty() => {
                    beats.spawn(caller.clone().beat());
                    continue;
                }
                Some(beaten) = beats.join_next() => match beaten {
                    Ok(Ending::Refused(why)) => Err(why),
                    _ => continue,
                },
                Some(ended) = calls.join_next_with_id() => Ok(ended),
            };
            let refused = match ending {
                Err(why) => Some(why),
                Ok(Ok((id, (item, ending)))) => {
                    let refused = self.end(&item, ending, stop).await;
                    busy.remove(&id);
                    refused
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "a call of a webhook failed; it is made again");
                    busy.remove(&error.id());
                    None
                }
            };
            if let Some(why) = refused {
                beats.abort_all();
                calls.abort_all();
                return self.refuse(why, stop).await;
            }
        }
        let drain = self.shared.options.times.drain;
        let rest = async {
            while let Some(ended) = calls.join_next().await {
                if let Ok((item, ending)) = ended
                    && let Some(why) = self.end(&item, ending, stop).await
                {
                    self.refuse(why, stop).await;
                }
            }
        };
        // What is cut off is sent again under the same id.
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::info!("a webhook's receiver has not answered; it is told again at the next start");
        }
    }

    /// Begins what is due. Answers how long there is nothing else to do.
    async fn begin(
        &mut self,
        caller: &Caller,
        calls: &mut JoinSet<(Item, Ending)>,
        busy: &mut HashMap<Id, String>,
    ) -> Result<Duration, OutboxError> {
        let options = &self.shared.options;
        let now = (options.clock)();
        if let Some(wait) = self
            .not_before
            .and_then(|at| Duration::try_from(at.duration_since(now)).ok())
            && !wait.is_zero()
        {
            return Ok(wait.min(LOOK));
        }
        let at_once = if self.failures == 0 { options.at_once.max(1) } else { 1 };
        let Some(room @ 1..) = at_once.checked_sub(calls.len()) else {
            return Ok(LOOK);
        };
        let room_for_live = self.shared.room(options.live_room, options.times.live_patience);
        let dropped = options.outbox.shed(&self.bridge, room_for_live).await?;
        if dropped > 0 {
            self.shared
                .set(&self.subscription.name, |status| status.dropped += dropped);
        }
        let lanes: Vec<String> = busy.values().cloned().collect();
        let due = options.outbox.next(&self.bridge, &lanes, room).await?;
        for item in due.ready {
            let lane = item.lane.clone();
            let call = calls.spawn(caller.clone().call(item));
            busy.insert(call.id(), lane);
        }
        let wait = due
            .next_at
            .and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        // When all places are taken, the end of a call wakes us.
        Ok(if calls.len() >= at_once {
            LOOK
        } else {
            wait.unwrap_or(LOOK).min(LOOK)
        })
    }

    /// Writes what came of a call. Answers why the receiver wants nothing any more, if so.
    async fn end(&mut self, item: &Item, ending: Ending, stop: &CancellationToken) -> Option<String> {
        let name = self.subscription.name.clone();
        let now = (self.shared.options.clock)();
        match &ending {
            Ending::Gone => return None,
            Ending::Refused(why) => return Some(why.clone()),
            Ending::Unwritable(error) => {
                tracing::warn!(%error, "the outbox cannot be written; it is tried again");
                pause(OUTBOX_PAUSE, stop).await;
                return None;
            }
            Ending::Delivered => {
                let was_away = std::mem::take(&mut self.failures) >= 3;
                self.not_before = None;
                self.shared.set(&name, |status| {
                    (status.failures, status.next_at, status.error) = (0, None, None);
                    (status.success_at, status.sent) = (Some(now), status.sent + 1);
                });
                if was_away && let Err(error) = self.shared.options.outbox.hasten(&self.bridge).await {
                    tracing::warn!(%error, "what waits for a receiver that is back goes out a little later");
                }
            }
            Ending::Away { why, wish } => {
                // Those that were under way together fail as one.
                if self.not_before.is_none_or(|at| at <= now) {
                    self.failures = self.failures.saturating_add(1);
                }
                let times = &self.shared.options.times;
                let wish = wish.unwrap_or_default().min(times.longest_wish);
                let at = self.shared.later(self.pause(self.failures).max(wish));
                self.not_before = Some(at);
                self.shared.set(&name, |status| {
                    (status.failures, status.next_at, status.error) = (self.failures, Some(at), Some(why.clone()));
                    status.failed += 1;
                });
            }
            Ending::Wrong(why) | Ending::TooLong(why) => self.shared.set(&name, |status| {
                status.error = Some(why.clone());
                status.failed += 1;
            }),
        }
        // As long as this goes on the receiver is not told again.
        while let Err(error) = self.settle(item, &ending).await {
            tracing::warn!(%error, "what came of a webhook cannot be written; it is tried again");
            if stop.is_cancelled() {
                break;
            }
            pause(OUTBOX_PAUSE, stop).await;
        }
        None
    }

    async fn settle(&self, item: &Item, ending: &Ending) -> Result<(), OutboxError> {
        let (outbox, times) = (&self.shared.options.outbox, &self.shared.options.times);
        let now = (self.shared.options.clock)();
        let waited = Duration::try_from(now.duration_since(item.since)).unwrap_or_default();
        let (why, wrong) = match ending {
            Ending::Delivered | Ending::TooLong(_) => match self.next_part(item, ending) {
                Some(payload) => {
                    return outbox
                        .amend(&self.bridge, &item.id, payload, matches!(ending, Ending::Delivered))
                        .await
                        .map(drop);
                }
                None if matches!(ending, Ending::Delivered) => {
                    return outbox.delivered(&self.bridge, &item.id).await.map(drop);
                }
                None => ("the receiver calls it too long (413)", true),
            },
            Ending::Wrong(why) => (why.as_str(), true),
            Ending::Away { why, .. } => (why.as_str(), false),
            Ending::Gone | Ending::Refused(_) | Ending::Unwritable(_) => return Ok(()),
        };
        let attempts = item.attempts.saturating_add(1);
        if item.fleeting && ((wrong && attempts >= WRONG_TRIES) || waited >= times.live_patience) {
            tracing::info!(
                webhook = self.subscription.name,
                why,
                "a batch of events was given up; the next one's snapshot has it"
            );
            self.shared.set(&self.subscription.name, |status| status.dropped += 1);
            return outbox.discard(&self.bridge, &item.id).await.map(drop);
        }
        let over = !item.fleeting && waited >= times.patience;
        if over {
            tracing::warn!(
                webhook = self.subscription.name,
                id = item.id,
                why,
                "an event is undelivered"
            );
        }
        let retry_at = (!over).then(|| self.shared.later(self.pause(attempts)));
        outbox.failed(&self.bridge, &item.id, why, retry_at).await.map(drop)
    }

    /// What is left of a report that goes in parts; `None` when there are none.
    fn next_part(&self, item: &Item, ending: &Ending) -> Option<String> {
        let mut report: Report = serde_json::from_str(&item.payload).ok()?; // silent-ok: `call` told it already
        let step = report.step();
        if matches!(ending, Ending::Delivered) {
            // One that is told by its length alone is over with it.
            report.events.drain(..step.max(1).min(report.events.len()));
            if report.events.is_empty() {
                return None;
            }
            report.part += 1;
            report.most = report.most.map(|most| most.max(1));
        } else {
            if report.events.is_empty() || step == 0 {
                return None;
            }
            report.most = Some(step / 2);
        }
        serde_json::to_string(&report).ok() // silent-ok: it was read from JSON
    }

    /// Half of it for certain, half by chance, so that receivers that failed together are not tried together.
    fn pause(&self, failures: u32) -> Duration {
        let times = &self.shared.options.times;
        let doubled = times
            .first_pause
            .saturating_mul(1 << failures.saturating_sub(1).min(20));
        let most = doubled.min(times.longest_pause);
        most.div_f64(2.0)
            + most
                .div_f64(2.0)
                .mul_f64((self.shared.options.random)().clamp(0.0, 1.0))
    }

    async fn refuse(&self, why: String, stop: &CancellationToken) {
        tracing::warn!(
            webhook = self.subscription.name,
            why,
            "nothing more is sent until the webhook is changed or resumed"
        );
        let refused = Refused {
            fingerprint: self.fingerprint(),
            why: why.clone(),
        };
        let text = serde_json::to_string(&refused).ok(); // silent-ok: our own types are always JSON
        while let Err(error) = self
            .shared
            .options
            .outbox
            .keep(&self.bridge, REFUSED, text.clone())
            .await
        {
            tracing::warn!(%error, "it cannot be kept that a receiver refused; it is tried again");
            if stop.is_cancelled() {
                break;
            }
            pause(OUTBOX_PAUSE, stop).await;
        }
        // Told once it is kept: who resumes it takes that away again.
        self.shared
            .set(&self.subscription.name, |status| status.refused = Some(why));
    }
}

async fn pause(span: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(span) => {}
    }
}
