//! The daemon's side of a start.

use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, send,
    sendmsg, socketpair, sockopt,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, UnixDatagram};

use super::mend::mend;
use crate::services::{SERVICES_MAX, Service};
use crate::shim::wire::{self, FAILED, FDS_MAX, GO, Message, ORDER, Order, READY};
use crate::{Guard, SandboxError};

// One of them is the proxy, and each is a descriptor in the message of the shim.
const _: () = assert!(SERVICES_MAX <= FDS_MAX);

/// How much of what bubblewrap complains of is kept.
const COMPLAINTS: usize = 4096;

/// What leads from a spawned process to the confined program. When it is dropped before [`complete`](Self::complete), the
/// program does not start.
#[derive(Debug)]
pub struct Control {
    child: Option<Ends>,
    /// Bubblewrap waits for its arguments at the other end, and so begins with nothing before it is told to.
    stdin: OwnedFd,
    args: Vec<u8>,
    socket: OwnedFd,
    /// For the shim.
    order: OwnedFd,
    stderr_inside: OwnedFd,
    complaints_inside: OwnedFd,
    stderr: OwnedFd,
    /// What stops the shim, once the socket is given up. It ends without a word when the program has taken its place.
    complaints: OwnedFd,
    /// In the order of the ports.
    services: Vec<Service>,
}

/// What the process that is spawned must get.
#[derive(Debug)]
pub struct Ends {
    /// Its stdin. What the program reads is given to [`Control::complete`].
    pub stdin: OwnedFd,
    /// Its stderr. What the program writes comes with [`Launched`].
    pub stderr: OwnedFd,
}

impl Control {
    /// Prepares a start; `args` are bubblewrap's, each with a NUL after it.
    pub(super) fn prepare(args: Vec<u8>, order: &Order, services: Vec<Service>) -> io::Result<Self> {
        let (socket, child) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_passcred(&socket, true)?;
        let (child_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_inside) = pipe_with(PipeFlags::CLOEXEC)?;
        let (complaints, complaints_inside) = pipe_with(PipeFlags::CLOEXEC)?;
        let order = in_memory("sandbox-order", &order.encode())?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let ends = Ends {
            stdin: child_stdin,
            stderr: child,
        };
        Ok(Self {
            child: Some(ends),
            stdin,
            args,
            socket,
            order,
            stderr_inside,
            complaints_inside,
            stderr,
            complaints,
            services,
        })
    }

    /// What the spawned process must get. `None` when it was taken before.
    pub fn child_ends(&mut self) -> Option<Ends> {
        self.child.take()
    }

    /// Starts the program with that stdin, and waits until it runs confined. Call it once the process was spawned and this
    /// process has closed its copies of [`child_ends`](Self::child_ends). When it fails, or is dropped, the process must be
    /// killed.
    ///
    /// # Errors
    /// The sandbox could not be made, the program could not be started in it, or it took longer than `timeout`.
    pub async fn complete(self, stdin: OwnedFd, timeout: Duration) -> Result<Launched, SandboxError> {
        match tokio::time::timeout(timeout, self.follow(stdin)).await {
            Ok(launched) => launched,
            Err(_elapsed) => Err(SandboxError::new(
                format!("it was not ready after {} s", timeout.as_secs_f64()),
                "The machine may be overloaded: look at its load and memory, then send the message again",
            )),
        }
    }

    async fn follow(self, stdin: OwnedFd) -> Result<Launched, SandboxError> {
        let Self {
            child,
            stdin: args_to,
            args,
            socket,
            order,
            stderr_inside,
            complaints_inside,
            stderr,
            complaints,
            services,
        } = self;
        drop(child);
        let with = [&order, &stdin, &stderr_inside, &complaints_inside].map(OwnedFd::as_fd);
        match tell(&socket, ORDER, &with) {
            // It has ended already: what it said is read below.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            told => told.map_err(|error| lost(&error))?,
        }
        drop((stdin, stderr_inside, complaints_inside));
        hand_over(args_to, &args).await.map_err(|error| lost(&error))?;
        // Not of that kind, but all that is done with it is the same.
        let socket = UnixDatagram::from_std(socket.into()).map_err(|error| lost(&error))?;
        let ready = until_ready(&socket).await?;
        let pid = ready
            .pid
            .and_then(Pid::from_raw)
            .ok_or_else(|| lost(&io::Error::other("the id of the program is unknown")))?;
        // It waits for our word, so the id is still its own.
        let program = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| lost(&error.into()))?;
        let mut guard = Guard::default();
        serve_all(services, ready.fds, &mut guard).map_err(|error| lost(&error))?;
        send(&socket, GO, SendFlags::NOSIGNAL).map_err(|error| lost(&error.into()))?;
        let mut text = Vec::new();
        receiver(complaints)
            .map_err(|error| lost(&error))?
            .read_to_end(&mut text)
            .await
            .map_err(|error| lost(&error))?;
        if !text.is_empty() {
            return Err(inside(&text));
        }
        let pid = pid.as_raw_nonzero().get();
        Ok(Launched {
            program: Program { pid, handle: program },
            stderr: receiver(stderr).map_err(|error| lost(&error))?,
            guard,
        })
    }
}

/// A confined program that runs.
#[derive(Debug)]
pub struct Launched {
    /// The program itself; the process that was spawned is its keeper.
    pub program: Program,
    /// What it writes to stderr.
    pub stderr: pipe::Receiver,
    /// What must live as long as the process.
    pub guard: Guard,
}

/// A process inside.
#[derive(Debug)]
pub struct Program {
    pid: i32,
    handle: OwnedFd,
}

impl Program {
    /// Its id, as this process sees it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends SIGINT to it alone.
    ///
    /// # Errors
    /// It has ended.
    pub fn interrupt(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, Signal::INT)?)
    }
}

fn receiver(end: OwnedFd) -> io::Result<pipe::Receiver> {
    rustix::io::ioctl_fionbio(&end, true)?;
    pipe::Receiver::from_owned_fd(end)
}

fn in_memory(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Gives bubblewrap its arguments.
async fn hand_over(to: OwnedFd, args: &[u8]) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&to, true)?;
    match pipe::Sender::from_owned_fd(to)?.write_all(args).await {
        // It has ended already: what it said comes by the socket.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn tell(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the shim. What comes before is what bubblewrap complains of, and the end is its own.
async fn until_ready(socket: &UnixDatagram) -> Result<Message, SandboxError> {
    let mut said = Vec::new();
    let mut left = false;
    loop {
        let message = socket
            .async_io(Interest::READABLE, || {
                wire::receive(socket, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
            })
            .await;
        match message {
            Ok(message) if message.bytes.is_empty() => break,
            Ok(message) if message.bytes == READY => return Ok(message),
            Ok(message) => match message.bytes.strip_prefix(FAILED) {
                Some(text) => return Err(inside(text)),
                None if said.len() < COMPLAINTS => said.extend(message.bytes),
                None => {}
            },
            // The other side has ended before it read all. The kernel says so once, and what it had said itself comes after.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !left => left = true,
            Err(error) => return Err(lost(&error)),
        }
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.trim().trim_start_matches("bwrap: ");
    let reason = if said.is_empty() {
        "bubblewrap ended without a word".to_owned()
    } else {
        format!("bubblewrap says: {said}")
    };
    Err(SandboxError::new(reason, mend(said)))
}

fn serve_all(services: Vec<Service>, listeners: Vec<OwnedFd>, guard: &mut Guard) -> io::Result<()> {
    if services.len() != listeners.len() {
        return Err(io::Error::other("a port inside is missing"));
    }
    for (service, listener) in services.into_iter().zip(listeners) {
        let listener = std::net::TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        service.serve(TcpListener::from_std(listener)?, guard);
    }
    Ok(())
}

/// What the shim says.
fn inside(text: &[u8]) -> SandboxError {
    let text = String::from_utf8_lossy(text).into_owned();
    let mend = mend(&text);
    SandboxError::new(text, mend)
}

fn lost(error: &io::Error) -> SandboxError {
    SandboxError::new(
        format!("its start cannot be followed: {error}"),
        "Send the message again; if that does not help, run `reveille doctor`",
    )
}
