//! The outbox: delivers what settled turns have left to do, in order for each conversation, until the vault takes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reveille_queue::{Effect as Row, EffectState, Queue, QueueError};
use reveille_vault::{Vault, VaultError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::crash;
use crate::effects::Effect;

/// Rows taken at once.
const BATCH: u32 = 256;
/// Most undelivered effects that a start looks through.
const PARKED_MAX: u32 = 10_000;
/// Pauses after the first, second, … failed try; the last one repeats.
const PAUSES: [SignedDuration; 8] = [
    SignedDuration::from_millis(250),
    SignedDuration::from_millis(500),
    SignedDuration::from_secs(1),
    SignedDuration::from_secs(5),
    SignedDuration::from_secs(15),
    SignedDuration::from_secs(60),
    SignedDuration::from_secs(120),
    SignedDuration::from_secs(300),
];

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: Arc<dyn Queue>,
    vaults: Arc<BTreeMap<String, Arc<dyn Vault>>>,
    /// Who waits for the effects of a turn.
    waiting: Arc<Mutex<HashMap<Uuid, oneshot::Sender<bool>>>>,
}

impl Outbox {
    /// Over a queue and the vaults by name.
    #[must_use]
    pub(crate) fn new(queue: Arc<dyn Queue>, vaults: Arc<BTreeMap<String, Arc<dyn Vault>>>) -> Self {
        Self {
            queue,
            vaults,
            waiting: Arc::default(),
        }
    }

    /// Resolves to true when all effects of the turn are delivered, to false when a try failed. To be asked for before the
    /// turn is settled.
    #[must_use]
    pub(crate) fn expect(&self, turn: Uuid) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(turn, tell);
        told
    }

    /// The turn is not settled after all.
    pub(crate) fn forget(&self, turn: Uuid) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&turn);
    }

    fn tell(&self, turn: Uuid, delivered: bool) {
        if let Some(tell) = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&turn)
        {
            // silent-ok: the worker stopped waiting.
            let _ = tell.send(delivered);
        }
    }

    /// Gives effects that were refused for good another try: to be called at start, when a person may have mended the cause.
    pub(crate) async fn retry_parked(&self) -> Result<(), QueueError> {
        for row in self.queue.outbox(PARKED_MAX).await? {
            if row.state == EffectState::Parked {
                let error = row.last_error.unwrap_or_default();
                self.queue.undelivered(row.id, &error, Some(Timestamp::now())).await?;
            }
        }
        Ok(())
    }

    /// Delivers until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let mut wake = self.queue.watch();
        loop {
            wake.borrow_and_update();
            let next = match self.step().await {
                Ok(true) => continue,
                Ok(false) => self.queue.next_due().await,
                Err(error) => Err(error),
            };
            let pause = match next {
                Ok(Some(at)) => {
                    let left = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
                    Some(left.max(Duration::from_millis(10)))
                }
                Ok(None) => None,
                Err(error) => {
                    tracing::error!(%error, "the outbox stands; nothing is lost, it tries again");
                    Some(Duration::from_secs(1))
                }
            };
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

    /// Delivers what is due; false when that was nothing.
    async fn step(&self) -> Result<bool, QueueError> {
        let rows = self.queue.due(Timestamp::now(), BATCH).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let mut lines: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            lines.entry(row.target.clone()).or_default().push(row);
        }
        let ends = join_all(lines.into_values().map(|line| self.deliver(line))).await;
        let (mut done, mut turns) = (Vec::new(), Vec::new());
        for end in ends {
            done.extend(end.delivered);
            turns.extend(end.turns);
            if let Some((row, error)) = end.failed {
                self.postpone(&row, &error).await?;
                self.tell(row.turn, false);
            }
        }
        crash::point("outbox.delivered");
        self.queue.delivered(done).await?;
        for turn in turns {
            self.tell(turn, true);
        }
        Ok(true)
    }

    /// Delivers the rows of one conversation in order, up to the first that fails.
    async fn deliver(&self, line: Vec<Row>) -> LineEnd {
        let mut end = LineEnd {
            delivered: Vec::new(),
            turns: Vec::new(),
            failed: None,
        };
        let mut rows = line.into_iter().peekable();
        while let Some(row) = rows.next() {
            if let Err(error) = self.deliver_one(&row).await {
                end.failed = Some((row, error));
                break;
            }
            crash::point("outbox.written");
            end.delivered.push(row.id);
            if rows.peek().is_none_or(|next| next.turn != row.turn) {
                end.turns.push(row.turn);
            }
        }
        end
    }

    async fn deliver_one(&self, row: &Row) -> Result<(), VaultError> {
        let effect: Effect = serde_json::from_value(row.body.clone())
            .map_err(|error| VaultError::Invalid(format!("this effect is of an unknown kind: {error}")))?;
        let vault = self.vaults.get(effect.vault()).ok_or_else(|| VaultError::Unavailable {
            vault: effect.vault().to_owned(),
            reason: "no vault of that name is configured".into(),
        })?;
        effect.deliver(&**vault).await
    }

    async fn postpone(&self, row: &Row, error: &VaultError) -> Result<(), QueueError> {
        let temporary = matches!(error, VaultError::Unavailable { .. } | VaultError::Conflict { .. });
        let tries = usize::try_from(row.attempts)
            .unwrap_or(usize::MAX)
            .min(PAUSES.len() - 1);
        let due_at = temporary.then(|| Timestamp::now().saturating_add(PAUSES[tries]).unwrap_or(Timestamp::MAX));
        tracing::warn!(turn = %row.turn, %error, ?due_at, "undelivered; the effect is kept");
        self.queue.undelivered(row.id, &error.to_string(), due_at).await
    }
}

struct LineEnd {
    delivered: Vec<u64>,
    /// Turns whose last row of the batch was delivered.
    turns: Vec<Uuid>,
    failed: Option<(Row, VaultError)>,
}
