//! How many files and connections the process may have open at once.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::doctor::{Check, Level, check};

/// What the daemon takes where it may: the systemd unit says the same. With more, programs of turns are slow that close whatever
/// they might have open.
const ENOUGH: u64 = 65_536;
/// What it needs besides connections: its databases, and files and pipes of the turns.
const BESIDE: u64 = 256;

/// Takes as many as it may: what shells set (often 1024) is for programs that wait with `select`.
pub(crate) fn raise() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if limit.current.is_none_or(|current| current >= enough) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(enough),
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Whether what a daemon may take is enough for its connections.
pub(crate) fn check_limit(max_connections: usize) -> Check {
    let name = "open files";
    let limit = getrlimit(Resource::Nofile);
    // What runs now may have been given more than it will be the next time, never less than it has.
    let most = match limit.maximum {
        Some(most) => most.min(ENOUGH).max(limit.current.unwrap_or(most)),
        None => return check(name, Level::Ok, "no limit", None),
    };
    let needed = u64::try_from(max_connections)
        .unwrap_or(u64::MAX)
        .saturating_add(BESIDE);
    if most >= needed {
        return check(name, Level::Ok, format!("up to {most}"), None);
    }
    let detail = format!(
        "{most} files may be open at once, and with {max_connections} connections {needed} may be needed: new connections then wait, \
         and turns fail"
    );
    let mend = "raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of a service), or lower `[server] max_connections`";
    check(name, Level::Warning, detail, Some(mend))
}
