//! An eye on the process table: never two children of one conversation, never something of an earlier run of the daemon beside
//! something of the present one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;

use crate::daemon::environment;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(40);
/// Between a look that found something and the one that says whether it is still so.
const AGAIN: Duration = Duration::from_millis(5);
/// Its value ends with the number of the daemon's run.
pub(super) const RUN: &str = "REVEILLE_TEST_LEDGER";
/// Its value is another one in each conversation.
const HOME: &str = "CLAUDE_CONFIG_DIR";

/// A process with the marker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    /// Ids are used again, so a process is known by its id and its start together.
    pid: u32,
    started: u64,
    parent: u32,
    /// Whether it is the CLI and not one of its tools.
    cli: bool,
    conversation: String,
    /// Of the daemon.
    run: String,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Sightings {
    /// Sentences. Each is a bug.
    pub(super) violations: BTreeSet<String>,
    /// Looks.
    pub(super) looks: u64,
    /// Looks that saw several conversations at work.
    pub(super) busy: u64,
    /// Most CLIs at once.
    pub(super) most: usize,
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Witness {
    sightings: Arc<Mutex<Sightings>>,
    task: JoinHandle<()>,
}

impl Witness {
    /// `marker`: what each process of interest has in its environment.
    pub(super) fn start(marker: String) -> Self {
        let sightings = Arc::<Mutex<Sightings>>::default();
        let kept = Arc::clone(&sightings);
        let task = tokio::spawn(async move {
            loop {
                let found = look(&marker).await;
                kept.lock().unwrap_or_else(PoisonError::into_inner).add(found);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { sightings, task }
    }

    pub(super) fn sightings(&self) -> Sightings {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sightings {
    fn add(&mut self, found: Result<(usize, Vec<String>)>) {
        match found {
            Ok((clis, violations)) => {
                self.looks += 1;
                self.busy += u64::from(clis > 1);
                self.most = self.most.max(clis);
                self.violations.extend(violations);
            }
            Err(error) => {
                self.violations
                    .insert(format!("the process table cannot be read: {error:#}"));
            }
        }
    }
}

/// One look: how many CLIs run, and what is wrong with them. The table is not read at one moment, so what looks wrong counts
/// only when the same processes still look so a moment later.
async fn look(marker: &str) -> Result<(usize, Vec<String>)> {
    let first = scan(marker)?;
    let clis = clis(&first).len();
    if judge(&first).is_empty() {
        return Ok((clis, Vec::new()));
    }
    tokio::time::sleep(AGAIN).await;
    let second = scan(marker)?;
    let both: BTreeSet<Seen> = first.intersection(&second).cloned().collect();
    Ok((clis, judge(&both)))
}

/// The CLIs. One that is just starting a tool looks like two for a moment.
fn clis(seen: &BTreeSet<Seen>) -> Vec<&Seen> {
    let all: BTreeMap<u32, &Seen> = seen.iter().filter(|one| one.cli).map(|one| (one.pid, one)).collect();
    let own = |cli: &&&Seen| !all.contains_key(&cli.parent);
    all.values().filter(own).copied().collect()
}

fn judge(seen: &BTreeSet<Seen>) -> Vec<String> {
    let mut wrong = Vec::new();
    let runs: BTreeSet<&str> = seen.iter().map(|one| one.run.as_str()).collect();
    if runs.len() > 1 {
        wrong.push(format!(
            "processes of several runs of the daemon live together: {seen:?}"
        ));
    }
    let mut conversations: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for cli in clis(seen) {
        conversations.entry(&cli.conversation).or_default().push(cli);
    }
    for children in conversations.values().filter(|children| children.len() > 1) {
        wrong.push(format!("a conversation has several children: {children:?}"));
    }
    wrong
}

/// The processes with a marker that are alive.
fn scan(marker: &str) -> Result<BTreeSet<Seen>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        // silent-ok: not a process, or one that has ended meanwhile, or one of somebody else.
        found.extend(pid.and_then(|pid| process(&path, pid, marker)));
    }
    Ok(found)
}

fn process(path: &Path, pid: u32, marker: &str) -> Option<Seen> {
    let environ = environment(path).ok()?; // silent-ok: see above
    let environ: Vec<_> = environ.split(|&byte| byte == 0).collect();
    if !environ.contains(&marker.as_bytes()) {
        return None;
    }
    let value = |name: &str| {
        let values = environ.iter().filter_map(|entry| entry.strip_prefix(name.as_bytes()));
        let value = values.filter_map(|rest| rest.strip_prefix(b"=")).next_back();
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    let command = std::fs::read(path.join("cmdline")).ok()?; // silent-ok: see above
    let mut words = command.split(|&byte| byte == 0).skip(1);
    let cli = words.next() == Some(b"stand-in") && words.next() == Some(b"-p");
    let stat = std::fs::read_to_string(path.join("stat")).ok()?; // silent-ok: see above
    // The name, which stands in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?; // silent-ok: the kernel writes numbers there
    let started = fields.nth(17)?.parse().ok()?; // silent-ok: as above
    (!matches!(state, "Z" | "X")).then(|| Seen {
        pid,
        started,
        parent,
        cli,
        conversation: value(HOME),
        run: value(RUN),
    })
}

/// The processes of other runs of the daemon than this one.
pub(super) fn strangers(marker: &str, run: &str) -> Result<Vec<String>> {
    let found = scan(marker)?.into_iter().filter(|seen| seen.run != run);
    Ok(found.map(|seen| format!("{seen:?}")).collect())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn seen(pid: u32, parent: u32, cli: bool, conversation: &str, run: &str) -> Seen {
        let (conversation, run) = (conversation.to_owned(), run.to_owned());
        Seen {
            pid,
            started: 1,
            parent,
            cli,
            conversation,
            run,
        }
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let fine = [
            seen(2, 1, true, "a", "1"),
            seen(3, 2, true, "a", "1"),
            seen(4, 3, false, "a", "1"),
            seen(5, 1, true, "b", "1"),
        ];
        assert_eq!(judge(&fine.clone().into()), Vec::<String>::new());
        for other in [seen(6, 1, true, "b", "1"), seen(6, 1, false, "c", "2")] {
            let wrong = fine.iter().cloned().chain([other]).collect();
            assert_eq!(judge(&wrong).len(), 1, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn only_the_marked_are_found() -> Result<()> {
        let value = uuid::Uuid::new_v4().to_string();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .env("REVEILLE_MARK", &value)
            .env(RUN, "/ledger/7")
            .spawn()?;
        let marker = format!("REVEILLE_MARK={value}");
        // For a moment after it was spawned a process has no environment yet.
        let found = crate::eventually("the process shows its marks", crate::daemon::LIMIT, async || {
            let found: Vec<_> = scan(&marker)?.into_iter().map(|seen| (seen.pid, seen.cli)).collect();
            Ok((!found.is_empty()).then_some(found))
        });
        let found = found.await?;
        let (of_other, of_own) = (
            strangers(&marker, "/ledger/8")?.len(),
            strangers(&marker, "/ledger/7")?.len(),
        );
        let ended = crate::daemon::has_ended(child.id());
        child.kill()?;
        child.wait()?;
        assert_eq!((found, of_other, of_own), (vec![(child.id(), false)], 1, 0));
        assert_eq!((ended, crate::daemon::has_ended(child.id())), (false, true));
        Ok(())
    }
}
