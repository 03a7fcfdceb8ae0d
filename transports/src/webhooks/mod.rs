//! Signed webhooks out: who has subscribed is told what happens, in order for each turn, at least once.
//!
//! What is told stands in the [`Outbox`] before [`Webhooks::publish`] returns. What a running turn tells goes there in batches;
//! of those the oldest may be given up when a receiver is away for long, since the snapshot of a later one says the same. All
//! else waits until the receiver has it, or becomes *undelivered* and is kept.

mod batch;
mod call;
mod client;
mod event;
mod fold;
mod manage;
#[cfg(test)]
mod properties;
mod request;
mod service;
mod subscription;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use self::batch::{Batches, Ends, Sealed};
use self::event::Report;
use self::fold::Fold;
use crate::net_guard::Resolve;
use crate::outbox::{Entry, Keep, Outbox, OutboxError, Room};

pub use self::batch::{BYTES, EVENTS, WINDOW};
pub use self::client::Tls;
pub use self::event::{AgentChange, AgentProblem, Body, Event, HealthChange, Kind, Outcome, Turn};
pub use self::fold::{Call, Snapshot};
pub use self::manage::{Removed, Tested};
pub use self::service::Service;
pub use self::subscription::{Profile, Subscription, SubscriptionError, Subscriptions, bridge};

/// Whose values in the outbox the folds of running turns are.
const FOLDS: &str = "webhooks";
/// Pause after the outbox could not be read or written.
const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// How long things take.
#[derive(Debug, Clone)]
pub struct Times {
    /// Longest way to a receiver.
    pub connect: Duration,
    /// Longest call.
    pub whole: Duration,
    /// Longest heartbeat.
    pub beat: Duration,
    /// Pause after the first failure; doubled for each further one.
    pub first_pause: Duration,
    /// Longest pause of our own.
    pub longest_pause: Duration,
    /// Longest pause that a receiver may ask for.
    pub longest_wish: Duration,
    /// How long an event is tried before it is undelivered.
    pub patience: Duration,
    /// How long a batch of live events is tried before it is given up for a later one.
    pub live_patience: Duration,
    /// How long events wait for a subscription that is paused or refused.
    pub idle: Duration,
    /// How often it is looked whether more waits for such a one than there is room for.
    pub idle_look: Duration,
    /// How long calls that are under way may take when the daemon stops.
    pub drain: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(30),
            beat: Duration::from_secs(5),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(300),
            longest_wish: Duration::from_secs(3600),
            patience: Duration::from_secs(72 * 3600),
            live_patience: Duration::from_secs(15 * 60),
            idle: Duration::from_secs(30 * 24 * 3600),
            idle_look: Duration::from_secs(60),
            drain: Duration::from_secs(2),
        }
    }
}

/// How to make [`Webhooks`].
#[derive(Clone)]
pub struct Options {
    /// Where everything waits.
    pub outbox: Outbox,
    /// Who is told.
    pub subscriptions: Subscriptions,
    /// Names this daemon; `sandboxId` of the supervisor profile.
    pub instance: String,
    /// Looks names up.
    pub resolver: Arc<dyn Resolve>,
    /// Settings of TLS.
    pub tls: Tls,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// New identities.
    pub ids: Arc<dyn Fn() -> Uuid + Send + Sync>,
    /// Evenly from 0 to 1.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// How long things take.
    pub times: Times,
    /// Calls to one receiver at a time.
    pub at_once: usize,
    /// Most batches of live events that wait for one receiver, and most bytes of them.
    pub live_room: (u64, u64),
    /// Most events that wait for a subscription that is paused or refused, and most bytes of them.
    pub idle_room: (u64, u64),
}

impl Options {
    /// With the system's clock and resolver.
    #[must_use]
    pub fn new(outbox: Outbox, subscriptions: Subscriptions, instance: &str, tls: Tls) -> Self {
        Self {
            outbox,
            subscriptions,
            instance: instance.to_owned(),
            resolver: Arc::new(crate::net_guard::SystemResolver),
            tls,
            clock: Arc::new(Timestamp::now),
            ids: Arc::new(Uuid::new_v4),
            random: Arc::new(|| {
                let (_, bits) = Uuid::new_v4().as_u64_pair();
                f64::from(u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0)) / f64::from(u32::MAX)
            }),
            times: Times::default(),
            at_once: 4,
            live_room: (2_000, 64 << 20),
            idle_room: (100_000, 512 << 20),
        }
    }

    /// Makes the handle, and what it is the handle of.
    #[must_use]
    pub fn build(self) -> (Webhooks, Service) {
        let shared = Arc::new(Shared {
            options: self,
            batches: Batches::default(),
            writing: tokio::sync::Mutex::new(()),
            status: Mutex::default(),
            again: tokio::sync::watch::channel(HashMap::new()).0,
        });
        (
            Webhooks {
                shared: Arc::clone(&shared),
            },
            Service { shared },
        )
    }
}

/// How it is with one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Why nothing is sent any more, until it is changed or resumed: its receiver answered 401 or 410.
    pub refused: Option<String>,
    /// Calls in a row that failed.
    pub failures: u32,
    /// When the receiver is tried next, after such.
    pub next_at: Option<Timestamp>,
    /// Why the last one did.
    pub error: Option<String>,
    /// When a call last succeeded.
    pub success_at: Option<Timestamp>,
    /// Calls that succeeded since the start.
    pub sent: u64,
    /// Calls that failed since the start.
    pub failed: u64,
    /// Batches of live events that were given up since the start, and what was too much for one that is paused or refused.
    pub dropped: u64,
}

/// Figures for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Of each subscription.
    pub subscriptions: BTreeMap<String, Status>,
    /// Turns that run.
    pub turns: usize,
    /// Bytes of live events in memory.
    pub held_bytes: usize,
    /// Live events that went into snapshots alone, since the outbox could not be written.
    pub left_out: u64,
}

pub(crate) struct Shared {
    options: Options,
    batches: Batches,
    /// Whoever writes batches holds it, so that they come into the outbox in order.
    writing: tokio::sync::Mutex<()>,
    status: Mutex<HashMap<String, Status>>,
    /// How often each subscription was resumed.
    again: tokio::sync::watch::Sender<HashMap<String, u64>>,
}

/// Why something is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The id fits no header.
    #[error("{0:?} is no id of an event: it may have A-Z, a-z, 0-9, - and _, at most 100")]
    Id(String),
    /// No such subscription.
    #[error("there is no webhook {0:?}")]
    Unknown(String),
    /// It is not stored; tell it again.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Tells subscribers. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
}

impl Webhooks {
    /// Who is told.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.shared.options.subscriptions
    }

    /// Tells everybody who wants it. It is stored when this returns; the same id again changes nothing.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing is stored.
    pub async fn publish(&self, event: Event) -> Result<(), PublishError> {
        check_id(&event.id)?;
        let shared = &self.shared;
        let kind = event.body.kind();
        let agent = event.agent.as_deref();
        if let (Kind::TurnStarted, Some(turn), Some(agent)) = (kind, &event.turn, agent)
            && !shared.batches.is_known(&turn.turn)
        {
            let before = shared.options.outbox.kept(FOLDS, &turn.turn).await?;
            // silent-ok: one of another version; the snapshot begins anew.
            shared
                .batches
                .begin(agent, turn, before.and_then(|fold| serde_json::from_str(&fold).ok()));
        }
        let settled = event.turn.as_ref().filter(|_| kind == Kind::TurnSettled);
        let _writing = shared.writing.lock().await;
        // What the turn told before goes with it, whatever its window.
        let sealed = match settled {
            Some(turn) => shared.batches.take((shared.options.clock)(), &Ends::Turn(&turn.turn)),
            None => Vec::new(),
        };
        let (mut entries, mut keeps) = shared.of_batches(&sealed);
        let fold = settled.and_then(|turn| shared.batches.fold(&turn.turn));
        let all = shared.options.subscriptions.list();
        let wanted = all.iter().filter(|each| each.wants(kind, agent));
        entries.extend(wanted.map(|each| shared.entry(each, &event, fold.as_ref())));
        if let Some(turn) = settled {
            keeps.retain(|keep| keep.key != turn.turn);
            keeps.push(Keep {
                bridge: FOLDS.into(),
                key: turn.turn.clone(),
                value: None,
            });
        }
        // The fold of a turn goes with its end, whoever wanted to know of that.
        if (!entries.is_empty() || (settled.is_some() && !all.is_empty()))
            && let Err(error) = shared.options.outbox.put(entries, keeps).await
        {
            shared.batches.give_back(sealed);
            return Err(error.into());
        }
        if let Some(turn) = settled {
            shared.batches.end(&turn.turn);
        }
        Ok(())
    }

    /// Tells what is not about turns, and keeps what was told with it: both are stored when this returns, or neither.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing is stored.
    pub async fn tell(&self, events: &[Event], keeps: Vec<Keep>) -> Result<(), PublishError> {
        events.iter().try_for_each(|event| check_id(&event.id))?;
        let shared = &self.shared;
        let _writing = shared.writing.lock().await;
        let all = shared.options.subscriptions.list();
        let mut entries = Vec::new();
        for event in events {
            let wanted = all
                .iter()
                .filter(|each| each.wants(event.body.kind(), event.agent.as_deref()));
            entries.extend(wanted.map(|each| shared.entry(each, event, None)));
        }
        if !entries.is_empty() || !keeps.is_empty() {
            shared.options.outbox.put(entries, keeps).await?;
        }
        Ok(())
    }

    /// What [`Self::tell`] has kept of one, by key.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn kept(&self, of: &str) -> Result<Vec<(String, String)>, OutboxError> {
        self.shared.options.outbox.all_kept(of).await
    }

    /// Forgets what [`Self::tell`] has kept of one.
    ///
    /// # Errors
    /// [`OutboxError`]; then some may be gone.
    pub async fn forget_kept(&self, of: &str) -> Result<(), OutboxError> {
        self.shared.options.outbox.remove(of).await.map(drop)
    }

    /// Tells what a running turn tells: `event` is one of the daemon's (`kind` first) or a `SessionNotification` of ACP, and
    /// is passed on as it is. Never waits.
    pub fn live(&self, agent: &str, turn: &Turn, event: Box<RawValue>) {
        let shared = &self.shared;
        let all = shared.options.subscriptions.list();
        if all
            .iter()
            .any(|each| each.wants(Kind::TurnEvent, Some(agent)) || each.wants(Kind::TurnSettled, Some(agent)))
        {
            shared.batches.add(agent, turn, (shared.options.clock)(), event);
        }
    }

    /// A turn runs no longer, and has not ended: it is back in line. What it told is told, and heartbeats cease until it
    /// starts again.
    pub fn rests(&self, turn: &str) {
        let shared = &self.shared;
        shared.batches.rest(turn, (shared.options.clock)());
    }

    /// Figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        let (left_out, held_bytes) = self.shared.batches.figures();
        Figures {
            subscriptions: status
                .iter()
                .map(|(name, status)| (name.clone(), status.clone()))
                .collect(),
            turns: self.shared.batches.running().len(),
            held_bytes,
            left_out,
        }
    }
}

impl Shared {
    fn set(&self, name: &str, change: impl FnOnce(&mut Status)) {
        change(
            self.status
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(name.to_owned())
                .or_default(),
        );
    }

    fn entry(&self, subscription: &Subscription, event: &Event, fold: Option<&Fold>) -> Entry {
        let report = Report {
            kind: event.body.kind(),
            at: event.at,
            agent: event.agent.clone(),
            turn: event.turn.clone(),
            body: to_raw_value(&event.body).ok(), // silent-ok: our own types are always JSON
            events: Vec::new(),
            snapshot: fold.and_then(|fold| to_raw_value(&fold.snapshot).ok()),
            session: fold.and_then(|fold| fold.snapshot.session_id.clone()),
            part: 0,
            most: None,
        };
        entry(subscription, event.id.clone(), &report, false)
    }

    /// Batches as entries, and the folds that they lead to.
    fn of_batches(&self, sealed: &[Sealed]) -> (Vec<Entry>, Vec<Keep>) {
        let all = self.options.subscriptions.list();
        let (mut entries, mut keeps) = (Vec::new(), Vec::<Keep>::new());
        for batch in sealed {
            let value = serde_json::to_string(&batch.fold).ok(); // silent-ok: our own types are always JSON
            keeps.retain(|keep| keep.key != batch.turn.turn);
            keeps.push(Keep {
                bridge: FOLDS.into(),
                key: batch.turn.turn.clone(),
                value,
            });
            let id = format!("batch_{}", (self.options.ids)());
            for subscription in all
                .iter()
                .filter(|each| each.wants(Kind::TurnEvent, Some(&batch.agent)))
            {
                let events = match subscription.profile {
                    Profile::Standard => batch.events.clone(),
                    Profile::Supervisor if batch.notifications.is_empty() => continue,
                    Profile::Supervisor => batch.notifications.clone(),
                };
                let report = Report {
                    kind: Kind::TurnEvent,
                    at: batch.at,
                    agent: Some(batch.agent.clone()),
                    turn: Some(batch.turn.clone()),
                    body: None,
                    events,
                    snapshot: to_raw_value(&batch.fold.snapshot).ok(),
                    session: batch.fold.snapshot.session_id.clone(),
                    part: 0,
                    most: None,
                };
                entries.push(entry(subscription, id.clone(), &report, true));
            }
        }
        (entries, keeps)
    }

    /// Writes the batches that are over.
    async fn flush(&self, ends: &Ends<'_>) -> Result<(), OutboxError> {
        let _writing = self.writing.lock().await;
        let sealed = self.batches.take((self.options.clock)(), ends);
        if sealed.is_empty() {
            return Ok(());
        }
        // Also when nobody wants the batches: the end of the turn has what they lead to.
        let (entries, keeps) = self.of_batches(&sealed);
        let put = self.options.outbox.put(entries, keeps).await;
        if put.is_err() {
            self.batches.give_back(sealed);
        }
        put.map(|_| ())
    }

    /// That much room, for what is not older than that.
    fn room(&self, (entries, bytes): (u64, u64), age: Duration) -> Room {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let oldest = (self.options.clock)().checked_sub(age).unwrap_or(Timestamp::MIN);
        Room { entries, bytes, oldest }
    }

    fn later(&self, pause: Duration) -> Timestamp {
        let now = (self.options.clock)();
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        now.checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}

fn check_id(id: &str) -> Result<(), PublishError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (1..=100).contains(&id.len()) && id.bytes().all(fits) {
        true => Ok(()),
        false => Err(PublishError::Id(id.to_owned())),
    }
}

fn entry(subscription: &Subscription, id: String, report: &Report, fleeting: bool) -> Entry {
    let lane = match (&report.turn, &report.agent) {
        (Some(turn), _) => format!("turn:{}", turn.turn),
        (None, Some(agent)) => format!("agent:{agent}"),
        (None, None) => "daemon".to_owned(),
    };
    let payload = serde_json::to_string(report).unwrap_or_default();
    Entry {
        bridge: subscription.bridge(),
        id,
        lane,
        payload,
        fleeting,
    }
}
