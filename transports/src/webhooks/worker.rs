//! Sends to one receiver.
//!
//! A failure is mostly the receiver's: then one call at a time tries it, each time another lane, and the pauses grow. When it
//! is back all lanes go on at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Client};
use super::event::{Kind, Report};
use super::subscription::{Profile, Subscription};
use super::{OUTBOX_PAUSE, Shared, request};
use crate::outbox::{Item, Numbered, OutboxError, Room};

/// Where it is kept that a receiver refused.
pub(super) const REFUSED: &str = "refused";
/// Tries of what the receiver calls wrong, when it is a batch of live events.
const WRONG_TRIES: u32 = 3;
/// Longest time without a look at the clock on the wall, which may have been set.
const LOOK: Duration = Duration::from_secs(30);
/// A clock that is further away than this is set right once after a 401, in seconds.
const SKEW_SECONDS: i64 = 240;

#[derive(Serialize, Deserialize)]
struct Refused {
    fingerprint: String,
    why: String,
}

/// What came of a call.
enum Ending {
    Delivered,
    /// The receiver fails, whatever it is sent.
    Away {
        why: String,
        wish: Option<Duration>,
    },
    /// It does not take this.
    Wrong(String),
    TooLong(String),
    Refused(String),
    /// There is nothing to send any more.
    Gone,
    /// The outbox fails.
    Unwritable(OutboxError),
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    bridge: String,
    failures: u32,
    not_before: Option<Timestamp>,
    offset: Arc<AtomicI64>,
}

/// What the calls need.
#[derive(Clone)]
struct Caller {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    client: Client,
    /// Milliseconds that the receiver's clock is before ours.
    offset: Arc<AtomicI64>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, subscription: Subscription) -> Self {
        Self {
            bridge: subscription.bridge(),
            subscription: Arc::new(subscription),
            shared,
            failures: 0,
            not_before: None,
            offset: Arc::default(),
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
        let Some(client) = self.client(&stop).await else { return };
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
        let caller = Caller {
            shared: Arc::clone(&self.shared),
            subscription: Arc::clone(&self.subscription),
            client,
            offset: Arc::clone(&self.offset),
        };
        self.send(&caller, &stop).await;
    }

    /// The way to the receiver. When there is none, because this system knows no certificate authorities, somebody may mend that:
    /// it is looked for again. `None`: the daemon stops.
    async fn client(&mut self, stop: &CancellationToken) -> Option<Client> {
        let shared = Arc::clone(&self.shared);
        let (options, subscription) = (&shared.options, Arc::clone(&self.subscription));
        let name = &subscription.name;
        while !stop.is_cancelled() {
            let (resolver, times) = (Arc::clone(&options.resolver), &options.times);
            let ways = (times.connect, times.whole);
            let why = match Client::new(&subscription.url, &subscription.allow, resolver, &options.tls, ways) {
                Ok(client) => {
                    self.failures = 0;
                    return Some(client);
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
        if tokio::time::timeout(caller.shared.options.times.drain, rest)
            .await
            .is_err()
        {
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
        let (entries, bytes) = options.live_room;
        let oldest = SignedDuration::try_from(options.times.live_patience).unwrap_or(SignedDuration::MAX);
        let oldest = now.checked_sub(oldest).unwrap_or(Timestamp::MIN);
        let dropped = options
            .outbox
            .shed(&self.bridge, Room { entries, bytes, oldest })
            .await?;
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

impl Caller {
    async fn call(self, item: Item) -> (Item, Ending) {
        let ending = self.try_call(&item).await;
        (item, ending)
    }

    async fn try_call(&self, item: &Item) -> Ending {
        let report: Report = match serde_json::from_str(&item.payload) {
            Ok(report) => report,
            Err(error) => return Ending::Wrong(format!("it is not what was stored ({error})")),
        };
        let beats = report.kind == Kind::TurnStarted && self.subscription.profile == Profile::Supervisor;
        let numbered = if beats || report.turn.is_none() || report.kind == Kind::MessageReceived {
            None
        } else {
            match self
                .shared
                .options
                .outbox
                .number(&self.subscription.bridge(), &item.id)
                .await
            {
                Ok(Some(numbered)) => Some(numbered),
                Ok(None) => return Ending::Gone,
                Err(error) => return Ending::Unwritable(error),
            }
        };
        let id = match report.part {
            0 => item.id.clone(),
            part => format!("{}-{}", item.id, part + 1),
        };
        self.exchange(&report, numbered, &id, None).await
    }

    async fn exchange(
        &self,
        report: &Report,
        numbered: Option<Numbered>,
        id: &str,
        within: Option<Duration>,
    ) -> Ending {
        let body = match request::body(&self.subscription, report, numbered, &self.shared.options.instance) {
            Ok(body) => body,
            Err(why) => return Ending::Wrong(why),
        };
        let first = self.post(id, body.clone(), within).await;
        // The usual cause of a 401 is a clock that is wrong: theirs or ours, the calls must fit theirs.
        if let Ok(answer) = &first
            && answer.status == 401
            && self.offset.load(Ordering::Relaxed) == 0
            && let Some(skew) = self.skew(&answer.headers)
        {
            self.offset.store(skew, Ordering::Relaxed);
            return self.judge(self.post(id, body, within).await);
        }
        self.judge(first)
    }

    async fn post(&self, id: &str, body: Bytes, within: Option<Duration>) -> Result<Answer, String> {
        let options = &self.shared.options;
        let offset = SignedDuration::from_millis(self.offset.load(Ordering::Relaxed));
        let now = (options.clock)();
        let now = now.checked_add(offset).unwrap_or(now);
        let nonce = (options.ids)().to_string();
        let headers = request::headers(&self.subscription, id, (now, &nonce), &body)?;
        self.client.post(headers, body, within).await
    }

    fn skew(&self, headers: &HeaderMap) -> Option<i64> {
        let theirs = headers.get(header::DATE)?.to_str().ok()?; // silent-ok: it says nothing
        let theirs = jiff::fmt::rfc2822::parse(theirs).ok()?.timestamp(); // silent-ok: the same
        let skew = theirs.as_millisecond() - (self.shared.options.clock)().as_millisecond();
        (skew.abs() > SKEW_SECONDS * 1000).then_some(skew)
    }

    fn judge(&self, answer: Result<Answer, String>) -> Ending {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return Ending::Away { why, wish: None },
        };
        let mut says = answer.says;
        // A receiver may say in an error what it was shown.
        for secret in &self.subscription.secrets {
            says = says.replace(secret.expose(), "…");
        }
        let why = match says.trim() {
            "" => format!("it answered {}", answer.status),
            says => format!("it answered {}: {says}", answer.status),
        };
        match answer.status {
            200..=299 => Ending::Delivered,
            409 if self.subscription.profile == Profile::Supervisor => Ending::Delivered,
            300..=399 => Ending::Away {
                why: format!(
                    "it answered {}, and redirects are not followed; enter the address that it leads to",
                    answer.status
                ),
                wish: None,
            },
            401 | 410 => Ending::Refused(why),
            413 => Ending::TooLong(why),
            400 | 422 => Ending::Wrong(why),
            _ => Ending::Away {
                why,
                wish: wish(&answer.headers, (self.shared.options.clock)()),
            },
        }
    }

    /// Tells that the turns go on. Nobody waits for it.
    async fn beat(self) -> Ending {
        let options = &self.shared.options;
        for (agent, turn, session) in self.shared.batches.running() {
            if !self.subscription.wants(Kind::TurnEvent, Some(&agent)) {
                continue;
            }
            let report = Report {
                kind: Kind::TurnStarted,
                at: (options.clock)(),
                agent: Some(agent),
                turn: Some(turn),
                body: serde_json::value::to_raw_value(&serde_json::json!({"heartbeat": true})).ok(), // silent-ok: always JSON
                events: Vec::new(),
                snapshot: None,
                session,
                part: 0,
                most: None,
            };
            let id = format!("beat_{}", (options.ids)());
            if let Ending::Refused(why) = self.exchange(&report, None, &id, Some(options.times.beat)).await {
                return Ending::Refused(why);
            }
        }
        Ending::Delivered
    }
}

/// What `Retry-After` asks for: seconds, or a date.
fn wish(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?; // silent-ok: asks for nothing
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp(); // silent-ok: asks for nothing
            Duration::try_from(at.duration_since(now)).ok() // silent-ok: it is over
        }
    }
}
