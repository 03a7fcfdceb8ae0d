//! Processes that wait for the next message of their conversation. Owns them between two turns: who waits, for how long, and
//! how many at once. Must never let two processes have one session, nor a token work while no turn runs.
//!
//! A process is taken by the next turn of its conversation when everything that it was started with is as that turn would
//! start it, and ended otherwise. It is also ended when its time is over, when others need its place, when it does something
//! unasked, and when its agent or the daemon goes.

mod ahead;
mod fingerprint;
mod seat;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reveille_backends::Resident;
use reveille_queue::{Claim, Lane};
use reveille_sandbox::egress::Log;
use reveille_vault::agent::Definition;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;
use tracing::field::display;
use uuid::Uuid;

use crate::config;
use crate::delegation::{Origin, Pass};
use crate::gate::Gate;
use crate::metrics::{Metrics, WarmFigures};
use crate::registry::Registry;
use crate::sandboxing::shield::Door;
use crate::tokens::Loan;

pub(crate) use self::ahead::Guess;
pub(crate) use self::fingerprint::{Fingerprint, Launch};
pub(crate) use self::seat::{Cold, Confine, CutOff, Seat};

/// How often the memory of those that wait is looked at.
const LOOK: Duration = Duration::from_secs(20);

/// What was made for a process and lives as long as it.
pub(crate) struct Held {
    /// Its token of the daemon.
    pub(crate) pass: Pass,
    /// Its tokens of vaults.
    pub(crate) loans: Vec<Loan>,
    /// What keeps its credential out.
    pub(crate) door: Door,
    /// What it tries to reach.
    pub(crate) log: Log,
    /// Whom it works for, in the lines of the log.
    pub(crate) process: Span,
}

/// What lines of the log say that are about a process, also those of tasks that live as long as it: the turn that it works for
/// now.
pub(crate) fn process_span(claim: &Claim) -> Span {
    let (turn, channel) = (claim.lease.turn, &claim.message.lane.channel);
    tracing::error_span!(parent: None, "process", %turn, %channel)
}

impl Held {
    /// Nothing of it works until it is given to another turn.
    pub(crate) fn suspend(&self) {
        self.pass.revoke();
        self.loans.iter().for_each(Loan::suspend);
        self.door.latch.shut();
    }

    /// It is that turn's, which was given these for the like of its tokens.
    pub(crate) fn resume(&self, origin: Origin, loans: &[Loan]) {
        self.process.record("turn", display(origin.turn));
        self.pass.rebind(origin);
        let pairs = self.loans.iter().zip(loans);
        pairs.for_each(|(old, fresh)| old.renew(fresh));
        self.door.latch.open();
    }
}

/// A process with all that is its own.
pub(crate) struct Parked {
    /// The process.
    pub(crate) resident: Resident,
    /// What was made for it.
    pub(crate) held: Held,
    /// What it was started with.
    pub(crate) fingerprint: Fingerprint,
    /// It was started for a turn that has not run yet.
    pub(crate) guess: Option<Guess>,
}

impl Parked {
    /// Ends it, and returns when nothing of it is alive.
    pub(crate) async fn end(self) {
        let Self { resident, held, .. } = self;
        held.suspend();
        resident.end().await;
        drop(held);
    }
}

/// Whose process it is, and for how long.
pub(crate) struct Owner {
    /// The conversation.
    pub(crate) conversation: Uuid,
    /// Where its messages wait.
    pub(crate) lane: Lane,
    /// The agent as it was.
    pub(crate) definition: Arc<Definition>,
    /// Its vault.
    pub(crate) vault: String,
    /// How long it may wait.
    pub(crate) wait: Duration,
    /// When it was given what it has: [`Warm::now`].
    pub(crate) since: u64,
}

/// One that waits, as the others see it.
struct Place {
    /// Which of those that have waited for this conversation.
    serial: u64,
    lane: Lane,
    /// It was started for a turn that may come.
    guess: bool,
    /// It is not up yet.
    starting: bool,
    agent: String,
    vault: String,
    definition: Arc<Definition>,
    /// Memory when it was looked at last.
    bytes: u64,
    /// Asks its task to give it away.
    take: CancellationToken,
    /// Asks its task to end it.
    end: CancellationToken,
    /// Cancelled when it is no longer here.
    gone: CancellationToken,
    given: oneshot::Receiver<Parked>,
}

impl Place {
    /// Which goes first where there are too many; what it is and how long it has been there.
    fn value(&self, gate: Option<&Gate>) -> (u8, u64) {
        let wanted = gate.is_some_and(|gate| gate.waits(&self.lane));
        match (wanted, self.guess) {
            (false, _) => (0, self.serial),
            // The one whose turn is farthest.
            (true, true) => (1, u64::MAX - self.serial),
            (true, false) => (2, self.serial),
        }
    }

    fn is_as_it_was(&self, registry: &Registry, same: impl Fn(&Arc<Definition>) -> bool) -> bool {
        let agent = registry.get(&self.agent);
        agent.is_some_and(|agent| agent.is_served() && agent.vault.name() == self.vault && same(&agent.definition))
    }
}

struct Inner {
    most: usize,
    ttl: Duration,
    memory: u64,
    /// Whether processes are started ahead.
    prewarm: bool,
    /// Who waits for a place among the turns.
    gate: OnceLock<Gate>,
    places: Mutex<HashMap<Uuid, Place>>,
    /// Conversations of which a turn may have a process.
    running: Mutex<HashSet<Uuid>>,
    /// Held while files are written for a process that is started ahead.
    writing: tokio::sync::Mutex<()>,
    /// Conversations for which starting ahead was in vain.
    vain: Mutex<HashMap<Uuid, ahead::Vain>>,
    serial: AtomicU64,
    /// How often something was taken away from agents, or given to them.
    changes: AtomicU64,
    closed: AtomicBool,
    tasks: TaskTracker,
    figures: WarmFigures,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Warm(Arc<Inner>);

impl Warm {
    /// Nobody waits yet.
    #[must_use]
    pub(crate) fn new(config: &config::Claude, metrics: &Metrics) -> Self {
        Self(Arc::new(Inner {
            most: config.warm_processes,
            ttl: config.warm_ttl.0,
            memory: config.warm_memory,
            prewarm: config.prewarm,
            gate: OnceLock::new(),
            places: Mutex::default(),
            running: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            vain: Mutex::default(),
            serial: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            figures: metrics.warm().clone(),
        }))
    }

    /// What is counted.
    pub(crate) fn figures(&self) -> &WarmFigures {
        &self.0.figures
    }

    /// How long a process waits when nobody says otherwise. `None`: not at all.
    #[must_use]
    pub(crate) fn ttl(&self) -> Option<Duration> {
        let on = self.0.most > 0 && !self.0.closed.load(Ordering::Acquire);
        on.then_some(self.0.ttl)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Uuid, Place>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that waits for a conversation. One that is being ended is waited for: afterwards there is none.
    pub(crate) async fn take(&self, conversation: Uuid) -> Option<Parked> {
        let place = self.places().remove(&conversation)?;
        place.take.cancel();
        place.given.await.ok() // silent-ok: it ended before it could be given
    }

    /// Lets a process wait, if there is room for it or for others less. From now on it is taken or waited for.
    pub(crate) fn park(&self, owner: Owner, parked: Parked) {
        parked.held.suspend();
        parked.held.process.record("turn", "");
        let (conversation, since) = (owner.conversation, owner.since);
        let (mut place, sitter) = self.seat(owner);
        place.bytes = parked.resident.bytes();
        let gone = (place.gone.clone().drop_guard(), self.figures().waits());
        let before = self.places().insert(conversation, place);
        if let Some(before) = before {
            // A conversation has one turn at a time, and that has taken it.
            tracing::error!(%conversation, "two processes waited for one conversation");
            before.end.cancel();
        }
        if self.is_over(since) {
            sitter.end.cancel();
        }
        drop(self.make_room());
        let warm = self.clone();
        self.0.tasks.spawn(async move {
            warm.sit(sitter, parked).await;
            drop(gone);
        });
    }

    /// A place for one, and what its task has to know.
    fn seat(&self, owner: Owner) -> (Place, Sitter) {
        let serial = self.0.serial.fetch_add(1, Ordering::Relaxed);
        let (give, given) = oneshot::channel();
        let place = Place {
            serial,
            lane: owner.lane,
            guess: false,
            starting: false,
            agent: owner.definition.name.clone(),
            vault: owner.vault,
            definition: owner.definition,
            bytes: 0,
            take: CancellationToken::new(),
            end: CancellationToken::new(),
            gone: CancellationToken::new(),
            given,
        };
        let sitter = Sitter {
            conversation: owner.conversation,
            serial,
            wait: owner.wait,
            take: place.take.clone(),
            end: place.end.clone(),
            give,
        };
        (place, sitter)
    }

    /// Ends some while there are too many, or they need too much together: first of those for whose conversation nothing waits the
    /// ones that have waited longest, then those that were started ahead, then the others. What is ended is answered by its end.
    fn make_room(&self) -> Vec<CancellationToken> {
        let places = self.places();
        let gate = self.0.gate.get();
        let mut waiting: Vec<_> = places.iter().filter(|(_, place)| !place.end.is_cancelled()).collect();
        waiting.sort_by_cached_key(|(_, place)| place.value(gate));
        let mut gone = Vec::new();
        let (large, mut waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, place)| place.bytes > self.0.memory);
        let mut end = |(conversation, place): (&Uuid, &Place)| {
            if place.guess {
                self.was_vain(*conversation);
            }
            place.end.cancel();
            gone.push(place.gone.clone());
        };
        large.into_iter().for_each(&mut end);
        let sum = |waiting: &[(&Uuid, &Place)]| {
            let bytes = waiting.iter().map(|(_, place)| place.bytes);
            bytes.fold(0, u64::saturating_add)
        };
        while waiting.len() > self.0.most || sum(&waiting) > self.0.memory {
            end(waiting.remove(0));
        }
        gone
    }

    /// Stays with a process until it is taken or has ended.
    async fn sit(&self, sitter: Sitter, mut parked: Parked) {
        let Sitter {
            conversation,
            serial,
            wait,
            take,
            end,
            give,
        } = sitter;
        let until = Instant::now() + wait;
        let why = loop {
            tokio::select! {
                biased;
                () = take.cancelled() => {
                    if let Err(parked) = give.send(parked) {
                        // Whoever wanted it has gone meanwhile.
                        parked.end().await;
                    }
                    return;
                }
                () = end.cancelled() => break "its place is needed, or it is no longer as it would be started",
                what = parked.resident.stirs() => break what,
                () = tokio::time::sleep_until(until) => break "its time is over",
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Some(bytes) = parked.resident.memory().await {
                if let Some(place) = self
                    .places()
                    .get_mut(&conversation)
                    .filter(|place| place.serial == serial)
                {
                    place.bytes = bytes;
                }
                drop(self.make_room());
            }
        };
        tracing::debug!(%conversation, why, "a process that waits is ended");
        if parked.guess.is_some() && !end.is_cancelled() {
            self.was_vain(conversation);
        }
        end.cancel();
        parked.end().await;
        self.forget(conversation, serial);
        // Whoever waits for it now learns that there is none.
        drop(give);
    }

    fn forget(&self, conversation: Uuid, serial: u64) {
        let mut places = self.places();
        if places.get(&conversation).is_some_and(|place| place.serial == serial) {
            places.remove(&conversation);
        }
    }

    /// Ends those that are meant, and returns when they are gone.
    async fn end(&self, meant: impl Fn(&Uuid, &Place) -> bool) {
        let gone: Vec<CancellationToken> = {
            let places = self.places();
            let those = places.iter().filter(|(conversation, place)| meant(conversation, place));
            let ended = those.map(|(_, place)| {
                place.end.cancel();
                place.gone.clone()
            });
            ended.collect()
        };
        for one in gone {
            one.cancelled().await;
        }
    }

    /// Ends those of an agent, and returns when they are gone.
    pub(crate) async fn end_agent(&self, agent: &str) {
        self.end(|_, place| place.agent == agent).await;
    }

    /// The moment, in changes of what agents are given. To be taken before a process is given something.
    #[must_use]
    pub(crate) fn now(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// Whether a process that was given what it has at `since` may not wait any more. To be asked once others can see it.
    fn is_over(&self, since: u64) -> bool {
        self.0.closed.load(Ordering::Acquire) || self.now() != since
    }

    /// Something was taken away from an agent or given to it (`None`: any of them). Ends those of it that wait, and returns when
    /// they are gone; those in which a turn runs now, of whomever, end with the turn.
    pub(crate) async fn changed(&self, agent: Option<&str>) {
        // Before the places are looked at: whoever takes one later sees it.
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        self.end(|_, place| agent.is_none_or(|agent| place.agent == agent))
            .await;
    }

    /// Ends those whose agent is no longer there, or no longer as it was, and returns when they are gone.
    pub(crate) async fn review(&self, registry: &Registry) {
        self.end(|_, place| !place.is_as_it_was(registry, |now| *now == place.definition))
            .await;
    }

    /// The same when a definition has gone: one that was made anew with the same words is another agent.
    pub(crate) async fn review_strictly(&self, registry: &Registry) {
        self.end(|_, place| !place.is_as_it_was(registry, |now| Arc::ptr_eq(now, &place.definition)))
            .await;
    }

    /// Ends all, lets nobody wait any more, and returns when all are gone.
    pub(crate) async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.end(|_, _| true).await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// What the task that stays with a process knows.
struct Sitter {
    conversation: Uuid,
    serial: u64,
    wait: Duration,
    take: CancellationToken,
    end: CancellationToken,
    give: oneshot::Sender<Parked>,
}
