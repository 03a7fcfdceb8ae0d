//! What the service knows: which notes want something for whom, and how far it is with each holder. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use reveille_vault::agent::Want;
use tokio::time::Instant;

use super::ledger::{Known, Memory, Place};
use super::{Grant, GrantError};

/// Shortest and longest pause before a backend that did not answer is asked again for the same holder.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A note that may want something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// For whom.
    pub(super) holder: String,
    /// What. `None`: that is not known now, so nothing is asked for and nothing dropped.
    pub(super) wants: Option<Vec<Want>>,
}

/// What the backend is to be asked for one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// The holder.
    pub(super) holder: String,
    /// All it wants.
    pub(super) wants: Vec<Want>,
    /// Only whether something was decided meanwhile.
    pub(super) only_look: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    /// The job.
    pub(super) job: Job,
    /// Of each wish, as far as it was asked for.
    pub(super) answers: Vec<Result<Grant, GrantError>>,
    /// Whether all was asked and nothing has to be repeated.
    pub(super) complete: bool,
}

/// A holder.
#[derive(Debug)]
struct Holder {
    /// What its notes want. `None`: not known now.
    wants: Option<Vec<Want>>,
    /// What the backend was told last.
    told: Option<Vec<Want>>,
    known: Vec<Known>,
    /// When it is looked at again, when nothing changes before.
    due: Option<Instant>,
    pause: Duration,
    /// It is being asked for.
    busy: bool,
    /// Wishes that were decided meanwhile, by their keys: what was asked before does not count for them.
    heard: BTreeSet<String>,
    /// No note wants anything for it any more.
    gone: bool,
    /// It is an agent, and no role.
    agent: bool,
}

/// All of it.
#[derive(Default)]
pub(super) struct State {
    pub(super) sources: BTreeMap<Place, Source>,
    holders: BTreeMap<String, Holder>,
    /// The holder that was begun last.
    begun: String,
    /// Roles that are to be read again.
    pub(super) unread: BTreeSet<Place>,
    /// Vaults whose roles are to be listed.
    pub(super) scans: BTreeSet<String>,
    /// Holders of which something else is known than was published.
    pub(super) news: BTreeSet<String>,
    /// Those of whom the backend kept something when all began. `None`: nobody but the backend knows.
    pub(super) kept: Option<BTreeSet<String>>,
}

impl Holder {
    fn new() -> Self {
        Self {
            wants: None,
            told: None,
            known: Vec::new(),
            due: None,
            pause: Duration::ZERO,
            busy: false,
            heard: BTreeSet::new(),
            gone: false,
            agent: false,
        }
    }

    fn align(&mut self) {
        if let Some(wants) = &self.wants {
            self.known = aligned(&self.known, wants);
        }
    }

    fn job(&self, holder: &str, now: Instant) -> Option<Job> {
        if self.busy {
            return None;
        }
        let wants = self.wants.as_ref()?;
        let is_due = self.due.is_some_and(|due| due <= now);
        let told = self.told.as_ref() == Some(wants);
        // After a failure it is not asked again before its time.
        let wait = self.due.is_some_and(|due| due > now) && !self.pause.is_zero();
        (is_due || (!told && !wait)).then(|| Job {
            holder: holder.to_owned(),
            only_look: told,
            wants: wants.clone(),
        })
    }
}

/// The wishes as they are, with what is known of each.
fn aligned(known: &[Known], wants: &[Want]) -> Vec<Known> {
    let find = |want: &Want| known.iter().find(|known| known.want.key() == want.key());
    let known = wants.iter().map(|want| match find(want) {
        Some(known) => Known {
            want: want.clone(),
            ..known.clone()
        },
        None => Known::new(want.clone()),
    });
    known.collect()
}

impl State {
    /// What an earlier run has left. Nothing of it is acted upon before the notes have been read.
    pub(super) fn of(memory: Memory) -> Self {
        let mut state = Self::default();
        for (place, holder) in memory.sources {
            let one = state.holders.entry(holder.clone()).or_insert_with(Holder::new);
            one.agent |= !place.role;
            state.sources.insert(place, Source { holder, wants: None });
        }
        for (holder, known) in memory.known {
            if let Some(one) = state.holders.get_mut(&holder) {
                one.known = known;
            }
        }
        state
    }

    /// Whether the backend has to hear of an agent: it wants something, or did. Most never do, and of thousands of them none is
    /// remembered here.
    pub(super) fn concerns(&self, holder: &str, wants: &[Want]) -> bool {
        !wants.is_empty()
            || self.holders.contains_key(holder)
            || self.kept.as_ref().is_none_or(|kept| kept.contains(holder))
    }

    /// Puts together what each holder wants.
    pub(super) fn settle(&mut self) {
        let mut wanted: BTreeMap<&str, (Option<Vec<Want>>, bool)> = BTreeMap::new();
        for (place, source) in &self.sources {
            let (all, agent) = wanted
                .entry(&source.holder)
                .or_insert_with(|| (Some(Vec::new()), false));
            *agent |= !place.role;
            match (&mut *all, &source.wants) {
                (Some(all), Some(wants)) => {
                    let known: BTreeSet<String> = all.iter().map(Want::key).collect();
                    all.extend(wants.iter().filter(|want| !known.contains(&want.key())).cloned());
                }
                // One of its notes cannot be read: whatever that wants must not be dropped.
                _ => *all = None,
            }
        }
        for (name, (_, agent)) in &wanted {
            let new = || Holder {
                agent: *agent,
                ..Holder::new()
            };
            if !self.holders.contains_key(*name) {
                self.holders.insert((*name).to_owned(), new());
            }
        }
        for (name, holder) in &mut self.holders {
            let gone = !wanted.contains_key(name.as_str());
            if gone && !holder.gone {
                // Told once more, whatever it wanted last.
                holder.told = None;
                holder.pause = Duration::ZERO;
            }
            holder.gone = gone;
            let (wants, agent) = wanted
                .remove(name.as_str())
                .unwrap_or_else(|| (Some(Vec::new()), holder.agent));
            holder.agent = agent;
            if holder.wants == wants {
                continue;
            }
            if wants.is_some() {
                holder.pause = Duration::ZERO;
            }
            holder.wants = wants;
            let before = holder.known.clone();
            holder.align();
            if before != holder.known {
                self.news.insert(name.clone());
            }
        }
    }

    /// Holders to be asked for now, at most `most` of them; they are busy until [`State::finish`].
    pub(super) fn begin(&mut self, now: Instant, most: usize) -> Vec<Job> {
        if most == 0 {
            return Vec::new();
        }
        // From where it stopped last, around: of thousands that are asked for at a start, those behind are not looked at each
        // time.
        let last = self.begun.as_str();
        let behind = (Bound::Excluded(last), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Included(last));
        let all = self
            .holders
            .range::<str, _>(behind)
            .chain(self.holders.range::<str, _>(before));
        let jobs = all.filter_map(|(name, holder)| holder.job(name, now));
        let mut jobs: Vec<Job> = jobs.take(most).collect();
        if let Some(last) = jobs.last() {
            self.begun.clone_from(&last.holder);
        }
        jobs.sort_by(|one, other| one.holder.cmp(&other.holder));
        for job in &jobs {
            if let Some(holder) = self.holders.get_mut(&job.holder) {
                holder.busy = true;
                holder.heard.clear();
            }
        }
        jobs
    }

    /// When the next one is due of those that can be asked for. Of one of which is not known what it wants nothing would be
    /// begun then.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let ready = self
            .holders
            .values()
            .filter(|holder| !holder.busy && holder.wants.is_some());
        ready.filter_map(|holder| holder.due).min()
    }

    /// Takes what came of a job; answers whether the holder is gone by it. `poll`: when to look again.
    pub(super) fn finish(&mut self, done: Done, now: Instant, poll: Option<Duration>) -> bool {
        let name = done.job.holder;
        let Some(holder) = self.holders.get_mut(&name) else {
            return false;
        };
        holder.busy = false;
        let before = holder.known.clone();
        for (want, answer) in done.job.wants.iter().zip(done.answers) {
            let key = want.key();
            if holder.heard.contains(&key) {
                continue;
            }
            let Some(known) = holder.known.iter_mut().find(|known| known.want.key() == key) else {
                continue;
            };
            match answer {
                Ok(grant) => known.take(&grant),
                // What it was before is likelier than that it has changed meanwhile.
                Err(error) => known.reason = Some(format!("not known for sure: {error}")),
            }
        }
        if done.complete {
            holder.told = Some(done.job.wants);
            holder.pause = Duration::ZERO;
            holder.due = poll.filter(|_| !holder.known.is_empty()).map(|poll| now + poll);
        } else {
            holder.pause = (holder.pause * 2).clamp(PAUSES.0, PAUSES.1);
            holder.due = Some(now + holder.pause);
        }
        let over = done.complete && holder.gone && holder.told.as_ref().is_some_and(Vec::is_empty);
        if over || before != holder.known {
            self.news.insert(name.clone());
        }
        if over {
            self.holders.remove(&name);
        }
        over
    }

    /// Takes what was heard of grants beside the jobs.
    pub(super) fn hear(&mut self, name: &str, grants: &[Grant]) {
        let Some(holder) = self.holders.get_mut(name) else {
            return;
        };
        let before = holder.known.clone();
        for grant in grants {
            let key = grant.want.key();
            if let Some(known) = holder.known.iter_mut().find(|known| known.want.key() == key) {
                known.take(grant);
                holder.heard.insert(key);
            }
        }
        if before != holder.known {
            self.news.insert(name.to_owned());
        }
    }

    /// What is known of a holder.
    pub(super) fn known(&self, holder: &str) -> &[Known] {
        self.holders.get(holder).map_or(&[], |holder| &holder.known)
    }

    /// What is known of these wishes of a holder.
    pub(super) fn known_of(&self, holder: &str, wants: &[Want]) -> Vec<Known> {
        aligned(self.known(holder), wants)
    }

    /// Whether a holder is an agent. One that is not there any more may have been one.
    pub(super) fn is_agent(&self, holder: &str) -> bool {
        self.holders.get(holder).is_none_or(|holder| holder.agent)
    }

    /// Every holder that wants something.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &[Known])> {
        let all = self.holders.iter().filter(|(_, holder)| !holder.known.is_empty());
        all.map(|(name, holder)| (name.as_str(), holder.known.as_slice()))
    }

    /// What a later run has to know: notes that want something, and those that are gone whose holders still have grants.
    pub(super) fn memory(&self, before: &BTreeMap<Place, String>) -> BTreeMap<Place, String> {
        let wants = |source: &Source| source.wants.as_ref().is_none_or(|wants| !wants.is_empty());
        let live = self.sources.iter().filter(|(_, source)| wants(source));
        let mut memory: BTreeMap<Place, String> = live
            .map(|(place, source)| (place.clone(), source.holder.clone()))
            .collect();
        for (place, holder) in before {
            if self.holders.get(holder).is_some_and(|holder| holder.gone) {
                memory.entry(place.clone()).or_insert_with(|| holder.clone());
            }
        }
        memory
    }
}

impl Known {
    fn take(&mut self, grant: &Grant) {
        self.status = grant.status;
        self.grant_id = Some(grant.id.clone());
        self.reason.clone_from(&grant.reason);
    }
}

#[cfg(test)]
mod tests;
