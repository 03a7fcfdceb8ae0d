//! The search through `/proc`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Census, SweepReport};

/// Searches before giving up; with [`ROUND`] they make five seconds.
pub(super) const ROUNDS: usize = 50;
/// The longest wait for the killed ones of one search.
const ROUND: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Until the next search when all that the last one found was just starting a program.
const SOON: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};
/// More bytes than `stat` of a process has: 50 numbers of 20 digits at most, and a name of 64.
const STAT: usize = 2048;
/// Bytes of an environment that are read at once.
const ENVIRON: usize = 64 * 1024;
/// How often an environment must be found empty beside arguments that are not, before it counts as empty.
const READS: usize = 8;
/// Flags of a process that has no memory of its own: it is ending, or is a thread of the kernel.
const PF_EXITING: u64 = 0x4;
const PF_KTHREAD: u64 = 0x0020_0000;

/// One process at one moment. Ids are used again, so a process is known by its id and its start together.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) pid: i32,
    parent: i32,
    /// The session of processes (`setsid`) that it is in.
    session: i32,
    pub(super) started: u64,
    dead: bool,
    /// Whether it runs a program, or is about to.
    program: bool,
}

impl Entry {
    /// What no other process has.
    pub(super) fn key(&self) -> (i32, u64) {
        (self.pid, self.started)
    }
}

/// What a process has in its environment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ours,
    NotOurs,
    /// It is starting another program: for a moment there is nothing to read.
    Unknown,
}

/// What one search found.
struct Found {
    struck: Vec<(i32, OwnedFd)>,
    /// Processes of which it is not known yet whose they are.
    unknown: usize,
}

/// A search for the processes of one marker.
pub(crate) struct Hunt {
    marker: Vec<u8>,
    /// Whoever has started before cannot have the marker, and is not asked.
    since: u64,
    /// Found before; may have lost the marker (`env -i`) or the parent since.
    known: HashSet<(i32, u64)>,
}

impl Hunt {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self {
            marker: format!("{key}={value}").into_bytes(),
            since: 0,
            known: HashSet::new(),
        }
    }

    /// Nobody who has started before that process can have the marker.
    pub(crate) fn since(mut self, root: i32) -> Self {
        self.since = stat(root).map_or(0, |entry| entry.started);
        self
    }

    /// Remembers `root` and all its descendants, so that those without the marker are found later too. Call it while `root`
    /// lives: afterwards its children belong to another parent.
    pub(crate) fn note_descendants(&mut self, root: i32) -> io::Result<()> {
        let table = scan()?;
        self.known.extend(
            with_descendants(&table, vec![root])
                .into_iter()
                .map(|entry| entry.key()),
        );
        Ok(())
    }

    /// Another search for the same.
    pub(crate) fn again(&self) -> Self {
        Self {
            marker: self.marker.clone(),
            since: self.since,
            known: self.known.clone(),
        }
    }

    /// Counts without killing. `root` is the process that was started, `program` the one that does the work, itself or below it.
    /// What the program's tools start is in sessions of its own.
    pub(crate) fn census(&self, root: i32, program: i32) -> io::Result<Census> {
        let table = scan()?;
        let spared = self_and_ancestors(&table);
        let ours = |entry: &&Entry| entry.pid == root || self.mark(**entry) == Mark::Ours;
        let living = |entry: &&Entry| !entry.dead && !spared.contains(&entry.pid);
        let roots = table
            .iter()
            .filter(living)
            .filter(ours)
            .map(|entry| entry.pid)
            .collect();
        let members = with_descendants(&table, roots);
        let parents: HashMap<i32, (i32, i32)> = table.iter().map(|it| (it.pid, (it.parent, it.session))).collect();
        let session = parents.get(&program).map(|(_, session)| *session);
        // Between the two there are those that keep the program in.
        let mut keepers = HashSet::new();
        let mut next = Some(program);
        while let Some(pid) = next.filter(|pid| keepers.insert(*pid) && *pid != root) {
            next = parents.get(&pid).map(|(parent, _)| *parent);
        }
        let mut census = Census::default();
        for entry in members.iter().filter(living) {
            census.bytes += resident_bytes(entry.pid);
            let at_home = keepers.contains(&entry.pid) || Some(entry.session) == session;
            census.strangers += usize::from(!at_home);
        }
        Ok(census)
    }

    fn mark(&self, entry: Entry) -> Mark {
        if entry.started < self.since {
            return Mark::NotOurs;
        }
        mark(entry, &self.marker)
    }

    /// Kills what one search finds, without waiting for the deaths.
    pub(crate) fn strike(&mut self) -> io::Result<Vec<(i32, OwnedFd)>> {
        Ok(self.search()?.struck)
    }

    fn search(&mut self) -> io::Result<Found> {
        let table = scan_shared()?;
        let spared = self_and_ancestors(&table);
        let (mut roots, mut unknown) = (Vec::new(), 0);
        for entry in &*table {
            if entry.dead || spared.contains(&entry.pid) {
                continue;
            }
            let mark = match self.known.contains(&entry.key()) {
                true => Mark::Ours,
                false => self.mark(*entry),
            };
            match mark {
                Mark::Ours => roots.push(entry.pid),
                Mark::NotOurs => {}
                Mark::Unknown => unknown += 1,
            }
        }
        let mut struck = Vec::new();
        for entry in with_descendants(&table, roots) {
            if entry.dead || spared.contains(&entry.pid) {
                continue;
            }
            self.known.insert(entry.key());
            struck.extend(kill(entry).map(|handle| (entry.pid, handle)));
        }
        Ok(Found { struck, unknown })
    }

    /// Strikes until nothing is found any more.
    pub(super) fn run(mut self) -> SweepReport {
        let mut killed = BTreeSet::new();
        let mut left = BTreeSet::new();
        for _ in 0..ROUNDS {
            let Found { struck, unknown } = match self.search() {
                Ok(found) => found,
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
            killed.extend(&left);
            match (left.is_empty(), unknown) {
                (true, 0) => break,
                (true, _) => pause(),
                (false, _) => await_deaths(&struck),
            }
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

/// Kills processes and all their descendants, without waiting for the deaths.
pub(super) fn kill_with_descendants(roots: &[Entry]) -> io::Result<Vec<(i32, OwnedFd)>> {
    let table = scan_shared()?;
    let roots: HashSet<(i32, u64)> = roots.iter().map(Entry::key).collect();
    let roots = table.iter().filter(|entry| roots.contains(&entry.key()));
    let all = with_descendants(&table, roots.map(|entry| entry.pid).collect());
    let living = all.into_iter().filter(|entry| !entry.dead);
    Ok(living.filter_map(|entry| Some((entry.pid, kill(entry)?))).collect())
}

/// A handle turns readable when its process ends.
pub(super) fn await_deaths(struck: &[(i32, OwnedFd)]) {
    for (_, handle) in struck {
        // silent-ok: an interrupted wait only makes the next search come earlier.
        let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&ROUND));
    }
}

fn pause() {
    // silent-ok: as above.
    let _ = poll(&mut [], Some(&SOON));
}

/// The last look at all processes. Whoever asks while one is on its way shares the next one: turns end together, and there may
/// be many processes.
static LAST: Mutex<Option<(u64, Arc<[Entry]>)>> = Mutex::new(None);
/// Looks that have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// All processes, looked at after this was asked.
fn scan_shared() -> io::Result<Arc<[Entry]>> {
    let asked = BEGUN.load(Ordering::SeqCst);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((number, table)) = &*last
        && *number > asked
    {
        return Ok(Arc::clone(table));
    }
    let number = BEGUN.fetch_add(1, Ordering::SeqCst) + 1;
    let table: Arc<[Entry]> = scan()?.into();
    *last = Some((number, Arc::clone(&table)));
    Ok(table)
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

/// `None` when the process is gone, or cannot be looked at.
pub(super) fn stat(pid: i32) -> Option<Entry> {
    // One read: there are many of them.
    let mut bytes = [0; STAT];
    // silent-ok: a process may end at any moment.
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut bytes).ok()?; // silent-ok: likewise
    let bytes = bytes.get(..length)?;
    // The second field is the name in parentheses, which may itself hold blanks and parentheses.
    let tail = bytes
        .iter()
        .rposition(|&byte| byte == b')')
        .and_then(|at| bytes.get(at + 1..))?;
    // silent-ok: the kernel writes these fields in ASCII.
    let mut fields = std::str::from_utf8(tail).ok()?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    // silent-ok: the kernel writes these fields as numbers (proc_pid_stat(5): ppid is field 4, session 6, flags 9, starttime 22).
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let flags: u64 = fields.nth(2)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    Some(Entry {
        pid,
        parent,
        session,
        started,
        dead,
        program: flags & (PF_EXITING | PF_KTHREAD) == 0,
    })
}

/// Memory that a process has; none when it is gone.
fn resident_bytes(pid: i32) -> u64 {
    // silent-ok: as above.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()); // silent-ok: as above
    kib.unwrap_or(0) * 1024
}

/// The environment of a process; empty while it starts another program.
fn environment(pid: i32) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(format!("/proc/{pid}/environ"))?;
    let mut environ = vec![0; ENVIRON];
    let mut length = 0;
    // The first read takes what is usual as a whole: between two of them the process may have started another program, and
    // the rest would be missing.
    loop {
        let read = file.read(&mut environ[length..])?;
        length += read;
        if read == 0 || length < environ.len() {
            environ.truncate(length);
            return Ok(environ);
        }
        environ.resize(length + ENVIRON, 0);
    }
}

fn mark(entry: Entry, marker: &[u8]) -> Mark {
    let environ = || {
        // silent-ok: processes of other users cannot be read, and are none of ours. One that is gone is nobody's.
        let environ = environment(entry.pid).ok().filter(|environ| !environ.is_empty())?;
        let ours = environ.split(|&byte| byte == 0).any(|it| it == marker);
        Some(if ours { Mark::Ours } else { Mark::NotOurs })
    };
    // silent-ok: as above.
    let arguments = || fs::read(format!("/proc/{}/cmdline", entry.pid)).is_ok_and(|arguments| !arguments.is_empty());
    // The kernel takes the old environment and arguments away before it has put the new ones there. A program may also run
    // without an environment, but not without arguments. The two cannot be read at one moment, hence the repetitions.
    for _ in 0..READS {
        match environ() {
            Some(mark) => return mark,
            None if !entry.program => return Mark::NotOurs,
            None if !arguments() => return Mark::Unknown,
            None => {}
        }
    }
    Mark::NotOurs
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

    /// A program that waits for its stdin to close.
    fn waiting(marker: &str) -> std::process::Child {
        let mut command = std::process::Command::new("cat");
        let command = command
            .env("REVEILLE_HUNTED", marker)
            .stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn who_has_started_before_the_first_one_is_left_alone() {
        let marker = format!("{}", std::process::id());
        let start_of = |child: &std::process::Child| stat(i32::try_from(child.id()).unwrap()).unwrap().started;
        let mut old = waiting(&marker);
        // Starts are counted in hundredths of a second.
        let mut new = loop {
            let mut new = waiting("another");
            if start_of(&new) > start_of(&old) {
                break new;
            }
            new.kill().and_then(|()| new.wait()).unwrap();
        };
        let hunt = || Hunt::new("REVEILLE_HUNTED", &marker);
        let later = hunt().since(i32::try_from(new.id()).unwrap()).run();
        assert_eq!((later.killed, later.problem), (vec![], None));
        assert!(old.try_wait().unwrap().is_none());
        let all = hunt().since(i32::try_from(old.id()).unwrap()).run();
        assert_eq!(all.killed, [i32::try_from(old.id()).unwrap()]);
        old.wait().unwrap();
        new.kill().and_then(|()| new.wait()).unwrap();
    }
}
