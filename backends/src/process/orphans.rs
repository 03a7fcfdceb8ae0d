//! What the programs of turns have left behind, without a look at every process of the machine: Linux gives a process whose parent
//! has ended to the nearest ancestor that asks for it (`PR_SET_CHILD_SUBREAPER` in prctl(2)), and the daemon finds it among its
//! own children.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, set_child_subreaper, test_kill_process, waitid};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::linux::{Entry, ROUNDS, await_deaths, kill_with_descendants, stat};

/// From the end of a child to the look for orphans: what ends together is collected together.
const GATHER: Duration = Duration::from_millis(200);
/// Looks in a row before it counts as unknown. One is repeated when something has ended meanwhile.
const LOOKS: usize = 16;

/// Whether orphans come to this process.
static ADOPTS: AtomicBool = AtomicBool::new(false);
/// Whether all that come were left by programs that it has started.
static OURS: AtomicBool = AtomicBool::new(false);
/// What this process has started and waits for itself, by a number of its own each: an id may already belong to the next one
/// when the work on its first owner is done.
static OWN: Mutex<BTreeMap<u64, Started>> = Mutex::new(BTreeMap::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// Shared by those who start a process that is not entered yet; a look has it alone.
static STARTING: RwLock<()> = RwLock::new(());
/// Orphans that could not be killed, by id and start. Whoever ends some has it to himself.
static SPARED: Mutex<BTreeSet<(i32, u64)>> = Mutex::new(BTreeSet::new());

/// Orphans come to this process from now on, for as long as the runtime lives in which this is called: they are collected when
/// they have ended, and ended when no program lives that can have left them. Whoever calls it starts all its processes by way of
/// this crate: the others would be taken for orphans.
///
/// # Errors
/// The system cannot do it: then everything goes on by a look at every process.
pub fn adopt_orphans() -> io::Result<()> {
    let ends = signal(SignalKind::child())?;
    // Some systems do not list them: then orphans would come and nobody would see them.
    children()?;
    set_child_subreaper(Some(getpid()))?;
    // Whoever was this process before may have left it a child, and then an orphan may be that one's. The first process of a
    // container gets those of everybody in it.
    let alone = children()?.is_empty() && getpid() != Pid::INIT;
    OURS.store(alone, Ordering::Release);
    ADOPTS.store(true, Ordering::Release);
    tokio::spawn(look_after(ends));
    Ok(())
}

/// Looks for orphans whenever a child has ended. A turn's end looks too, but some end after that, such as the first process of a
/// sandbox when all others are gone; and others are nobody's only once a program has ended that was there before them.
async fn look_after(mut ends: Signal) {
    while ends.recv().await.is_some() {
        tokio::time::sleep(GATHER).await;
        if strays().is_empty() {
            continue;
        }
        if let Err(error) = tokio::task::spawn_blocking(end_strays).await {
            tracing::warn!(%error, "the search for what programs have left was cut off");
        }
    }
}

/// A process is being started. Held until it is entered.
pub(crate) fn starting() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is being started while this is held.
fn nobody_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap_or_else(PoisonError::into_inner)
}

/// A process that this one has started.
#[derive(Clone, Copy)]
struct Started {
    pid: i32,
    /// Since when it runs, as `stat` counts; `None`: that is not known.
    since: Option<u64>,
}

impl Started {
    /// Whether its end was not collected yet, as far as that can be told.
    fn lives(self) -> bool {
        let is_gone = |pid| test_kill_process(pid).is_err_and(|error| error == rustix::io::Errno::SRCH);
        if Pid::from_raw(self.pid).is_none_or(is_gone) {
            return false;
        }
        // Its id may belong to another one.
        match (self.since, stat(self.pid)) {
            (Some(since), Some(now)) => now.started == since,
            _ => true,
        }
    }
}

/// A process that is no orphan. Kept for as long as it is waited for.
pub(crate) struct Own {
    number: u64,
    since: Option<u64>,
}

impl Own {
    pub(crate) fn enter(id: Option<u32>) -> Option<Self> {
        let pid = i32::try_from(id?).ok()?; // silent-ok: ids of processes fit (`pid_t`)
        let since = stat(pid).map(|entry| entry.started);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut all = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, Started { pid, since });
        Some(Self { number, since })
    }

    /// Since when it runs, as `stat` counts.
    pub(super) fn since(&self) -> Option<u64> {
        self.since
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

fn own() -> Vec<Started> {
    let all = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    all.values().copied().collect()
}

/// True when no orphan is alive that can have been left by a program that has started at `since`. What a program has left is one,
/// or was left by one, from before the moment at which the program's own end can be collected. False also where that cannot be
/// told.
pub(super) fn none_left(since: Option<u64>) -> bool {
    if !ADOPTS.load(Ordering::Acquire) {
        return false;
    }
    let _alone = nobody_starts();
    let was_before = |orphan: &i32| {
        let orphan = stat(*orphan);
        orphan.zip(since).is_some_and(|(orphan, since)| orphan.started < since)
    };
    living().is_some_and(|orphans| orphans.iter().all(was_before))
}

/// The orphans that live; those that have ended are collected. `None`: that cannot be told. To be asked while nothing is being
/// started.
fn living() -> Option<BTreeSet<i32>> {
    for _ in 0..LOOKS {
        // The list leaves out others when one that it has given just now is gone (proc_pid_task_children(5)); then it is not in
        // the next one.
        let (Ok(children), Ok(again)) = (children(), children()) else {
            return None;
        };
        if children != again {
            continue;
        }
        let own: BTreeSet<i32> = own().into_iter().map(|one| one.pid).collect();
        let orphans: Vec<i32> = children.difference(&own).copied().collect();
        let living: BTreeSet<i32> = orphans.iter().copied().filter(|orphan| !has_ended(*orphan)).collect();
        // The orphans of one that ends have come here meanwhile, and are in the next list.
        if living.len() == orphans.len() {
            return Some(living);
        }
    }
    None
}

/// The orphans that no program can have left which lives: each of those has started after them. Some have put away the
/// variable that would tell whose they are.
fn strays() -> Vec<Entry> {
    if !ADOPTS.load(Ordering::Acquire) {
        return Vec::new();
    }
    let _alone = nobody_starts();
    let Some(living) = living().filter(|living| !living.is_empty() && OURS.load(Ordering::Acquire)) else {
        return Vec::new();
    };
    // One of which it is not known since when it runs may have left them all.
    let lives = own().into_iter().filter(|one| one.lives());
    let first = lives.map(|one| one.since.unwrap_or(0)).min();
    let entries = living.into_iter().filter_map(stat);
    entries
        .filter(|orphan| first.is_none_or(|first| orphan.started < first))
        .collect()
}

/// Ends the orphans that no program can have left which lives, with all that they have started. Takes time.
pub(super) fn end_strays() {
    let mut spared = SPARED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ended = BTreeSet::new();
    for round in 0.. {
        let strays = strays();
        let strays: Vec<Entry> = strays.into_iter().filter(|one| !spared.contains(&one.key())).collect();
        if strays.is_empty() {
            break;
        }
        if round == ROUNDS {
            let left: Vec<i32> = strays.iter().map(|one| one.pid).collect();
            tracing::warn!(
                ?left,
                "processes that programs have left cannot be ended; end them by hand"
            );
            spared.extend(strays.iter().map(Entry::key));
            break;
        }
        match kill_with_descendants(&strays) {
            Ok(struck) => {
                ended.extend(struck.iter().map(|(pid, _)| *pid));
                await_deaths(&struck);
            }
            Err(error) => {
                tracing::warn!(%error, "processes that programs have left cannot be ended: the list of processes cannot be read");
                break;
            }
        }
    }
    if !ended.is_empty() {
        tracing::info!(
            ?ended,
            "ended processes that programs which have ended had left without their marker"
        );
    }
}

/// Collects a child if it has ended.
fn has_ended(child: i32) -> bool {
    let Some(child) = Pid::from_raw(child) else {
        return false;
    };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match waitid(WaitId::Pid(child), options) {
        Ok(status) => status.is_some(),
        // Somebody else has collected it.
        Err(error) => error == rustix::io::Errno::CHILD,
    }
}

/// The children of the first thread: the system gives orphans to the first one that lives, and this one lives as long as the
/// process.
fn children() -> io::Result<BTreeSet<i32>> {
    let first = getpid().as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/self/task/{first}/children"))?;
    let ids = list.split_ascii_whitespace().map(str::parse);
    ids.collect::<Result<_, _>>().map_err(io::Error::other)
}
