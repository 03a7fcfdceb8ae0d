//! The outbox: delivers what settled turns have left to do, in order for each conversation, until the vault takes it.
//!
//! A delivery is tried three times. When the vault has not answered by then, its breaker opens: everything for it waits, and
//! one delivery now and then shows whether it is back. What a vault refuses for good is parked for a person, alone. What a
//! bridge gets is handed over to it in the same way; the bridge itself sees to it from then on.

mod delivery;
mod told;
mod working;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reveille_queue::{EffectState, Overdue, Queue, QueueError};
use reveille_vault::VaultError;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::breaker::{Breakers, Pace, View, wall};
use crate::bridges::{Bridges, HandOver};
use crate::crash;
use crate::effects::Effect;
use crate::live::{Happening, Hub, Milestone, Subject};
use crate::record::TurnRecord;
use crate::traces::Traces;
use crate::vaults::ByName;
use delivery::{Delivery, LineEnd, Round};
use told::Ends;
pub(crate) use working::Shown;
use working::Working;

/// Rows taken at once.
const BATCH: u32 = 256;
/// Tries in a row before a vault that does not answer is left alone.
const TRIES: u32 = 3;
/// Pauses after the first failed try and the second.
const PAUSES: [SignedDuration; 2] = [SignedDuration::from_millis(250), SignedDuration::from_millis(500)];
/// Pause after the third try of an effect that fails although its vault answers others; doubles up to the longest.
const ALONE: SignedDuration = SignedDuration::from_secs(1);
const ALONE_MAX: SignedDuration = SignedDuration::from_secs(300);
/// How long a vault may take for one effect.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows that are looked at for one vault.
const OWED: u32 = 1000;
/// How often a stop looks whether everything has gone out.
const POLL: Duration = Duration::from_millis(20);

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: Arc<dyn Queue>,
    vaults: ByName,
    hub: Hub,
    breakers: Breakers,
    bridges: Bridges,
    ends: Ends,
    working: Working,
    traces: Traces,
}

/// Why an effect is not delivered.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Its vault says so.
    #[error("{0}")]
    Vault(#[from] VaultError),
    /// The bridge that gets it says so.
    #[error("{0}")]
    Bridge(HandOver),
    /// It is a large thing, and its vault may be well.
    #[error("the vault {vault:?} did not take the file within {patience:?}")]
    Slow {
        /// Its name.
        vault: String,
        /// So long.
        patience: Duration,
    },
}

/// The pause after so many failed tries, when the vault is not left alone.
fn pause(tries: u32) -> SignedDuration {
    let past = tries.saturating_sub(TRIES);
    let early = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    PAUSES.get(early).copied().unwrap_or_else(|| {
        let doubled = 1_i32
            .checked_shl(past.min(10))
            .and_then(|factor| ALONE.checked_mul(factor));
        doubled.unwrap_or(ALONE_MAX).min(ALONE_MAX)
    })
}

/// Whether trying again can help.
fn passes(error: &Trouble) -> bool {
    match error {
        Trouble::Vault(error) => matches!(
            error,
            VaultError::Unavailable { .. } | VaultError::Conflict { .. } | VaultError::Damaged { .. }
        ),
        Trouble::Bridge(error) => matches!(error, HandOver::Later { .. }),
        Trouble::Slow { .. } => true,
    }
}

/// What stands in the way, without what the other side says.
fn word(error: &Trouble) -> &'static str {
    match error {
        Trouble::Vault(VaultError::Unavailable { .. })
        | Trouble::Bridge(HandOver::Later { .. })
        | Trouble::Slow { .. } => "unavailable",
        Trouble::Vault(VaultError::Conflict { .. }) => "conflict",
        Trouble::Vault(VaultError::Damaged { .. }) => "damaged",
        Trouble::Vault(VaultError::Forbidden(_) | VaultError::OutsideScope { .. }) => "forbidden",
        Trouble::Vault(VaultError::Unsupported { .. }) => "unsupported",
        Trouble::Vault(_) | Trouble::Bridge(_) => "invalid",
    }
}

fn is_silent(error: &Trouble) -> bool {
    matches!(error, Trouble::Vault(VaultError::Unavailable { .. }))
}

impl Outbox {
    /// Over a queue and the vaults by name. Late deliveries are told to `hub`.
    #[must_use]
    pub(crate) fn new(queue: Arc<dyn Queue>, vaults: ByName, hub: Hub) -> Self {
        Self {
            breakers: Breakers::new(vaults.all().iter().map(|vault| vault.name())),
            queue,
            vaults,
            hub,
            bridges: Bridges::default(),
            ends: Ends::default(),
            working: Working::default(),
            traces: Traces::default(),
        }
    }

    /// With these bridges.
    #[must_use]
    pub(crate) fn with_bridges(self, bridges: Bridges) -> Self {
        Self { bridges, ..self }
    }

    /// The same, and each try is told.
    #[must_use]
    pub(crate) fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Resolves to true when all effects of the turn are delivered, to false when that will take longer. To be asked for
    /// before the turn is settled; [`Outbox::tell_end`] or [`Outbox::forget`] must follow.
    #[must_use]
    pub(crate) fn expect(&self, turn: Uuid, vault: &str) -> oneshot::Receiver<bool> {
        let delivery = self.ends.expect(turn);
        if self.breakers.pace(vault) != Pace::Free {
            self.ends.missing(turn);
        }
        delivery
    }

    /// The turn is not settled after all.
    pub(crate) fn forget(&self, turn: Uuid) {
        self.ends.forget(turn);
    }

    /// Tells the end of a turn: with true when nothing is left to deliver. Should something be delivered later, that is told
    /// afterwards.
    pub(crate) fn tell_end(&self, turn: Uuid, tell: impl FnOnce(bool)) {
        self.ends.tell(turn, tell);
    }

    /// Marks a thread as working for as long as the answer lives.
    pub(crate) fn show_working(&self, conversation: Uuid, effect: Effect) -> Shown {
        let free = effect.vault().filter(|vault| self.breakers.pace(vault) == Pace::Free);
        let vault = free.and_then(|vault| self.vaults.get(vault));
        self.working.show(conversation.to_string(), effect, vault)
    }

    /// Makes the effects of a turn, or all of them, due now, and lets each vault be asked again. Answers how many.
    pub(crate) async fn retry(&self, turn: Option<Uuid>) -> Result<u64, QueueError> {
        // First the breakers: the write in the queue wakes the loop.
        self.breakers.hasten();
        self.queue.retry(turn).await
    }

    /// How many effects should have been delivered by now.
    pub(crate) async fn count_overdue(&self) -> Result<u64, QueueError> {
        self.queue.count_overdue(&self.breakers.silent()).await
    }

    /// Which those are, after the effect of that number.
    pub(crate) async fn overdue(&self, after: u64, limit: u32) -> Result<Vec<Overdue>, QueueError> {
        self.queue.overdue(&self.breakers.silent(), after, limit).await
    }

    /// Whether something goes to a vault that no person has to look at first. When much is left it counts as so.
    pub(crate) async fn owes(&self, vault: &str) -> Result<bool, QueueError> {
        let rows = self.queue.outbox(OWED).await?;
        let is_full = rows.len() >= OWED as usize;
        let open = rows.into_iter().filter(|row| row.state != EffectState::Parked);
        Ok(is_full || open.map(Delivery::of).any(|delivery| delivery.vault() == Some(vault)))
    }

    /// When an effect for a vault is tried next; `None` when a person or another effect must go first.
    #[must_use]
    pub(crate) fn next_try(&self, overdue: &Overdue, vault: Option<&str>) -> Option<Timestamp> {
        if overdue.behind || overdue.effect.state == EffectState::Parked {
            return None;
        }
        let due_at = overdue.effect.due_at;
        match vault.map(|vault| self.breakers.pace(vault)) {
            Some(Pace::Never(until)) => Some(due_at.max(wall(until, Instant::now()))),
            _ => Some(due_at),
        }
    }

    /// How the breakers of the vaults stand.
    #[must_use]
    pub(crate) fn vault_states(&self) -> Vec<View> {
        self.breakers.views()
    }

    /// Waits until nothing more can go out now, for `patience` at most: what is left goes out at the next start.
    pub(crate) async fn flush(&self, patience: Duration) {
        let empty = async {
            loop {
                let held = self.breakers.held().names;
                match self.queue.due(Timestamp::now(), 1, &held).await {
                    Ok(due) if due.is_empty() => return,
                    Ok(_) => tokio::time::sleep(POLL).await,
                    Err(error) => return tracing::warn!(%error, "the outbox cannot be read"),
                }
            }
        };
        if tokio::time::timeout(patience, empty).await.is_err() {
            tracing::warn!("some replies are not delivered yet; they go out at the next start");
        }
    }

    /// Delivers until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let mut wake = self.queue.watch_outbox();
        loop {
            wake.borrow_and_update();
            let next = match self.round().await {
                Ok(Round::More) => continue,
                Ok(Round::All | Round::Nothing) => self.next_look().await,
                Err(error) => Err(error),
            };
            let pause = next.unwrap_or_else(|error| {
                tracing::error!(%error, "the outbox stands; nothing is lost, it tries again");
                Some(Duration::from_secs(1))
            });
            let timer = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = drain.cancelled() => break,
                () = timer => {}
                changed = wake.changed() => if changed.is_err() { break },
            }
        }
    }

    /// How long there is nothing to do, if nothing new comes.
    async fn next_look(&self) -> Result<Option<Duration>, QueueError> {
        let held = self.breakers.held();
        let due = self.queue.next_due(&held.names).await?;
        let due = due.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO));
        let back = held.until.map(|until| until.saturating_duration_since(Instant::now()));
        let first = due.into_iter().chain(back).min();
        Ok(first.map(|pause| pause.max(Duration::from_millis(10))))
    }

    /// Delivers what is due; false when that was nothing.
    #[cfg(test)]
    async fn step(&self) -> Result<bool, QueueError> {
        Ok(self.round().await? != Round::Nothing)
    }

    /// Delivers what is due.
    async fn round(&self) -> Result<Round, QueueError> {
        let held = self.breakers.held().names;
        let rows = self.queue.due(Timestamp::now(), BATCH, &held).await?;
        if rows.is_empty() {
            return Ok(Round::Nothing);
        }
        let due = rows.len();
        let mut lines: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for row in rows {
            lines.entry(row.target.clone()).or_default().push(Delivery::of(row));
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        self.slow_down(&mut lines);
        let ends = join_all(lines.into_iter().map(|line| self.deliver(line))).await;
        let delivered: usize = ends.iter().map(|end| end.delivered.len()).sum();
        self.conclude(ends).await?;
        match delivered == due && due < BATCH as usize {
            true => Ok(Round::All),
            false => Ok(Round::More),
        }
    }

    /// Leaves one delivery for each vault that was silent. It is the one with the fewest tries: a vault may be well, and one
    /// effect be what it cannot do.
    fn slow_down(&self, lines: &mut Vec<Vec<Delivery>>) {
        let vaults: BTreeSet<String> = lines
            .iter()
            .flatten()
            .filter_map(Delivery::vault)
            .map(str::to_owned)
            .collect();
        for vault in vaults {
            if self.breakers.pace(&vault) != Pace::Probe {
                continue;
            }
            let ours = |line: &Vec<Delivery>| {
                line.first()
                    .filter(|head| head.vault() == Some(&vault))
                    .map(|head| (head.row.attempts, head.row.id))
            };
            let probe = lines.iter().filter_map(ours).min();
            lines.retain_mut(|line| match ours(line) {
                None => true,
                head => {
                    line.truncate(1);
                    head == probe
                }
            });
            self.breakers.probe(&vault);
        }
    }

    /// Delivers the rows of one conversation in order, up to the first that has to wait.
    async fn deliver(&self, line: Vec<Delivery>) -> LineEnd {
        let mut end = LineEnd::default();
        if self.written_together(&line).await {
            crash::point("outbox.written");
            end.delivered = line;
            return end;
        }
        for delivery in line {
            match self.deliver_traced(&delivery).await {
                Ok(()) => {
                    crash::point("outbox.written");
                    end.delivered.push(delivery);
                }
                Err(error) if passes(&error) => {
                    end.failed = Some((delivery, error));
                    break;
                }
                Err(error) => end.parked.push((delivery, error)),
            }
        }
        end
    }

    async fn deliver_traced(&self, delivery: &Delivery) -> Result<(), Trouble> {
        let start = Timestamp::now();
        let outcome = self.deliver_one(delivery).await;
        self.traces.tried(|| delivery.tried(start, outcome.as_ref().err()));
        outcome
    }

    /// Writes what a turn leaves in one step, where its vault can; false when nothing was written, or when that is not known: then
    /// each goes by itself, which does no harm to what is there. Not where something was tried before, or goes elsewhere.
    async fn written_together(&self, line: &[Delivery]) -> bool {
        let [first, rest @ ..] = line else { return false };
        let Ok(Effect::Thread { vault: name, record }) = &first.effect else {
            return false;
        };
        let fits =
            |one: &Delivery| one.row.turn == first.row.turn && one.row.attempts == 0 && one.vault() == Some(name);
        if rest.is_empty() || !line.iter().all(fits) {
            return false;
        }
        let writes = line.iter().map(|one| one.effect.as_ref().ok()?.beside(&record.id)); // silent-ok: told when it is tried
        let Some(writes) = writes.collect::<Option<Vec<_>>>() else {
            return false;
        };
        let Some(vault) = self.vaults.get(name) else {
            return false;
        };
        let start = Timestamp::now();
        // silent-ok: what stands in the way is met again, and told.
        let written = tokio::time::timeout(PATIENCE, vault.write_together(writes)).await;
        if !matches!(written, Ok(Ok(true))) {
            return false;
        }
        line.iter().for_each(|one| self.traces.tried(|| one.tried(start, None)));
        true
    }

    async fn deliver_one(&self, delivery: &Delivery) -> Result<(), Trouble> {
        let effect = match &delivery.effect {
            Ok(effect) => effect,
            Err(error) => {
                let message = format!("this version of the daemon does not know this kind of effect: {error}");
                return Err(VaultError::Invalid(message).into());
            }
        };
        let name = match effect {
            Effect::Thread { vault, .. }
            | Effect::Outbound { vault, .. }
            | Effect::File { vault, .. }
            | Effect::Callback { vault, .. } => vault,
            Effect::Bridge { bridge, note } => {
                return tokio::time::timeout(PATIENCE, self.bridges.hand_over(bridge, note))
                    .await
                    .unwrap_or_else(|_| Err(HandOver::late(bridge, PATIENCE)))
                    .map_err(Trouble::Bridge);
            }
            Effect::Webhook { end } => {
                return tokio::time::timeout(PATIENCE, self.hub.told().settled(end))
                    .await
                    .unwrap_or_else(|_| Err(HandOver::late("webhook", PATIENCE)))
                    .map_err(Trouble::Bridge);
            }
        };
        let silent = |reason: String| VaultError::Unavailable {
            vault: name.clone(),
            reason,
        };
        let vault = self
            .vaults
            .get(name)
            .ok_or_else(|| silent("no vault of that name is configured".into()))?;
        let late = delivery.row.attempts > 0;
        match (
            tokio::time::timeout(PATIENCE, effect.write(&*vault, late)).await,
            effect,
        ) {
            (Ok(written), _) => Ok(written?),
            (Err(_), Effect::File { vault, .. }) => Err(Trouble::Slow {
                vault: vault.clone(),
                patience: PATIENCE,
            }),
            (Err(_), _) => Err(silent(format!("it did not answer within {PATIENCE:?}")).into()),
        }
    }

    /// Writes down how the lines ended, and tells it.
    async fn conclude(&self, ends: Vec<LineEnd>) -> Result<(), QueueError> {
        let back = self.judge_vaults(&ends);
        let mut delivered = Vec::new();
        let mut written = BTreeSet::new();
        for end in ends {
            if let Some((delivery, error)) = end.failed {
                self.postpone(&delivery, &error).await?;
            }
            for (delivery, error) in end.parked {
                let (row, channel) = (&delivery.row, delivery.channel());
                tracing::error!(turn = %row.turn, channel, %error, "refused for good; the effect is kept for a person");
                self.queue.undelivered(row.id, &error.to_string(), None).await?;
                self.ends.missing(row.turn);
            }
            for delivery in end.delivered {
                if let Ok(Effect::Thread { record, .. }) = &delivery.effect {
                    written.insert(record.id.to_string());
                }
                delivered.push(delivery);
            }
        }
        crash::point("outbox.delivered");
        let rows = delivered.iter().map(|delivery| delivery.row.id).collect();
        for turn in self.queue.delivered(rows).await? {
            self.traces.finished(turn);
            if self.ends.delivered(turn) {
                let last = delivered.iter().find(|delivery| delivery.row.turn == turn);
                self.tell_late(turn, last.and_then(Delivery::channel)).await;
            }
        }
        self.working.show_again(&self.vaults, &back, &written).await;
        Ok(())
    }

    /// Opens and closes breakers. Answers the vaults that answer again.
    fn judge_vaults(&self, ends: &[LineEnd]) -> BTreeSet<String> {
        let answered: BTreeSet<&str> = ends.iter().flat_map(LineEnd::answered).collect();
        let mut back = BTreeSet::new();
        for vault in &answered {
            if self.breakers.answered(vault) {
                tracing::info!(vault, "the vault answers again; what waits for it goes out");
                back.insert((*vault).to_owned());
            }
        }
        // By vault, the one with the most tries.
        let mut silent: BTreeMap<&str, (u32, &Trouble)> = BTreeMap::new();
        for (delivery, error) in ends.iter().filter_map(|end| end.failed.as_ref()) {
            if let Some(vault) = delivery
                .vault()
                .filter(|vault| is_silent(error) && !answered.contains(vault))
            {
                let tries = delivery.row.attempts + 1;
                let worst = silent.entry(vault).or_insert((tries, error));
                if tries > worst.0 {
                    *worst = (tries, error);
                }
            }
        }
        for (vault, (tries, error)) in silent {
            if tries >= TRIES || self.breakers.pace(vault) != Pace::Free {
                self.breakers.failed(vault, error.to_string());
                tracing::warn!(vault, %error, "the vault is left alone for a while; what goes to it is kept");
            }
        }
        back
    }

    async fn postpone(&self, delivery: &Delivery, error: &Trouble) -> Result<(), QueueError> {
        let row = &delivery.row;
        let tries = row.attempts + 1;
        let pace = delivery.vault().map(|vault| self.breakers.pace(vault));
        let due_at = match pace {
            Some(Pace::Never(until)) => wall(until, Instant::now()),
            _ => Timestamp::now().saturating_add(pause(tries)).unwrap_or(Timestamp::MAX),
        };
        tracing::warn!(turn = %row.turn, channel = delivery.channel(), tries, %error, %due_at, "not delivered; the effect is kept");
        self.queue.undelivered(row.id, &error.to_string(), Some(due_at)).await?;
        if tries >= TRIES || pace.is_some_and(|pace| pace != Pace::Free) {
            self.ends.missing(row.turn);
        }
        Ok(())
    }

    /// Tells whoever watches that nothing of a turn is missing any more.
    async fn tell_late(&self, turn: Uuid, channel: Option<&str>) {
        let company = match self.queue.company(turn).await {
            Ok(company) => company,
            Err(error) => return tracing::warn!(%error, %turn, channel, "nobody is told of a late delivery"),
        };
        let record = company.first().and_then(|first| first.record.clone());
        let record: Option<TurnRecord> = record.and_then(|record| serde_json::from_value(record).ok()); // silent-ok: without a note then
        let note = record.and_then(|record| record.note);
        tracing::info!(%turn, channel, "delivered late");
        for turn in company {
            let subject = Subject {
                channel: turn.message.lane.channel.to_string(),
                turn: turn.id,
                thread: turn.conversation,
                message: turn.message.note,
            };
            let delivered = Milestone::Delivered { note: note.clone() };
            self.hub.tell(&subject, &Happening::About(delivered));
        }
    }
}

#[cfg(test)]
mod tests;
