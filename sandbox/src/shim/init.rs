//! Inside: the last steps before the program, each of which narrows what is left.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::wire::{self, FAILED, FDS_MAX, GO, ORDER, Order, READY};
use super::{fence, filter};

/// Where bubblewrap finds the shim.
pub(crate) const SHIM: &str = "/run/reveille/init";

/// Becomes the program, or says why not.
pub(super) fn main() -> ExitCode {
    let (order, complaints) = match prepare() {
        Ok(prepared) => prepared,
        Err(error) => {
            let text = [FAILED, error.to_string().as_bytes()].concat();
            // silent-ok: without a socket there is nobody to tell.
            let _ = send(rustix::stdio::stderr(), &text, SendFlags::NOSIGNAL);
            return ExitCode::from(127);
        }
    };
    let Err(error) = become_program(&order);
    // silent-ok: as above.
    let _ = File::from(complaints).write_all(error.to_string().as_bytes());
    ExitCode::from(127)
}

/// All that needs the daemon. Afterwards nothing leads to it any more, but the end for complaints, which the program does
/// not get.
fn prepare() -> io::Result<(Order, OwnedFd)> {
    let socket = rustix::stdio::stderr();
    let message = wire::receive(socket, RecvFlags::CMSG_CLOEXEC)?;
    if !message.bytes.starts_with(ORDER) {
        return Err(io::Error::other(
            "the daemon is another version than its file: restart it",
        ));
    }
    let Ok([order, stdin, stderr, complaints]) = <[OwnedFd; 4]>::try_from(message.fds) else {
        return Err(io::Error::other("the order is incomplete"));
    };
    let order = read_order(order)?;
    limit(&order)?;
    go_first();
    check_places(&order)?;
    rustix::process::chdir(order.cwd.as_os_str())
        .map_err(|error| told("the working directory", &order.cwd, &error.into()))?;
    hand_over_listeners(&order)?;
    if wire::receive(socket, RecvFlags::CMSG_CLOEXEC)?.bytes != GO {
        return Err(io::Error::other("the daemon is gone"));
    }
    rustix::stdio::dup2_stdin(&stdin)?;
    rustix::stdio::dup2_stderr(&stderr)?;
    Ok((order, complaints))
}

fn read_order(order: OwnedFd) -> io::Result<Order> {
    let mut file = File::from(order);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Order::decode(&bytes)
}

fn told(what: &str, path: &OsStr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

fn limit(order: &Order) -> io::Result<()> {
    for (resource, wanted) in [
        (Resource::Core, 0),
        (Resource::Nofile, order.limits.open_files),
        (Resource::Nproc, order.limits.processes),
    ] {
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(wanted);
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, both)?;
    }
    Ok(())
}

/// When the memory of the machine is used up, an agent ends before the daemon and what else runs there.
fn go_first() {
    const FILE: &str = "/proc/self/oom_score_adj";
    // silent-ok: it is a favour to the machine; nothing is less confined without it.
    let now = std::fs::read_to_string(FILE)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok());
    if now.is_some_and(|now| now < FIRST_TO_GO) {
        // silent-ok: as above.
        let _ = std::fs::write(FILE, FIRST_TO_GO.to_string());
    }
}

/// Of 1000.
const FIRST_TO_GO: i32 = 500;

/// Between the daemon's look at a place and its mount somebody may have put a link there.
fn check_places(order: &Order) -> io::Result<()> {
    for (path, device, inode) in &order.places {
        let meta = std::fs::symlink_metadata(path).map_err(|error| told("a directory of the sandbox", path, &error))?;
        if (meta.dev(), meta.ino()) != (*device, *inode) {
            return Err(io::Error::other(format!(
                "{} was replaced while the sandbox was made",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Listens in the sandbox's own network and gives the sockets to the daemon: what it accepts there came from inside.
fn hand_over_listeners(order: &Order) -> io::Result<()> {
    let listeners = order
        .ports
        .iter()
        .map(|port| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
                .map_err(|error| io::Error::new(error.kind(), format!("port {port} inside: {error}")))
        })
        .collect::<io::Result<Vec<_>>>()?;
    let fds: Vec<_> = listeners.iter().map(|listener| listener.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("too many ports"));
    }
    sendmsg(
        rustix::stdio::stderr(),
        &[IoSlice::new(READY)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Gives each signal its usual effect. A daemon that was started with `nohup` or behind `&` ignores some, which goes on to all
/// that it starts: nothing in the sandbox would hear the signal of a stop.
fn hear_signals() {
    for signal in 1..=libc::SIGSYS {
        #[expect(unsafe_code, reason = "there is no safe wrapper")]
        // SAFETY: takes away handlers and sets none, in a process of one thread that becomes another program next. What the
        // kernel refuses (SIGKILL and SIGSTOP) has its usual effect anyway.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

fn become_program(order: &Order) -> io::Result<Infallible> {
    hear_signals();
    rustix::thread::set_no_new_privs(true)?;
    fence::apply(&order.writable, &order.hidden, &order.shown)?;
    close_on_exec()?;
    let mut command = Command::new(&order.program);
    command.args(&order.args).env_clear();
    command.envs(order.env.iter().filter_map(|variable| wire::pair(variable)));
    // The last step: it also forbids what the steps above need.
    filter::apply(order.group_rights)?;
    Err(told("the program", &order.program, &command.exec()))
}

/// Lets no descriptor but 0, 1 and 2 go on to the next program.
fn close_on_exec() -> io::Result<()> {
    #[expect(unsafe_code, reason = "there is no safe wrapper")]
    // SAFETY: sets a flag of descriptors; no descriptor is closed or changes its owner.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
