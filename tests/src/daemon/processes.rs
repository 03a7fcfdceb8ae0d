use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

/// Rounds of [`end`]: a process that is being killed may have forked before it died.
const ROUNDS: usize = 100;
/// Bytes of an environment that are looked at.
const ENVIRON_MAX: usize = 256 * 1024;

/// The processes that have `name=value` in their environment, by `/proc/*/environ`. Processes that cannot be read (those
/// of others) and zombies are left out.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn processes_with(name: &str, value: &str) -> Result<Vec<u32>> {
    let wanted = format!("{name}={value}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        if holds(&path, wanted.as_bytes()) {
            found.push(pid);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The processes that have a text in their arguments, by `/proc/*/cmdline`. Everybody can read those of everybody.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn arguments_with(text: &str) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default(); // silent-ok: the process has ended
        if arguments.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(pid);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Kills the processes that carry a marker; for clean-up, so it tells nothing.
pub fn end(name: &str, value: &str) {
    for _ in 0..ROUNDS {
        let found = processes_with(name, value).unwrap_or_default(); // silent-ok: without /proc there is nothing to find
        if found.is_empty() {
            return;
        }
        for pid in found
            .into_iter()
            .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        {
            let _ = kill_process(pid, Signal::KILL); // silent-ok: it has ended by itself
        }
        std::thread::yield_now();
    }
}

fn holds(process: &Path, wanted: &[u8]) -> bool {
    // silent-ok: the process ended meanwhile, or belongs to somebody else
    environment(process).is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|entry| entry == wanted))
}

/// The environment of a process under `/proc`; empty while it is starting a program. Taken in one read: between two of them the
/// process may start another one, and the rest would be missing.
pub(crate) fn environment(process: &Path) -> std::io::Result<Vec<u8>> {
    let mut environ = vec![0; ENVIRON_MAX];
    let length = std::fs::File::open(process.join("environ"))?.read(&mut environ)?;
    environ.truncate(length);
    Ok(environ)
}

/// Whether a process has ended, collected or not.
#[must_use]
pub fn has_ended(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(_) => true, // silent-ok: it is gone
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::daemon::LIMIT;
    use crate::eventually;

    #[tokio::test]
    async fn finds_and_ends_only_the_marked() -> Result<()> {
        let value = uuid::Uuid::new_v4().to_string();
        let sleep = |value: &str| {
            Command::new("sleep")
                .arg("600")
                .env("REVEILLE_MARK", value)
                .spawn()
                .expect("sleep")
        };
        let (mut marked, mut other) = (sleep(&value), sleep(&format!("{value}0")));
        // A process has no environment to read before its program has started.
        eventually("the marked one is found", LIMIT, async || {
            Ok((processes_with("REVEILLE_MARK", &value)? == [marked.id()]).then_some(()))
        })
        .await?;
        end("REVEILLE_MARK", &value);
        assert_eq!(marked.wait().expect("wait").signal(), Some(9));
        assert!(processes_with("REVEILLE_MARK", &value).expect("/proc").is_empty());
        assert!(other.try_wait().expect("wait").is_none());
        other.kill().expect("kill");
        other.wait().expect("wait");
        Ok(())
    }
}
