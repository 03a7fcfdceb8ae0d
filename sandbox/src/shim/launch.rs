//! Outside: from a spawned process to bubblewrap. Nothing of the daemon is inherited but stdin, stdout and the socket.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::net::{RecvFlags, SendFlags, send};

use super::wire::{self, FAILED, LAUNCH};

/// Where bubblewrap finds the shim.
pub(crate) const SHIM: &str = "/run/reveille/init";

/// Becomes bubblewrap, or says on the socket why not.
pub(super) fn main() -> ExitCode {
    let Err(error) = become_bubblewrap();
    let text = [FAILED, error.to_string().as_bytes()].concat();
    // silent-ok: without a socket there is nobody to tell.
    let _ = send(rustix::stdio::stderr(), &text, SendFlags::NOSIGNAL);
    ExitCode::from(127)
}

fn become_bubblewrap() -> io::Result<Infallible> {
    close_on_exec()?;
    // The only ones that bubblewrap shall inherit, hence without the flag.
    let message = wire::receive(rustix::stdio::stderr(), RecvFlags::empty())?;
    let text = message
        .bytes
        .strip_prefix(LAUNCH)
        .ok_or_else(|| io::Error::other("the daemon is another version than its file: restart it"))?;
    let [mounts, seals, copies @ ..] = &message.fds[..] else {
        return Err(io::Error::other("the arguments are missing"));
    };
    let mut paths = text.split(|&byte| byte == 0).map(OsStr::from_bytes);
    let mut command = Command::new(paths.next().unwrap_or_default());
    let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    command.args(["--args", &number(mounts)]);
    for (path, copy) in paths.zip(copies) {
        command.args(["--perms", "0444", "--file", &number(copy)]).arg(path);
    }
    command.args(["--args", &number(seals), "--", SHIM, super::INIT_COMMAND]);
    let error = command.exec();
    Err(io::Error::new(
        error.kind(),
        format!("bubblewrap cannot be run: {error}"),
    ))
}

/// Lets no descriptor but 0, 1 and 2 go on to the next program.
pub(super) fn close_on_exec() -> io::Result<()> {
    #[expect(unsafe_code, reason = "there is no safe wrapper")]
    // SAFETY: sets a flag of descriptors; no descriptor is closed or changes its owner.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
