//! Inside, as the program of a probe: tries what must not be possible beside what must be, and says what came of it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::probe::{Found, Task};

/// For one connection; those that are refused are so at once.
const CONNECT: Duration = Duration::from_secs(5);
/// A line of `/proc/self/uid_map` for a process that is in no namespace of its own.
const ALL_USERS: &str = "4294967295";

/// Reads a [`Task`] from its only argument and prints [`Found`].
pub(super) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let task = args.next().and_then(|text| text.into_string().ok()); // silent-ok: answered below.
    let Some(task) = task.and_then(|text| serde_json::from_str::<Task>(&text).ok()) else {
        return ExitCode::from(2);
    };
    let printed = serde_json::to_vec(&attempt(&task)).map(|found| std::io::stdout().write_all(&found));
    if matches!(printed, Ok(Ok(()))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn attempt(task: &Task) -> Found {
    let reads = |path: &Path| std::fs::read(path).is_ok_and(|bytes| !bytes.is_empty());
    let writes = |path: &Path| std::fs::write(path, "written").is_ok();
    writes(&task.outside);
    Found {
        reads_shown: reads(&task.shown),
        reads_hidden: reads(&task.hidden),
        reads_masked: reads(&task.masked),
        writes_allowed: writes(&task.allowed),
        writes_shown: writes(&task.shown),
        writes_hidden: false,
        reaches_mapped: reaches(task.mapped),
        reaches_host: reaches(task.host),
        makes_local_sockets: makes_local_sockets(task),
        sees_keeper: Path::new("/proc/1/mem").exists(),
        new_privileges: status("NoNewPrivs:").as_deref() != Some("1"),
        seccomp: status("Seccomp:").as_deref() == Some("2"),
        userns: !std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains(ALL_USERS)),
        #[cfg(target_os = "linux")]
        landlock_abi: super::fence::version(),
        #[cfg(not(target_os = "linux"))]
        landlock_abi: 0,
    }
}

/// A filter of system calls denies a socket itself, a profile of macOS what it is for.
fn makes_local_sockets(task: &Task) -> bool {
    if cfg!(target_os = "linux") {
        UnixDatagram::unbound().is_ok() || UnixDatagram::pair().is_ok()
    } else {
        UnixDatagram::bind(task.allowed.with_extension("socket")).is_ok()
    }
}

/// Whether something answers on a port of the loopback.
fn reaches(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, CONNECT) else {
        return false;
    };
    let mut answer = [0];
    stream.set_read_timeout(Some(CONNECT)).is_ok() && stream.read_exact(&mut answer).is_ok()
}

/// A field of what the kernel says about this process.
fn status(field: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?; // silent-ok: then it is not known to hold.
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .map(|value| value.trim().to_owned())
}
