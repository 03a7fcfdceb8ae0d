//! Whether the programs of turns have left anything behind, without a look at every process of the machine: Linux gives a process
//! whose parent has ended to the nearest ancestor that asks for it (`PR_SET_CHILD_SUBREAPER` in prctl(2)), and the daemon finds it
//! among its own children.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From the end of a child to the look for orphans that have ended: what ends together is collected together.
const GATHER: Duration = Duration::from_millis(200);
/// Looks in a row before it counts as unknown. One is repeated when something has ended meanwhile.
const LOOKS: usize = 16;

/// Whether orphans come to this process.
static ADOPTS: AtomicBool = AtomicBool::new(false);
/// What this process has started and waits for itself.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// Shared by those who start a process that is not entered yet; a look has it alone.
static STARTING: RwLock<()> = RwLock::new(());

/// Orphans come to this process from now on, and are collected when they have ended, for as long as the runtime lives in which
/// this is called. Whoever calls it starts all its processes by way of this crate: the others would be taken for orphans.
///
/// # Errors
/// The system cannot do it: then everything goes on by a look at every process.
pub fn adopt_orphans() -> io::Result<()> {
    let ends = signal(SignalKind::child())?;
    set_child_subreaper(Some(getpid()))?;
    ADOPTS.store(true, Ordering::Release);
    tokio::spawn(collect(ends));
    Ok(())
}

/// Collects orphans whenever a child has ended. A turn's end collects too, but some end after that: the first process of a
/// sandbox does, when all others are gone.
async fn collect(mut ends: Signal) {
    while ends.recv().await.is_some() {
        tokio::time::sleep(GATHER).await;
        let _ = none_left(); // silent-ok: those that live are dealt with at the end of their turn
    }
}

/// A process is being started. Held until it is entered.
pub(crate) fn starting() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// A process that is no orphan. Kept for as long as it is waited for.
pub(crate) struct Own(i32);

impl Own {
    pub(crate) fn enter(id: Option<u32>) -> Option<Self> {
        let id = i32::try_from(id?).ok()?; // silent-ok: ids of processes fit (`pid_t`)
        OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Some(Self(id))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// True when no orphan is alive. What a program has left is one, or was left by one, from before the moment at which the program's
/// own end can be collected. False also where that cannot be told.
pub(super) fn none_left() -> bool {
    if !ADOPTS.load(Ordering::Acquire) {
        return false;
    }
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..LOOKS {
        // The list leaves out others when one that it has given just now is gone (proc_pid_task_children(5)); then it is not in
        // the next one.
        let (Ok(children), Ok(again)) = (children(), children()) else {
            return false;
        };
        if children != again {
            continue;
        }
        let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut orphans = children.difference(&own).copied().peekable();
        if orphans.peek().is_none() {
            return true;
        }
        // The orphans of one that ends have come here meanwhile, and are in the next list.
        if !orphans.all(has_ended) {
            return false;
        }
    }
    false
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
