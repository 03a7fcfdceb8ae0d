//! One process of the CLI with its pipes, and the certainty that it does not outlive its owner.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reveille_sandbox::{Confined, Control, Exceeded, Guard as Services, Program, SandboxError};
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use super::lines::{LINE_LIMIT, Line, Lines};
use crate::process::{Census, Hunt, Own, SweepReport, starting};

/// The most that an unprivileged process may ask for (`/proc/sys/fs/pipe-max-size`): output that waits here cannot be lost
/// when the CLI exits.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1024 * 1024;
/// How much of the end of stderr is kept.
pub(super) const STDERR_KEPT: usize = 64 * 1024;
/// For the rest of stderr after the process has ended.
const STDERR_REST: Duration = Duration::from_millis(500);

/// A running CLI.
pub(super) struct Process {
    // The first field is dropped first: it must kill before the child is given up.
    guard: Guard,
    child: Child,
    own: Option<Own>,
    stdin: Option<mpsc::UnboundedSender<String>>,
    _writer: AbortOnDropHandle<()>,
    stdout: Lines<ChildStdout>,
    /// `None` until a confined program runs.
    stderr: Option<Stderr>,
    /// What is left of the start, with what the program gets as its stdin.
    control: Option<(Control, OwnedFd)>,
    /// The confined program; the child is then its keeper.
    program: Option<Program>,
    services: Services,
}

impl Process {
    /// Starts a command as the leader of a process group. `marker` is a variable of its environment. Follow it with
    /// [`launch`](Self::launch).
    ///
    /// The thread of the caller must live as long as the child: the keeper of a sandbox ends with the thread that has started
    /// it.
    pub(super) fn spawn(confined: Confined, marker: (&str, &str)) -> io::Result<Self> {
        let Confined {
            command,
            mut control,
            guard: services,
        } = confined;
        let (outer_stdin, stderr, pipe) = match control.as_mut().and_then(Control::child_ends) {
            Some(ends) => (Stdio::from(ends.stdin), Stdio::from(ends.stderr), Some(io::pipe()?)),
            None => (Stdio::piped(), Stdio::piped(), None),
        };
        // No `pre_exec`: with it the standard library forks, which takes 43 ms for a daemon of 1 GiB instead of 75 µs.
        let entered = starting();
        let mut child = tokio::process::Command::new(command.program)
            .args(command.args)
            .env_clear()
            .envs(command.env)
            .current_dir(command.cwd)
            .stdin(outer_stdin)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let own = Own::enter(child.id());
        drop(entered);
        if let Some(pid) = child.id() {
            // It waits for `launch`; when this fails it goes with `child`.
            services.take_in(pid)?;
        }
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        // Since this daemon has started, not this process: an earlier attempt of the turn may have left something with the marker.
        let hunt = Hunt::new(marker.0, marker.1).since(getpid().as_raw_nonzero().get());
        let guard = Guard { pid, hunt: Some(hunt) };
        let missing = || io::Error::other("a pipe of the child is missing");
        let (stdin, inside): (Box<dyn AsyncWrite + Send + Unpin>, _) = match pipe {
            Some((inside, ours)) => (Box::new(sender(ours.into())?), Some(OwnedFd::from(inside))),
            None => (Box::new(child.stdin.take().ok_or_else(missing)?), None),
        };
        let stdout = child.stdout.take().ok_or_else(missing)?;
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_SIZE) {
            tracing::debug!(%error, "the pipe of the CLI keeps its usual size");
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Self {
            guard,
            stdin: Some(sender),
            _writer: AbortOnDropHandle::new(tokio::spawn(write_lines(stdin, receiver).in_current_span())),
            stdout: Lines::new(stdout, LINE_LIMIT),
            stderr: child.stderr.take().map(Stderr::read),
            child,
            own,
            control: control.zip(inside),
            program: None,
            services,
        })
    }

    /// Waits until the program itself runs, which takes a moment when it is confined. After an error the process must be
    /// killed.
    pub(super) async fn launch(&mut self, timeout: Duration) -> Result<(), SandboxError> {
        let Some((control, stdin)) = self.control.take() else {
            return Ok(());
        };
        let launched = control.complete(stdin, timeout).await?;
        self.stderr = Some(Stderr::read(launched.stderr));
        self.program = Some(launched.program);
        self.services.join(launched.guard);
        Ok(())
    }

    /// Queues a line. Writing goes on beside reading, so that a full pipe on one side never blocks the other.
    pub(super) fn send(&self, line: String) {
        if let Some(stdin) = &self.stdin {
            // silent-ok: the pipe is gone because the process is, and that is seen on its output.
            let _ = stdin.send(line);
        }
    }

    /// Closes stdin once all queued lines are written.
    pub(super) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Either the next line, while `reading`, or the exit, while `waiting`.
    pub(super) async fn next(&mut self, reading: bool, waiting: bool) -> Happening {
        tokio::select! {
            biased;
            line = self.stdout.next(), if reading => Happening::Line(line),
            exit = self.child.wait(), if waiting => Happening::Exit(exit),
            else => std::future::pending().await,
        }
    }

    /// The next thing that it has done already, without waiting for one.
    pub(super) async fn pending(&mut self) -> Option<Happening> {
        tokio::select! {
            biased;
            happening = self.next(true, true) => Some(happening),
            () = std::future::ready(()) => None,
        }
    }

    /// What it was kept from by its limits until now.
    pub(super) fn exceeded(&self) -> Exceeded {
        self.services.exceeded()
    }

    /// Counts its processes. `None`: that cannot be done.
    pub(super) async fn census(&self) -> Option<Census> {
        let root = self.guard.pid?;
        let hunt = self.guard.hunt.as_ref()?.again();
        let program = self.program.as_ref().map_or(root, Program::pid);
        let census = tokio::task::spawn_blocking(move || hunt.census(root, program)).await;
        match census.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(census) => Some(census),
            Err(error) => {
                tracing::debug!(%error, "the processes of a turn cannot be counted");
                None
            }
        }
    }

    /// Asks the CLI itself to end; it takes its tools with it.
    pub(super) fn interrupt(&self) {
        if let Some(program) = &self.program {
            // silent-ok: it has just ended by itself.
            let _ = program.interrupt();
        } else if let Some(pid) = self.guard.pid.and_then(Pid::from_raw) {
            // silent-ok: as above.
            let _ = kill_process(pid, Signal::INT);
        }
    }

    /// Kills the CLI, its group and every descendant that can be found. Only while the exit was not collected: afterwards the
    /// id may belong to another process.
    pub(super) fn kill(&mut self) {
        self.guard.kill();
    }

    /// Kills what the CLI has left behind, once it has ended.
    pub(super) async fn finish(mut self) -> (String, SweepReport, Exceeded) {
        self.guard.pid = None;
        let stderr = match &mut self.stderr {
            Some(stderr) => stderr.rest().await,
            None => String::new(),
        };
        let report = match self.guard.hunt.take() {
            // It has no id any more once its end is collected.
            Some(hunt) if self.child.id().is_none() => hunt.finish_after_end(self.own.as_ref()).await,
            Some(hunt) => hunt.finish().await,
            None => SweepReport::default(),
        };
        (stderr, report, self.services.end().await)
    }
}

/// What a process did next.
pub(super) enum Happening {
    Line(io::Result<Option<Line>>),
    Exit(io::Result<ExitStatus>),
}

/// Kills the process and its descendants when the turn's future is dropped.
struct Guard {
    pid: Option<i32>,
    hunt: Option<Hunt>,
}

impl Guard {
    fn kill(&mut self) {
        let Some(hunt) = &mut self.hunt else { return };
        if let Some(raw) = self.pid
            && let Some(pid) = Pid::from_raw(raw)
        {
            if let Err(error) = hunt.note_descendants(raw) {
                tracing::warn!(%error, "the descendants of a turn cannot be listed");
            }
            // silent-ok: the group has just ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        if let Err(error) = hunt.strike() {
            tracing::warn!(%error, "the processes of a turn cannot be listed");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
        let Some(hunt) = self.hunt.take() else { return };
        // Whoever was just being born is found by a second search, which must not hold up the runtime.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let span = Span::current();
            runtime.spawn_blocking(move || span.in_scope(|| hunt.run_unseen()));
        }
    }
}

fn sender(end: OwnedFd) -> io::Result<pipe::Sender> {
    rustix::io::ioctl_fionbio(&end, true)?;
    pipe::Sender::from_owned_fd(end)
}

async fn write_lines(mut stdin: impl AsyncWrite + Unpin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if let Err(error) = stdin.write_all(line.as_bytes()).await {
            tracing::debug!(%error, "the CLI reads no more");
            return;
        }
    }
}

/// The end of what the CLI wrote to stderr.
struct Stderr {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: AbortOnDropHandle<()>,
}

impl Stderr {
    fn read(mut stderr: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let sink = Arc::clone(&kept);
        let read = async move {
            let mut chunk = [0; 8192];
            loop {
                match stderr.read(&mut chunk).await {
                    Ok(0) => return,
                    Ok(count) => {
                        let mut kept = sink.lock().unwrap_or_else(PoisonError::into_inner);
                        kept.extend(&chunk[..count]);
                        let surplus = kept.len().saturating_sub(STDERR_KEPT);
                        kept.drain(..surplus);
                    }
                    Err(error) => return tracing::debug!(%error, "stderr of the CLI cannot be read"),
                }
            }
        };
        Self {
            kept,
            reader: AbortOnDropHandle::new(tokio::spawn(read.in_current_span())),
        }
    }

    /// A descendant may hold the pipe open, so the wait for its end is short.
    async fn rest(&mut self) -> String {
        // silent-ok: what came until now is good enough.
        let _ = tokio::time::timeout(STDERR_REST, &mut self.reader).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<_>>()).into_owned()
    }
}
