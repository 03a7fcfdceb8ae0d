//! The workers: one task per conversation that has something to do, none for the others.

mod ahead;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use reveille_backends::{Backend, Remedy};
use reveille_queue::{ChannelName, Claim, Lane, Lease, LeaseError, Queue, QueueError, Spend, State};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::{Claude, FileLimits, Limits};
use crate::credentials::Credentials;
use crate::delegation::Passes;
use crate::gate::Gate;
use crate::grants::Grants;
use crate::homes::Doors;
use crate::limits::Reservations;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::pauses::Pauses;
use crate::record::FailureRecord;
use crate::registry::{Agent, Registry};
use crate::sandboxing::Sandboxing;
use crate::steps::Steps;
use crate::traces::Traces;
use crate::trust::Trust;
use crate::turn;
use crate::warm::Warm;
use crate::withdraw::{Desk, Withdrawal};

/// Pause after the queue could not be asked, and the longest one when it goes on like that.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Failures inside the daemon after which a turn is given up.
const PANICS_MAX: u32 = 3;

/// What every turn needs.
pub(crate) struct Context {
    /// The journal.
    pub(crate) queue: Arc<dyn Queue>,
    /// Who there is.
    pub(crate) registry: Registry,
    /// Who watches.
    pub(crate) hub: Hub,
    /// What is left to do afterwards.
    pub(crate) outbox: Outbox,
    /// How turns are run.
    pub(crate) backend: Arc<dyn Backend>,
    /// Settings of the CLI.
    pub(crate) claude: Claude,
    /// It, for what signs turns in.
    pub(crate) cli: Arc<crate::claude::Claude>,
    /// Where conversations have their directories.
    pub(crate) conversations: PathBuf,
    /// Into those.
    pub(crate) doors: Doors,
    /// Most bytes of a file that a message brings.
    pub(crate) file_limits: FileLimits,
    /// How long a claim holds.
    pub(crate) lease: Duration,
    /// What turns may cost.
    pub(crate) limits: Limits,
    /// What running turns may still cost.
    pub(crate) reservations: Reservations,
    /// Agents that wait.
    pub(crate) pauses: Pauses,
    /// What running turns show at the door.
    pub(crate) passes: Passes,
    /// What they get besides.
    pub(crate) grants: Grants,
    pub(crate) credentials: Credentials,
    /// How they are confined.
    pub(crate) sandboxing: Sandboxing,
    /// For whom what was given to names is meant.
    pub(crate) trust: Trust,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Who is told of each message and its stages.
    pub(crate) traces: Traces,
    /// What turns did.
    pub(crate) steps: Steps,
    /// Processes that wait for the next message of their conversation.
    pub(crate) warm: Warm,
}

/// Puts a turn back in line, until that is done or `end`: left claimed it would block its conversation until the next start. False:
/// it was not done. One whose lease is over is where it belongs.
pub(crate) async fn put_back(
    queue: &dyn Queue,
    (lease, channel): (Lease, &ChannelName),
    spend: Spend,
    end: &CancellationToken,
) -> bool {
    let mut pause = PAUSE;
    while let Err(LeaseError::Queue(error)) = queue.release(lease, spend).await {
        tracing::error!(%error, turn = %lease.turn, %channel, ?pause, "it is not back in line yet; trying again");
        tokio::select! {
            () = end.cancelled() => return false,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    true
}

/// How long a turn may be working for the queue before it is at work here and can be stopped, far more than it takes; and how
/// often whoever wants to stop it looks.
pub(crate) const BEGINS_WITHIN: Duration = Duration::from_secs(2);
pub(crate) const BEGINS_POLL: Duration = Duration::from_millis(5);

/// A turn that runs now.
#[derive(Clone)]
pub(crate) struct LiveTurn {
    /// Its lane, as it was called when it began.
    pub(crate) lane: Lane,
    /// Its conversation, which stays the same when its agent gets another name.
    pub(crate) conversation: Uuid,
    /// The inbound note.
    pub(crate) note: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Ends it because a person wants that.
    pub(crate) stop: CancellationToken,
    /// What the person wants is in a newer message of the same conversation.
    pub(crate) superseded: Arc<AtomicBool>,
}

struct Shared {
    context: Context,
    gate: Gate,
    /// Lanes with a task. True: something came while the task was looking.
    lanes: Mutex<HashMap<Lane, bool>>,
    live: Mutex<HashMap<Uuid, LiveTurn>>,
    /// Lanes in which something is being claimed, each with the turn of a message that came meanwhile and stops what that is.
    interrupts: Mutex<HashMap<Lane, Option<Uuid>>>,
    /// How often a turn has failed inside the daemon.
    panics: Mutex<HashMap<Uuid, u32>>,
    tasks: TaskTracker,
    /// False until what an earlier run has left is dealt with: before that nothing may be claimed.
    open: AtomicBool,
    /// No new claims.
    drain: CancellationToken,
    /// Running turns end now and go back in line.
    abandon: CancellationToken,
}

/// Whether turns begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What an earlier run has left is dealt with.
    Recovering,
    /// They do.
    Open,
    /// No more.
    Draining,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

impl Workers {
    /// Nothing is claimed before [`Workers::open`]. `drain` stops new claims.
    #[must_use]
    pub(crate) fn new(context: Context, live_turns: usize, drain: CancellationToken) -> Self {
        let gate = Gate::new(live_turns);
        context.warm.watch(&gate);
        let shared = Shared {
            context,
            gate,
            lanes: Mutex::default(),
            live: Mutex::default(),
            interrupts: Mutex::default(),
            panics: Mutex::default(),
            tasks: TaskTracker::new(),
            open: AtomicBool::new(false),
            drain,
            abandon: CancellationToken::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What every turn needs.
    pub(crate) fn context(&self) -> &Context {
        &self.shared.context
    }

    /// Something may wait in a lane.
    pub(crate) fn wake(&self, lane: &Lane) {
        if self.shared.drain.is_cancelled() || !self.shared.open.load(Ordering::Acquire) {
            return;
        }
        let mut lanes = self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(again) = lanes.get_mut(lane) {
            *again = true;
            return;
        }
        lanes.insert(lane.clone(), false);
        let (workers, lane) = (self.clone(), lane.clone());
        self.shared.tasks.spawn(async move { workers.serve(lane).await });
    }

    /// A message has come that stops the turn of its conversation which was accepted before it.
    pub(crate) fn interrupt(&self, lane: &Lane, conversation: Uuid, by: Uuid) {
        let agent = self.shared.context.registry.get(lane.channel.as_str());
        if agent.is_some_and(|agent| !agent.is_served()) {
            // Whoever has taken a message goes on with it.
            return;
        }
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        match live.iter().find(|(_, live)| live.conversation == conversation) {
            // Identities of turns are in the order of acceptance.
            Some((turn, running)) if *turn < by => {
                running.superseded.store(true, Ordering::Release);
                running.stop.cancel();
            }
            Some(_) => {}
            // Without a claim on its way it is the first in line, and there is nothing to stop: not now, and not later.
            None => {
                if let Some(seen) = self.interrupts().get_mut(lane) {
                    *seen = Some(by);
                }
            }
        }
    }

    fn interrupts(&self) -> MutexGuard<'_, HashMap<Lane, Option<Uuid>>> {
        self.shared.interrupts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first message of a lane. A message that comes meanwhile and stops it is remembered until [`Workers::begin`].
    async fn claim(&self, lane: &Lane) -> Result<Option<Claim>, QueueError> {
        self.interrupts().insert(lane.clone(), None);
        let claimed = self.shared.context.queue.claim(lane).await;
        if !matches!(claimed, Ok(Some(_))) {
            self.interrupts().remove(lane);
        }
        claimed
    }

    /// Enters a turn among those that run; a message may have come meanwhile that stops it.
    fn begin(&self, claim: &Claim) -> LiveTurn {
        let turn = claim.lease.turn;
        let live = LiveTurn {
            lane: claim.message.lane.clone(),
            conversation: claim.conversation.id,
            note: claim.message.note.clone(),
            since: Timestamp::now(),
            stop: CancellationToken::new(),
            superseded: Arc::default(),
        };
        let mut all = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        if self
            .interrupts()
            .remove(&live.lane)
            .flatten()
            .is_some_and(|by| turn < by)
        {
            live.superseded.store(true, Ordering::Release);
            live.stop.cancel();
        }
        all.insert(turn, live.clone());
        live
    }

    /// Agents came or changed: their lanes may run.
    pub(crate) fn wake_channels(&self, channels: &[String]) {
        let workers = self.clone();
        let channels: HashSet<String> = channels.iter().cloned().collect();
        self.shared.tasks.spawn(async move {
            let context = &workers.shared.context;
            tokio::join!(
                workers.wake_lanes(|lane| channels.contains(lane.channel.as_str())),
                context.warm.review(&context.registry),
            );
        });
    }

    /// Lets some time pass; false: the daemon stops meanwhile.
    pub(crate) async fn rest(&self, time: Duration) -> bool {
        self.unless_stopped(tokio::time::sleep(time)).await.is_some()
    }

    /// Does something that a stop cuts off.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.shared.drain.run_until_cancelled(work).await
    }

    /// Runs something beside the turns that a stop waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(work);
    }

    /// Begins to claim, with everything that waits. To be called once, after the processes of an earlier run have ended
    /// and its claims are back in line. Wakes before that are not lost: this looks for itself.
    pub(crate) async fn open(&self) {
        self.shared.open.store(true, Ordering::Release);
        let pauses = self.shared.context.pauses.clone();
        self.shared
            .tasks
            .spawn(pauses.run(self.clone(), self.shared.drain.clone()));
        self.shared.tasks.spawn(self.clone().look_ahead());
        self.wake_lanes(|_| true).await;
    }

    async fn wake_lanes(&self, wanted: impl Fn(&Lane) -> bool) {
        loop {
            match self.shared.context.queue.lanes().await {
                Ok(lanes) => {
                    lanes
                        .iter()
                        .filter(|lane| wanted(lane))
                        .for_each(|lane| self.wake(lane));
                    return;
                }
                Err(error) => tracing::error!(%error, "the queue cannot be read; trying again"),
            }
            tokio::select! {
                () = self.shared.drain.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Whether turns begin now.
    #[must_use]
    pub(crate) fn stage(&self) -> Stage {
        match self.shared.drain.is_cancelled() {
            true => Stage::Draining,
            false if self.shared.open.load(Ordering::Acquire) => Stage::Open,
            false => Stage::Recovering,
        }
    }

    /// Turns that run now.
    #[must_use]
    pub(crate) fn live(&self) -> HashMap<Uuid, LiveTurn> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops a running turn; false when it does not run.
    #[must_use]
    pub(crate) fn stop(&self, turn: Uuid) -> bool {
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(&turn).map(|live| live.stop.cancel()).is_some()
    }

    /// Waits for the running turns, but only for `patience`; then ends them and puts them back in line. `hurry` cuts the
    /// patience short. To be called after `drain` was cancelled.
    pub(crate) async fn finish(&self, patience: Duration, hurry: CancellationToken) {
        let warm = &self.shared.context.warm;
        tokio::join!(self.finish_turns(patience, hurry), warm.close());
        // Those of the last turns.
        warm.close().await;
    }

    async fn finish_turns(&self, patience: Duration, hurry: CancellationToken) {
        self.shared.tasks.close();
        tokio::select! {
            () = self.shared.tasks.wait() => return,
            () = tokio::time::sleep(patience) => {}
            () = hurry.cancelled() => {}
        }
        tracing::warn!(turns = self.live().len(), "running turns are ended and go back in line");
        self.shared.abandon.cancel();
        self.shared.tasks.wait().await;
    }

    async fn serve(self, lane: Lane) {
        loop {
            let _permit = tokio::select! {
                // A place may be there as well; a stop goes first.
                biased;
                () = self.shared.drain.cancelled() => break,
                permit = self.shared.gate.enter(&lane) => permit,
            };
            // Looked up for every turn: an edited definition counts from the next turn on.
            let agent = self.shared.context.registry.get(lane.channel.as_str());
            // Until the queue knows whose the name is, its conversations may be another one's.
            let Some(agent) = agent.filter(|agent| self.is_ready(agent)) else {
                if self.is_last(&lane) {
                    return;
                }
                continue;
            };
            match self.claim(&lane).await {
                Ok(Some(claim)) if self.is_paused(&lane) => {
                    self.interrupts().remove(&lane);
                    // It was paused between the two looks, and that was answered.
                    let queue = &*self.shared.context.queue;
                    put_back(
                        queue,
                        (claim.lease, &lane.channel),
                        Spend::default(),
                        &self.shared.drain,
                    )
                    .await;
                }
                Ok(Some(claim)) => {
                    let turn = claim.lease.turn;
                    let live = self.begin(&claim);
                    self.run(&agent, claim, &live).await;
                    self.shared
                        .live
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&turn);
                    self.follow_rename(&agent, &lane, turn).await;
                }
                Ok(None) => {
                    if self.is_last(&lane) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, channel = %lane.channel, "no claim; trying again");
                    tokio::select! {
                        () = self.shared.drain.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
        self.shared
            .lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&lane);
    }

    fn is_ready(&self, agent: &Agent) -> bool {
        agent.is_served() && !agent.definition.paused && self.shared.context.trust.is_settled(agent)
    }

    fn is_paused(&self, lane: &Lane) -> bool {
        let agent = self.shared.context.registry.get(lane.channel.as_str());
        // Without an agent its vault may be gone, and nobody would wait for the turn.
        agent.is_none_or(|agent| agent.definition.paused || !agent.is_served())
    }

    /// The line may have moved to another name while the turn ran: what waits there could not be claimed until now.
    async fn follow_rename(&self, agent: &Agent, lane: &Lane, turn: Uuid) {
        // Another agent may have the name by now.
        let place = |agent: &Agent| (agent.vault.name().to_owned(), agent.definition.note.clone());
        let now = self.shared.context.registry.get(lane.channel.as_str());
        if now.is_some_and(|now| place(&now) == place(agent)) {
            return;
        }
        match self.shared.context.queue.turn(turn).await {
            Ok(Some(turn)) if turn.message.lane != *lane => self.wake(&turn.message.lane),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what waits under a new name is looked at with the next message"),
        }
    }

    /// Runs a turn. One that panics goes back in line instead of blocking its lane; its child ends with its future.
    async fn run(&self, agent: &Agent, claim: Claim, live: &LiveTurn) {
        let (context, lease) = (&self.shared.context, claim.lease);
        let turn = turn::run(context, agent, claim, live, &self.shared.abandon);
        if AssertUnwindSafe(turn).catch_unwind().await.is_ok() {
            self.panics().remove(&lease.turn);
            return;
        }
        let times = {
            let mut panics = self.panics();
            let times = panics.entry(lease.turn).or_default();
            *times += 1;
            *times
        };
        tracing::error!(turn = %lease.turn, channel = agent.definition.name, times, "a turn failed inside the daemon; it goes back in line");
        let channel = &live.lane.channel;
        if !put_back(&*context.queue, (lease, channel), Spend::default(), &self.shared.drain).await {
            return;
        }
        if times >= PANICS_MAX {
            self.give_up(agent, lease.turn).await;
        }
        // It may fail the same way at once.
        tokio::time::sleep(PAUSE).await;
    }

    fn panics(&self) -> MutexGuard<'_, HashMap<Uuid, u32>> {
        self.shared.panics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a turn that fails inside the daemon again and again, so that the ones behind it get their turn.
    async fn give_up(&self, agent: &Agent, turn: Uuid) {
        let context = &self.shared.context;
        let desk = Desk {
            queue: &*context.queue,
            registry: &context.registry,
            hub: &context.hub,
            vault: &*agent.vault,
            across_vaults: context.limits.across_vaults,
            traces: &context.traces,
            metrics: &context.metrics,
        };
        let failure = FailureRecord {
            code: "internal".into(),
            message: "The daemon itself failed on this message, several times.".into(),
            next_step: "Please report it with the daemon's log. Sending the message again may not help.".into(),
            remedy: Remedy::Permanent,
        };
        let how = Withdrawal {
            state: State::Error,
            reason: "The daemon failed on it.",
            failure: Some(failure),
            status: State::Error.as_str(),
            by: None,
        };
        let ended = match context.queue.turn(turn).await {
            Ok(Some(turn)) => desk.withdraw(&turn, how).await.map_err(|error| error.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        match ended {
            Ok(()) => drop(self.panics().remove(&turn)),
            Err(error) => tracing::error!(error, %turn, channel = agent.definition.name, "it is not given up yet"),
        }
    }

    /// Whether the lane's task may end: nothing came since it looked. Decided under the same lock that `wake` takes.
    fn is_last(&self, lane: &Lane) -> bool {
        let mut lanes = self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match lanes.get_mut(lane) {
            Some(again) if *again => {
                *again = false;
                false
            }
            _ => {
                lanes.remove(lane);
                true
            }
        }
    }
}
