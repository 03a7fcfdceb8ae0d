//! What becomes of agents, told to webhooks: how each is now is compared with what was told of it last, which is kept with the
//! telling. So nothing is told twice, and what changed while the daemon was away is told once it is back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, DayTotals, Pause, Queue, QueueError};
use reveille_transports::outbox::Keep;
use reveille_transports::webhooks::{AgentChange, AgentProblem, Body, Event, PublishError, Webhooks};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Reached, Scope, Told};
use crate::config::Limits;
use crate::ending::{nano_usd, usd};
use crate::inbox::Progress;
use crate::limits::DAY_BUDGET;
use crate::registry::{Listed, Registry};
use crate::vaults::Vaults;

/// Whose values in the outbox they are.
pub(super) const NEWS: &str = "webhooks.news";
/// From the first sign of a change to the look: what belongs together comes together.
const GATHER: Duration = Duration::from_millis(200);
/// Until it is looked again while a vault is not read, or after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// Characters of an agent's problem that are told.
const PROBLEM_CHARS: usize = 500;
/// Code of a pause that a person wants.
const PERSON: &str = "person";

/// Why nothing could be told now.
#[derive(Debug, thiserror::Error)]
enum NewsError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("what was told last cannot be kept: {0}")]
    Json(#[from] serde_json::Error),
}

/// How an agent stands, as far as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stand {
    vault: String,
    /// Digest of its definition without its pause; blank when it has none that counts.
    definition: String,
    /// Code of its pause.
    pause: Option<String>,
    /// Digest of what is wrong with its note; blank: nothing.
    problems: String,
    /// Who made the digests: another version may have other ones of the same.
    version: String,
}

/// What is told of an agent besides how it stands.
struct Now {
    stand: Stand,
    pause: Option<Pause>,
    reason: Option<String>,
    problems: Vec<AgentProblem>,
    day_usd: Option<f64>,
}

/// Looks and tells.
pub(crate) struct News {
    pub(crate) told: Told,
    pub(crate) registry: Registry,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) progress: Progress,
    pub(crate) limits: Limits,
    pub(crate) vaults: Vaults,
}

fn digest(text: &str) -> String {
    let mut hex = String::new();
    for byte in &Sha256::digest(text)[..8] {
        // silent-ok: a text takes everything
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

impl Now {
    fn of(listed: &Listed, pause: Option<&Pause>) -> Self {
        let paused = listed.definition.as_ref().filter(|definition| definition.paused);
        let problems: Vec<AgentProblem> = listed
            .problems
            .iter()
            .map(|problem| AgentProblem {
                key: problem.key.to_string(),
                message: problem.message.chars().take(PROBLEM_CHARS).collect(),
            })
            .collect();
        let definition = listed.definition.as_ref().map(|definition| {
            let mut bare = (**definition).clone();
            (bare.paused, bare.pause_reason) = (false, None);
            // What a note gives besides says nothing of how it works.
            bare.given.retain(|key| !matches!(*key, "paused" | "pause_reason"));
            digest(&format!("{bare:?}"))
        });
        let code = match paused {
            Some(_) => Some(PERSON.to_owned()),
            None => pause.map(|pause| pause.code.clone()),
        };
        Self {
            stand: Stand {
                vault: listed.vault.clone(),
                definition: definition.unwrap_or_default(),
                pause: code,
                problems: match problems.is_empty() {
                    true => String::new(),
                    false => digest(&format!("{problems:?}")),
                },
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            pause: pause.filter(|_| paused.is_none()).cloned(),
            reason: paused.and_then(|definition| definition.pause_reason.clone()),
            problems,
            day_usd: listed
                .definition
                .as_ref()
                .and_then(|definition| definition.budget_day_usd),
        }
    }

    fn change(&self, change: &'static str) -> AgentChange {
        AgentChange {
            change,
            vault: self.stand.vault.clone(),
            ..AgentChange::default()
        }
    }

    fn paused(&self) -> AgentChange {
        let pause = self.pause.as_ref();
        let reason = pause.map(|pause| pause.reason.clone());
        AgentChange {
            code: self.stand.pause.clone(),
            reason: reason.or_else(|| self.reason.clone()),
            until_at: pause.and_then(|pause| pause.until),
            ..self.change("paused")
        }
    }

    fn broken(&self) -> AgentChange {
        AgentChange {
            problems: self.problems.clone(),
            ..self.change("broken")
        }
    }
}

/// What happened from one stand to the next, in the order in which it is told.
fn changes(before: Option<&Stand>, now: Option<&Now>) -> Vec<AgentChange> {
    let (before, now) = match (before, now) {
        (before, Some(now)) => (before, now),
        (Some(before), None) => {
            return vec![AgentChange {
                change: "removed",
                vault: before.vault.clone(),
                ..AgentChange::default()
            }];
        }
        (None, None) => return Vec::new(),
    };
    let stand = &now.stand;
    let was = before.filter(|before| !before.definition.is_empty());
    let mut all = Vec::new();
    match was {
        None if stand.definition.is_empty() => {}
        None => all.push(now.change("made")),
        Some(was) => {
            let same_words = was.version == stand.version;
            if was.vault != stand.vault || (same_words && was.definition != stand.definition) {
                all.push(now.change("edited"));
            }
        }
    }
    let problems = before.map_or("", |before| before.problems.as_str());
    match (problems, stand.problems.as_str()) {
        (before, now) if before == now => {}
        (_, "") if was.is_some() => all.push(now.change("mended")),
        (_, "") => {}
        _ => all.push(now.broken()),
    }
    match (was.and_then(|was| was.pause.as_ref()), &stand.pause) {
        (before, now) if before == now.as_ref() => {}
        (_, Some(_)) => all.push(now.paused()),
        (_, None) => all.push(now.change("resumed")),
    }
    all
}

impl News {
    /// Tells until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let Some(touched) = self.told.touched() else { return };
        // What was told last; `None`: not read yet.
        let mut last = None;
        loop {
            let again = match self.look(&mut last).await {
                Ok(all_read) => !all_read,
                Err(error) => {
                    tracing::warn!(%error, "webhooks are not told yet what became of agents; it is tried again");
                    // What is kept is not known any more.
                    last = None;
                    true
                }
            };
            let later = async {
                match again {
                    true => tokio::time::sleep(AGAIN).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = drain.cancelled() => return,
                () = touched.notified() => {}
                () = later => {}
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }

    /// Compares and tells. False: not every vault was read yet.
    async fn look(&self, last: &mut Option<BTreeMap<String, String>>) -> Result<bool, NewsError> {
        let Some(webhooks) = self.told.webhooks() else {
            return Ok(true);
        };
        if !self.told.is_on() {
            // Whoever comes next is told of what is news then.
            if last.as_ref().is_none_or(|last| !last.is_empty()) {
                webhooks.forget_kept(NEWS).await.map_err(PublishError::from)?;
                *last = Some(BTreeMap::new());
            }
            return Ok(true);
        }
        if last.is_none() {
            let kept = webhooks.kept(NEWS).await.map_err(PublishError::from)?;
            *last = Some(kept.into_iter().collect());
        }
        let Some(last) = last else { return Ok(true) };
        let now = self.now().await?;
        self.compare(webhooks, last, &now).await?;
        Ok(self.progress.unread().is_none())
    }

    async fn now(&self) -> Result<BTreeMap<String, Now>, NewsError> {
        let pauses: BTreeMap<ChannelName, Pause> = self.queue.pauses().await?.into_iter().collect();
        let mut all = BTreeMap::new();
        // Who holds a name is the agent; of the others only such count as nobody has a name from.
        let mut listed = self.registry.list();
        listed.sort_by_key(|one| !one.live);
        for one in listed {
            if !one.live && (one.is_thread || one.problems.is_empty()) {
                continue;
            }
            let pause = pauses.iter().find(|(channel, _)| channel.as_str() == one.name);
            all.entry(one.name.clone())
                .or_insert_with(|| Now::of(&one, pause.map(|(_, pause)| pause)));
        }
        Ok(all)
    }

    async fn compare(
        &self,
        webhooks: &Webhooks,
        last: &mut BTreeMap<String, String>,
        now: &BTreeMap<String, Now>,
    ) -> Result<(), NewsError> {
        let key_of = |name: &str| format!("agent/{name}");
        let known: Vec<String> = last
            .keys()
            .filter_map(|key| key.strip_prefix("agent/"))
            .map(str::to_owned)
            .collect();
        let mut names: Vec<&String> = known.iter().chain(now.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let key = key_of(name);
            // silent-ok: of another version; it is as if it had not been told of
            let before: Option<Stand> = last.get(&key).and_then(|text| serde_json::from_str(text).ok());
            let is = now.get(name);
            let vaults = before.iter().map(|before| &before.vault);
            let mut vaults = vaults.chain(is.iter().map(|is| &is.stand.vault));
            if vaults.any(|vault| !self.progress.is_read(vault)) || before.as_ref() == is.map(|is| &is.stand) {
                continue;
            }
            // What a vault has when it is read for the first time is no news.
            let is_first = is.is_some_and(|is| !last.contains_key(&format!("vault/{}", is.stand.vault)));
            let mut events = Vec::new();
            if !is_first {
                events = changes(before.as_ref(), is)
                    .into_iter()
                    .map(|change| event(name, change))
                    .collect();
                let out_of_money = is.filter(|is| is.stand.pause.as_deref() == Some(DAY_BUDGET));
                let before = before.as_ref().and_then(|before| before.pause.as_deref());
                if let Some(is) = out_of_money.filter(|_| before != Some(DAY_BUDGET)) {
                    events.extend(self.day_is_over(name, is).await?);
                }
            }
            let value = is.map(|is| serde_json::to_string(&is.stand)).transpose()?;
            webhooks.tell(&events, vec![keep(&key, value.clone())]).await?;
            match value {
                Some(value) => drop(last.insert(key, value)),
                None => drop(last.remove(&key)),
            }
        }
        self.know_vaults(webhooks, last).await
    }

    /// From now on, what comes into a vault that is read is news.
    async fn know_vaults(&self, webhooks: &Webhooks, last: &mut BTreeMap<String, String>) -> Result<(), NewsError> {
        for vault in self.vaults.names() {
            let key = format!("vault/{vault}");
            if !last.contains_key(&key) && self.progress.is_read(&vault) {
                webhooks.tell(&[], vec![keep(&key, Some("read".into()))]).await?;
                last.insert(key, "read".into());
            }
        }
        Ok(())
    }

    async fn day_is_over(&self, agent: &str, now: &Now) -> Result<Option<Event>, NewsError> {
        let today: Vec<(ChannelName, DayTotals)> = self.queue.today(Timestamp::now(), None).await?;
        let spent = today.iter().find(|(channel, _)| channel.as_str() == agent);
        let Some(pause) = &now.pause else { return Ok(None) };
        let reached = Reached {
            scope: Scope::Day,
            limit_usd: now.day_usd.or(self.limits.budget_day_usd),
            spent_usd: spent.map(|(_, totals)| usd(totals.nano_usd)),
            message: pause.reason.clone(),
            until_at: pause.until,
        };
        Ok(Some(reached.event(agent, None, pause.since)))
    }
}

pub(super) fn keep(key: &str, value: Option<String>) -> Keep {
    Keep {
        bridge: NEWS.into(),
        key: key.into(),
        value,
    }
}

fn event(agent: &str, change: AgentChange) -> Event {
    Event {
        // What was told is kept with it, so that it is made once.
        id: format!("agent_{}", Uuid::now_v7()),
        at: Timestamp::now(),
        agent: Some(agent.to_owned()),
        turn: None,
        body: Body::Agent(change),
    }
}

impl Reached {
    /// The same budget that is reached again is the same event: that of a day once for its limit, others once a turn.
    pub(super) fn event(&self, agent: &str, turn: Option<&super::Turn>, at: Timestamp) -> Event {
        let of = match (self.scope, turn) {
            (Scope::Day, _) | (_, None) => {
                let limit = self.limit_usd.map_or(0, nano_usd);
                digest(&format!("{agent}\n{}\n{limit}", at.strftime("%F")))
            }
            (_, Some(turn)) => turn.turn.clone(),
        };
        Event {
            id: format!("budget_{}_{of}", self.scope.word()),
            at,
            agent: Some(agent.to_owned()),
            turn: turn.cloned(),
            body: Body::Budget {
                scope: self.scope.word(),
                limit_usd: self.limit_usd,
                spent_usd: self.spent_usd,
                message: self.message.clone(),
                until_at: self.until_at,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn now(definition: &str, pause: Option<&str>, problem: Option<&str>) -> Now {
        let problems: Vec<AgentProblem> = problem
            .map(|message| AgentProblem {
                key: "model".into(),
                message: message.into(),
            })
            .into_iter()
            .collect();
        Now {
            stand: Stand {
                vault: "default".into(),
                definition: definition.into(),
                pause: pause.map(str::to_owned),
                problems: problem.unwrap_or_default().into(),
                version: "1".into(),
            },
            pause: None,
            reason: Some("lunch".into()).filter(|_| pause.is_some()),
            problems,
            day_usd: None,
        }
    }

    #[test]
    fn what_happened_is_what_is_not_as_before() {
        let of = |before: Option<&Now>, is: Option<&Now>| -> Vec<&'static str> {
            let before = before.map(|before| &before.stand);
            changes(before, is).into_iter().map(|change| change.change).collect()
        };
        let (one, two) = (now("a", None, None), now("b", None, None));
        let paused = now("a", Some(PERSON), None);
        let (broken, worse) = (now("a", None, Some("no model")), now("a", None, Some("no name")));
        let never = now("", None, Some("no name"));
        for (before, is, expected) in [
            (None, Some(&one), &["made"][..]),
            (None, Some(&paused), &["made", "paused"]),
            (None, Some(&never), &["broken"]),
            (Some(&never), Some(&one), &["made"]),
            (Some(&one), Some(&two), &["edited"]),
            (Some(&one), Some(&paused), &["paused"]),
            (Some(&paused), Some(&two), &["edited", "resumed"]),
            (Some(&one), Some(&broken), &["broken"]),
            (Some(&broken), Some(&worse), &["broken"]),
            (Some(&broken), Some(&two), &["edited", "mended"]),
            (Some(&one), None, &["removed"]),
            (Some(&one), Some(&one), &[]),
        ] {
            assert_eq!(of(before, is), expected);
        }
        let mut other_version = now("z", None, None);
        other_version.stand.version = "2".into();
        assert_eq!(
            of(Some(&one), Some(&other_version)),
            [""; 0],
            "another version says it otherwise"
        );
        let told = changes(Some(&one.stand), Some(&paused)).remove(0);
        assert_eq!(
            (told.code.as_deref(), told.reason.as_deref()),
            (Some(PERSON), Some("lunch"))
        );
        assert_eq!(changes(None, Some(&never))[0].problems, never.problems);
    }
}
