//! The search through `/proc`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::SweepReport;

/// Searches before giving up; with [`ROUND`] they make five seconds.
const ROUNDS: usize = 50;
/// The longest wait for the killed ones of one search.
const ROUND: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// One process at one moment. Ids are used again, so a process is known by its id and its start together.
#[derive(Clone, Copy)]
struct Entry {
    pid: i32,
    parent: i32,
    started: u64,
    dead: bool,
}

/// A search for the processes of one marker.
pub(crate) struct Hunt {
    marker: Vec<u8>,
    /// Found before; may have lost the marker (`env -i`) or the parent since.
    known: HashSet<(i32, u64)>,
}

impl Hunt {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self {
            marker: format!("{key}={value}").into_bytes(),
            known: HashSet::new(),
        }
    }

    /// Remembers `root` and all its descendants, so that those without the marker are found later too. Call it while `root`
    /// lives: afterwards its children belong to another parent.
    pub(crate) fn note_descendants(&mut self, root: i32) -> io::Result<()> {
        let table = scan()?;
        self.known.extend(
            with_descendants(&table, vec![root])
                .into_iter()
                .map(|entry| (entry.pid, entry.started)),
        );
        Ok(())
    }

    /// Kills what one search finds, without waiting for the deaths.
    pub(crate) fn strike(&mut self) -> io::Result<Vec<(i32, OwnedFd)>> {
        let table = scan()?;
        let spared = self_and_ancestors(&table);
        let roots = table
            .iter()
            .filter(|entry| !entry.dead && !spared.contains(&entry.pid))
            .filter(|entry| self.known.contains(&(entry.pid, entry.started)) || carries(entry.pid, &self.marker))
            .map(|entry| entry.pid)
            .collect();
        let mut struck = Vec::new();
        for entry in with_descendants(&table, roots) {
            if entry.dead || spared.contains(&entry.pid) {
                continue;
            }
            self.known.insert((entry.pid, entry.started));
            struck.extend(kill(entry).map(|handle| (entry.pid, handle)));
        }
        Ok(struck)
    }

    /// Strikes until nothing is found any more.
    pub(super) fn run(mut self) -> SweepReport {
        let mut killed = BTreeSet::new();
        let mut left = BTreeSet::new();
        for _ in 0..ROUNDS {
            let struck = match self.strike() {
                Ok(struck) => struck,
                Err(error) => {
                    let problem = Some(format!("the list of processes cannot be read: {error}"));
                    return SweepReport {
                        killed: killed.into_iter().collect(),
                        left: left.into_iter().collect(),
                        problem,
                    };
                }
            };
            left = struck.iter().map(|(pid, _)| *pid).collect();
            if left.is_empty() {
                break;
            }
            killed.extend(&left);
            await_deaths(&struck);
        }
        killed.retain(|pid| !left.contains(pid));
        SweepReport {
            killed: killed.into_iter().collect(),
            left: left.into_iter().collect(),
            problem: None,
        }
    }

    /// [`Hunt::run`] for a caller who has nobody to tell.
    pub(crate) fn run_unseen(self) {
        let report = self.run();
        if !report.left.is_empty() || report.problem.is_some() {
            tracing::warn!(?report, "processes of an abandoned turn may be left");
        }
    }
}

/// Kills exactly the process of `entry`: its id may have gone to another one since the search.
fn kill(entry: Entry) -> Option<OwnedFd> {
    let pid = Pid::from_raw(entry.pid)?;
    // silent-ok: it has ended by itself, which is what was wanted.
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    if stat(entry.pid).is_none_or(|now| now.started != entry.started || now.dead) {
        return None;
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) => Some(handle),
        Err(rustix::io::Errno::SRCH) => None,
        Err(error) => {
            tracing::warn!(pid = entry.pid, %error, "a process of a turn cannot be killed");
            Some(handle)
        }
    }
}

/// A handle turns readable when its process ends.
fn await_deaths(struck: &[(i32, OwnedFd)]) {
    for (_, handle) in struck {
        // silent-ok: an interrupted wait only makes the next search come earlier.
        let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&ROUND));
    }
}

fn scan() -> io::Result<Vec<Entry>> {
    let mut table = Vec::new();
    for dir in fs::read_dir("/proc")? {
        let name = dir?.file_name();
        // silent-ok: the other entries of /proc are no processes.
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            table.extend(stat(pid));
        }
    }
    Ok(table)
}

/// `None` when the process is gone.
fn stat(pid: i32) -> Option<Entry> {
    // silent-ok: a process may end at any moment.
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may itself hold blanks and parentheses.
    let tail = bytes
        .iter()
        .rposition(|&byte| byte == b')')
        .and_then(|at| bytes.get(at + 1..))?;
    // silent-ok: the kernel writes these fields in ASCII.
    let mut fields = std::str::from_utf8(tail).ok()?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    // silent-ok: the kernel writes these fields as numbers (proc_pid_stat(5): ppid is field 4, starttime 22).
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Entry {
        pid,
        parent,
        started,
        dead,
    })
}

fn carries(pid: i32, marker: &[u8]) -> bool {
    // silent-ok: processes of other users cannot be read, and are none of ours.
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|it| it == marker))
}

fn with_descendants(table: &[Entry], roots: Vec<i32>) -> Vec<Entry> {
    let mut children: HashMap<i32, Vec<Entry>> = HashMap::new();
    for entry in table {
        children.entry(entry.parent).or_default().push(*entry);
    }
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut found: Vec<Entry> = table
        .iter()
        .filter(|entry| seen.contains(&entry.pid))
        .copied()
        .collect();
    let mut next = roots;
    while let Some(pid) = next.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push(*child);
                next.push(child.pid);
            }
        }
    }
    found
}

fn self_and_ancestors(table: &[Entry]) -> HashSet<i32> {
    let parents: HashMap<i32, i32> = table.iter().map(|entry| (entry.pid, entry.parent)).collect();
    let mut spared = HashSet::from([1]);
    let mut next = Some(rustix::process::getpid().as_raw_nonzero().get());
    while let Some(pid) = next.filter(|pid| spared.insert(*pid)) {
        next = parents.get(&pid).copied();
    }
    spared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_its_parent_and_the_first_are_spared() {
        let spared = self_and_ancestors(&scan().unwrap());
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!([own, parent, 1].iter().all(|pid| spared.contains(pid)), "{spared:?}");
    }

    #[test]
    fn a_process_is_read_with_its_parent() {
        let own = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert_eq!((own.parent, own.dead), (parent, false));
        assert!(own.started > 0);
    }
}
