//! Whether there is room for what the daemon writes.

use std::path::Path;

use rustix::fs::statvfs;

use super::{Check, Level, check};

/// Free bytes below which something should be known: a turn and its steps take some megabytes.
const LITTLE: u64 = 1 << 30;
/// Free bytes below which messages are about to be refused.
const NOTHING: u64 = 16 << 20;

/// What is left for the daemon's user on the disk of the state directory.
pub(super) fn check_room(state_dir: &Path) -> Check {
    let name = "disk";
    let mend =
        "make room: `du -sh` of the state directory says what is large there, and `[retention]` what goes by itself";
    // One that is not there yet will be made below one that is.
    let there = state_dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let room = match statvfs(there) {
        Ok(room) => room.f_bavail.saturating_mul(room.f_frsize),
        Err(errno) => {
            let detail = format!("how much is free below {} is not known: {errno}", there.display());
            return check(name, Level::Warning, detail, Some("see whether that disk is well"));
        }
    };
    let detail = format!("{} MiB are free below {}", room >> 20, there.display());
    if room < NOTHING {
        check(name, Level::Error, detail, Some(mend))
    } else if room < LITTLE {
        check(name, Level::Warning, detail, Some(mend))
    } else {
        check(name, Level::Ok, detail, None)
    }
}
