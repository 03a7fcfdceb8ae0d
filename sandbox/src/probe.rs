//! Whether the sandbox of this machine keeps what it promises.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::{Command, Confined, Filesystem, Guard, Loopback, Network, Policy, Sandbox, SandboxError, Target, shim};

/// What a probe found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Whether turns may run in it.
    pub ok: bool,
    /// Version of bubblewrap, such as `0.8.0`.
    pub bwrap: Option<String>,
    /// Whether a child is in a namespace for users of its own.
    pub userns: bool,
    /// Version of the kernel's Landlock interface; 0 when there is none, and the mounts alone keep files.
    pub landlock_abi: u32,
    /// Whether the filter of system calls is in force.
    pub seccomp: bool,
    /// What was tried.
    pub checks: Vec<Check>,
    /// What is less than it could be although turns may run.
    pub warnings: Vec<String>,
    /// What the operator can do, when it is not ok.
    pub mend: Option<String>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, such as `read-deny`.
    pub name: String,
    /// Whether it came out as it must.
    pub ok: bool,
    /// What happened, for people.
    pub detail: String,
}

/// How a process ended that the probe asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

/// What the shim's probe has to try.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// May be read, not written.
    pub(crate) shown: PathBuf,
    /// Must not be seen.
    pub(crate) hidden: PathBuf,
    /// Must not be seen although what is around it may be read.
    pub(crate) masked: PathBuf,
    /// May be made.
    pub(crate) allowed: PathBuf,
    /// Must not be made.
    pub(crate) outside: PathBuf,
    /// A port that is mapped into the sandbox.
    pub(crate) mapped: u16,
    /// A port of the machine that is not.
    pub(crate) host: u16,
}

/// What it could do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the answer to a question of its own"
)]
pub(crate) struct Found {
    pub(crate) reads_shown: bool,
    pub(crate) reads_hidden: bool,
    pub(crate) reads_masked: bool,
    pub(crate) writes_allowed: bool,
    pub(crate) writes_shown: bool,
    /// Seen from outside.
    #[serde(skip)]
    pub(crate) writes_hidden: bool,
    pub(crate) reaches_mapped: bool,
    pub(crate) reaches_host: bool,
    pub(crate) makes_local_sockets: bool,
    pub(crate) sees_keeper: bool,
    pub(crate) new_privileges: bool,
    pub(crate) seccomp: bool,
    pub(crate) userns: bool,
    pub(crate) landlock_abi: u32,
}

/// Tries the sandbox out: starts a confined program that attempts what must not be possible, beside things that must be, and
/// the same program unconfined, which shows that the attempts mean something. `program` is our own executable, `scratch` an
/// empty directory of the daemon's own, `spawn` runs a process to its end.
pub async fn probe<S, F>(sandbox: &dyn Sandbox, program: &Path, scratch: &Path, spawn: S) -> ProbeReport
where
    S: Fn(Confined) -> F,
    F: Future<Output = Result<Ran, SandboxError>>,
{
    let mut report = ProbeReport {
        bwrap: version(sandbox, &spawn).await,
        ..ProbeReport::default()
    };
    match attempt(sandbox, program, scratch, &spawn).await {
        Ok([free, confined]) => judge(&mut report, &free, &confined),
        Err(error) => {
            report.checks.push(check("start", false, error.reason));
            report.mend = Some(error.mend);
        }
    }
    report
}

fn check(name: &str, ok: bool, detail: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        detail: detail.into(),
    }
}

/// From what could be done without and within the sandbox.
fn judge(report: &mut ProbeReport, free: &Found, found: &Found) {
    report.userns = found.userns;
    report.landlock_abi = found.landlock_abi;
    report.seccomp = found.seccomp;
    let control = free.reads_hidden && free.reads_masked && free.writes_hidden && free.reaches_host;
    let told = |ok, good: &str, bad: &str| if ok { good.to_owned() } else { bad.to_owned() };
    let mut add = |name, ok, good, bad| report.checks.push(check(name, ok, told(ok, good, bad)));
    add("start", true, "a confined program runs", "");
    add(
        "control",
        control,
        "without the sandbox all that is denied below can be done",
        "what is denied below cannot be done without the sandbox either, so it shows nothing",
    );
    let must = [
        ("read-allow", found.reads_shown, "reads what is shown"),
        ("write-allow", found.writes_allowed, "writes where it may"),
        ("loopback", found.reaches_mapped, "reaches a mapped port"),
    ];
    for (name, ok, what) in must {
        add(name, ok, what, "cannot do what it needs");
    }
    let denied = [
        ("read-deny", found.reads_hidden, "does not see other files"),
        (
            "mask",
            found.reads_masked,
            "does not see a masked file in its own directory",
        ),
        (
            "write-deny",
            found.writes_hidden || found.writes_shown,
            "does not write elsewhere",
        ),
        (
            "connect-deny",
            found.reaches_host,
            "does not reach the machine's own ports",
        ),
        ("socket-deny", found.makes_local_sockets, "makes no local sockets"),
        (
            "keeper-deny",
            found.sees_keeper,
            "does not see the process that keeps it",
        ),
        (
            "privileges",
            // These words are the Linux kernel's; elsewhere nothing is known of them.
            cfg!(target_os = "linux") && (found.new_privileges || !found.seccomp || !found.userns),
            "cannot gain privileges",
        ),
    ];
    for (name, done, what) in denied {
        add(name, !done, what, "does what must be denied");
    }
    report
        .warnings
        .extend(weak_landlock(found.landlock_abi).map(str::to_owned));
    report.ok = report.checks.iter().all(|check| check.ok);
    if !report.ok {
        report.mend = Some("Do not run agents on this machine before the failed checks are understood".into());
    }
}

/// What the mounts, the namespaces and the filter alone keep on an older kernel.
fn weak_landlock(abi: u32) -> Option<&'static str> {
    match abi {
        0 => Some(
            "the kernel has no Landlock: nothing stands behind the mounts. A hidden file that is replaced or made while an agent \
             runs can be seen by it, and what the machine mounts meanwhile can be written; use Linux 6.12 or newer with `landlock` among its security modules (`lsm=`)",
        ),
        1..SCOPES => Some(
            "the kernel's Landlock is old: signals, local sockets and some changes of files are kept by namespaces, mounts and the \
             filter of system calls alone; Linux 6.12 or newer has all of it",
        ),
        _ => None,
    }
}

/// From this version on Landlock keeps signals and local sockets as well.
const SCOPES: u32 = 6;

async fn version<S, F>(sandbox: &dyn Sandbox, spawn: &S) -> Option<String>
where
    S: Fn(Confined) -> F,
    F: Future<Output = Result<Ran, SandboxError>>,
{
    let ask = Command {
        program: sandbox.tool()?.to_owned(),
        args: vec!["--version".into()],
        env: Vec::new(),
        cwd: "/".into(),
    };
    // silent-ok: why it does not run is said by what comes next.
    let ran = spawn(Confined::plain(ask)).await.ok()?;
    let text = String::from_utf8(ran.stdout).ok()?; // silent-ok: as above.
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// What can be done without the sandbox, and within.
async fn attempt<S, F>(
    sandbox: &dyn Sandbox,
    program: &Path,
    scratch: &Path,
    spawn: &S,
) -> Result<[Found; 2], SandboxError>
where
    S: Fn(Confined) -> F,
    F: Future<Output = Result<Ran, SandboxError>>,
{
    let unready = |error: io::Error| {
        SandboxError::new(
            format!("its probe cannot be prepared: {error}"),
            "Check the free space of the disk and the open files of the daemon",
        )
    };
    let mut guard = Guard::default();
    let (task, policy) = prepare(scratch, &mut guard).await.map_err(unready)?;
    let text = serde_json::to_string(&task).map_err(|error| unready(error.into()))?;
    let command = Command {
        program: program.to_owned(),
        args: vec![shim::PROBE_COMMAND.into(), text.into()],
        env: Vec::new(),
        cwd: "/".into(),
    };
    let mut free = answer(&spawn(Confined::plain(command.clone())).await?)?;
    // What is made in a directory in memory is made nowhere, so it is looked for here.
    free.writes_hidden = take_away(&task.outside);
    let mut confined = answer(&spawn(sandbox.confine(command, &policy)?).await?)?;
    confined.writes_hidden = take_away(&task.outside);
    Ok([free, confined])
}

/// Whether a file is there.
fn take_away(file: &Path) -> bool {
    std::fs::remove_file(file).is_ok()
}

/// Files in the scratch directory, and ports that answer.
async fn prepare(scratch: &Path, guard: &mut Guard) -> io::Result<(Task, Policy)> {
    let scratch = scratch.canonicalize()?;
    let (own, reading) = (scratch.join("own"), scratch.join("reading"));
    let (shown, hidden, masked) = (reading.join("shown"), scratch.join("hidden"), reading.join("masked"));
    for dir in [&own, &reading] {
        std::fs::create_dir_all(dir)?;
    }
    for path in [&shown, &hidden, &masked] {
        std::fs::write(path, "text")?;
    }
    let host = TcpListener::bind("127.0.0.1:0").await?;
    let mapped = TcpListener::bind("127.0.0.1:0").await?;
    let task = Task {
        allowed: own.join("made"),
        outside: scratch.join("made"),
        mapped: mapped.local_addr()?.port(),
        host: host.local_addr()?.port(),
        shown,
        hidden,
        masked,
    };
    for listener in [host, mapped] {
        guard.keep(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                say_hello(stream);
            }
        }));
    }
    let policy = Policy {
        filesystem: Filesystem::Workspace,
        network: Network::Restricted,
        writable: vec![own],
        readable: vec![reading],
        masked: vec![task.masked.clone()],
        loopback: vec![Loopback {
            port: task.mapped,
            target: if cfg!(target_os = "linux") {
                Target::Handler(Arc::new(say_hello))
            } else {
                // The child has no loopback of its own, and there somebody listens already.
                Target::Address((Ipv4Addr::LOCALHOST, task.mapped).into())
            },
        }],
        ..Policy::default()
    };
    Ok((task, policy))
}

fn say_hello(mut stream: TcpStream) {
    tokio::spawn(async move {
        // silent-ok: whoever went away does not wait for it.
        let _ = stream.write_all(b"!").await;
    });
}

fn answer(ran: &Ran) -> Result<Found, SandboxError> {
    let complaint = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    let unclear = |reason: String| SandboxError::new(reason, "Run `reveille sandbox probe` by hand");
    if !ran.success {
        return Err(unclear(format!("its probe failed: {complaint}")));
    }
    serde_json::from_slice(&ran.stdout).map_err(|error| unclear(format!("its probe gives no answer: {error}")))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn good() -> [Found; 2] {
        let free = Found {
            reads_hidden: true,
            reads_masked: true,
            writes_hidden: true,
            reaches_host: true,
            ..Found::default()
        };
        let confined = Found {
            reads_shown: true,
            writes_allowed: true,
            reaches_mapped: true,
            seccomp: true,
            userns: true,
            landlock_abi: SCOPES,
            ..Found::default()
        };
        [free, confined]
    }

    fn failed([free, confined]: &[Found; 2]) -> Vec<String> {
        let mut report = ProbeReport::default();
        judge(&mut report, free, confined);
        assert_eq!(report.ok, report.mend.is_none());
        let bad = report.checks.into_iter().filter(|check| !check.ok);
        bad.map(|check| check.name).collect()
    }

    #[test]
    fn each_thing_that_goes_wrong_fails_a_check() {
        assert_eq!(failed(&good()), Vec::<String>::new());
        type Spoil = fn(&mut [Found; 2]);
        let cases: [(&str, Spoil); 13] = [
            ("control", |[free, _]| free.reads_hidden = false),
            ("control", |[free, _]| free.reaches_host = false),
            ("read-allow", |[_, found]| found.reads_shown = false),
            ("write-allow", |[_, found]| found.writes_allowed = false),
            ("loopback", |[_, found]| found.reaches_mapped = false),
            ("read-deny", |[_, found]| found.reads_hidden = true),
            ("mask", |[_, found]| found.reads_masked = true),
            ("write-deny", |[_, found]| found.writes_shown = true),
            ("write-deny", |[_, found]| found.writes_hidden = true),
            ("connect-deny", |[_, found]| found.reaches_host = true),
            ("socket-deny", |[_, found]| found.makes_local_sockets = true),
            ("keeper-deny", |[_, found]| found.sees_keeper = true),
            ("privileges", |[_, found]| found.seccomp = false),
        ];
        for (name, spoil) in cases {
            let mut both = good();
            spoil(&mut both);
            assert_eq!(failed(&both), [name]);
        }
    }

    #[test]
    fn an_old_kernel_is_told_of() {
        for (abi, told) in [(0, "no Landlock"), (1, "is old"), (5, "is old"), (6, ""), (7, "")] {
            let [free, mut found] = good();
            found.landlock_abi = abi;
            let mut report = ProbeReport::default();
            judge(&mut report, &free, &found);
            assert!(report.ok, "{abi}");
            assert_eq!(report.warnings.is_empty(), told.is_empty(), "{abi}");
            assert!(report.warnings.concat().contains(told), "{abi}: {:?}", report.warnings);
        }
    }
}
