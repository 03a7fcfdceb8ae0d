//! One confined command from its start to its end, for people and for the sandbox's own probe.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reveille_sandbox::{Confined, Control, Ran, SandboxError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::task::AbortOnDropHandle;

use crate::process::{Own, starting};

/// From the start to a running program.
const START: Duration = Duration::from_secs(30);
/// For the rest of stderr after the program has ended: a child of it outside a sandbox may hold it open.
const STDERR_REST: Duration = Duration::from_millis(500);
/// Bytes of output that are kept.
const OUTPUT: u64 = 1024 * 1024;

/// Runs a command with this process's own stdin, stdout and stderr.
///
/// # Errors
/// It could not be started.
pub async fn run_attached(confined: Confined) -> Result<ExitStatus, SandboxError> {
    let mut running = start(confined, own_stdin()?, [Stdio::inherit(), Stdio::inherit()]).await?;
    let copied = running.stderr.take().map(|mut stderr| {
        AbortOnDropHandle::new(tokio::spawn(async move {
            // silent-ok: when nobody reads it any more, nobody misses it.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::stderr()).await;
        }))
    });
    let status = running.child.wait().await.map_err(|error| lost(&error))?;
    if let Some(copied) = copied {
        // silent-ok: what came until then is good enough.
        let _ = tokio::time::timeout(STDERR_REST, copied).await;
    }
    Ok(status)
}

/// Runs a command without input, and collects its output.
///
/// # Errors
/// It could not be started, or did not end in `timeout`.
pub async fn run_captured(confined: Confined, timeout: Duration) -> Result<Ran, SandboxError> {
    let run = async {
        let mut running = start(confined, no_input()?, [Stdio::piped(), Stdio::piped()]).await?;
        let stdout = running.child.stdout.take();
        let stderr = running.stderr.take();
        let (status, stdout, stderr) = tokio::join!(running.child.wait(), collect(stdout), collect(stderr));
        let lost = |error: io::Error| lost(&error);
        Ok(Ran {
            success: status.map_err(lost)?.success(),
            stdout: stdout.map_err(lost)?,
            stderr: stderr.map_err(lost)?,
        })
    };
    tokio::time::timeout(timeout, run).await.unwrap_or_else(|_elapsed| {
        Err(SandboxError::new(
            format!("it did not end within {} s", timeout.as_secs()),
            "Look at the load of the machine, then try again",
        ))
    })
}

async fn collect(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(from) = from {
        from.take(OUTPUT).read_to_end(&mut all).await?;
    }
    Ok(all)
}

struct Running {
    child: Child,
    _own: Option<Own>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    _services: reveille_sandbox::Guard,
}

fn own_stdin() -> Result<OwnedFd, SandboxError> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    stdin.map_err(|error| SandboxError::new(format!("stdin cannot be passed on: {error}"), "Try again"))
}

fn no_input() -> Result<OwnedFd, SandboxError> {
    let null = std::fs::File::open("/dev/null").map(OwnedFd::from);
    null.map_err(|error| SandboxError::new(format!("/dev/null: {error}"), "Mend the devices of this machine"))
}

async fn start(confined: Confined, stdin: OwnedFd, [stdout, stderr]: [Stdio; 2]) -> Result<Running, SandboxError> {
    let Confined {
        command,
        mut control,
        guard: mut services,
    } = confined;
    let (outer_stdin, stderr, stdin) = match control.as_mut().and_then(Control::child_ends) {
        Some(ends) => (Stdio::from(ends.stdin), Stdio::from(ends.stderr), Some(stdin)),
        None => (Stdio::from(stdin), stderr, None),
    };
    let entered = starting();
    let mut child = Command::new(&command.program)
        .args(command.args)
        .env_clear()
        .envs(command.env)
        .current_dir(command.cwd)
        .stdin(outer_stdin)
        .stdout(stdout)
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            SandboxError::new(
                format!("{} cannot be started: {error}", command.program.display()),
                "Check that the program is there and may be run",
            )
        })?;
    let own = Own::enter(child.id());
    drop(entered);
    if let Some(pid) = child.id() {
        services.take_in(pid).map_err(|error| {
            SandboxError::new(
                error.to_string(),
                "Look at who else changes that group, then start the daemon again",
            )
        })?;
    }
    let stderr: Option<Box<dyn AsyncRead + Send + Unpin>> = match control.zip(stdin) {
        Some((control, stdin)) => {
            let launched = control.complete(stdin, START).await?;
            services.join(launched.guard);
            Some(Box::new(launched.stderr))
        }
        None => child.stderr.take().map(|stderr| Box::new(stderr) as _),
    };
    Ok(Running {
        child,
        _own: own,
        stderr,
        _services: services,
    })
}

fn lost(error: &io::Error) -> SandboxError {
    SandboxError::new(format!("its end cannot be followed: {error}"), "Try again")
}
