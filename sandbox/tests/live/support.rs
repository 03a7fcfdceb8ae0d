//! A directory to attack, and the way to run commands in a sandbox around it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reveille_sandbox::{Command, Confined, Control, Guard, Launched, Policy, Sandbox, SandboxError, Setup, detect};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Child;

/// For things that must happen; far longer than they take.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Somebody without rights (`nobody` nearly everywhere).
const OTHER_USER: u32 = 65534;

pub(crate) const SHIM: &str = env!("CARGO_BIN_EXE_reveille-sandbox-shim");
pub(crate) const ATTACKER: &str = env!("CARGO_BIN_EXE_reveille-sandbox-attacker");

pub(crate) fn setup() -> Setup {
    Setup {
        program: SHIM.into(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        parent_proxy: None,
        scratch: std::env::temp_dir(),
    }
}

pub(crate) fn sandbox() -> Arc<dyn Sandbox> {
    detect(&setup())
}

/// Users to run as: the one of the test, and one without rights if the test may become it.
pub(crate) fn users() -> Vec<Option<u32>> {
    if rustix::process::geteuid().is_root() {
        vec![None, Some(OTHER_USER)]
    } else {
        vec![None]
    }
}

/// The directory of a conversation, with a secret beside it.
pub(crate) struct Place {
    dir: TempDir,
    /// Whom it belongs to, if not to this process.
    pub(crate) user: Option<u32>,
}

impl Place {
    pub(crate) fn new(user: Option<u32>) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            user,
        };
        for dir in ["", "state", "state/ctl", "state/work", "state/home", "state/tmp"] {
            std::fs::create_dir_all(place.at(dir)).unwrap();
        }
        for (file, text) in [
            ("secret", "SECRET"),
            ("state/token", "SECRET"),
            ("state/ctl/mcp.json", "{}"),
        ] {
            std::fs::write(place.at(file), text).unwrap();
        }
        place.give_away(&place.at(""));
        place
    }

    /// Makes all of it the user's, who could then do everything if nothing kept them.
    fn give_away(&self, path: &Path) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::lchown(path, self.user, self.user).unwrap();
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.give_away(&entry.unwrap().path());
            }
        }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    /// That of a turn: the control files are read, the state directory is hidden but for them.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            writable: ["state/work", "state/home", "state/tmp"].map(|dir| self.at(dir)).into(),
            readable: vec![self.at("state/ctl")],
            masked: vec![self.at("state")],
            ..Policy::default()
        }
    }

    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        Command {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
            env: vec![
                ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
                ("TMPDIR".into(), self.at("state/tmp").into()),
                ("HOME".into(), self.at("state/home").into()),
            ],
            cwd: self.at("state/work"),
        }
    }

    /// Runs a script confined.
    pub(crate) async fn sh(&self, policy: &Policy, script: &str) -> Output {
        self.run(self.confine(self.command("/bin/sh", &["-c", script]), policy))
            .await
    }

    /// Runs a script with the same rights, but not confined.
    pub(crate) async fn sh_free(&self, script: &str) -> Output {
        self.run(Confined::plain(self.command("/bin/sh", &["-c", script])))
            .await
    }

    pub(crate) fn confine(&self, command: Command, policy: &Policy) -> Confined {
        sandbox().confine(command, policy).unwrap()
    }

    pub(crate) async fn run(&self, confined: Confined) -> Output {
        self.start(confined).await.unwrap().finish(b"").await
    }

    /// Starts something; it runs when this returns.
    pub(crate) async fn start(&self, confined: Confined) -> Result<Running, SandboxError> {
        let (child, control, mut guard) = self.spawn(confined);
        let (launched, stdin) = match control {
            Some(control) => {
                let (inside, ours) = std::io::pipe().unwrap();
                (Some(control.complete(inside.into(), SOON).await?), Some(ours))
            }
            None => (None, None),
        };
        let mut running = Running {
            child,
            program: None,
            stdin,
            stderr: None,
            _guard: Guard::default(),
        };
        if let Some(Launched {
            program,
            stderr,
            guard: more,
        }) = launched
        {
            guard.join(more);
            running.program = Some(program);
            running.stderr = Some(stderr);
        }
        running._guard = guard;
        Ok(running)
    }

    pub(crate) fn spawn(&self, confined: Confined) -> (Child, Option<Control>, Guard) {
        let Confined {
            command,
            mut control,
            guard,
        } = confined;
        let (stdin, stderr) = match control.as_mut().and_then(Control::child_ends) {
            Some(ends) => (ends.stdin.into(), ends.stderr.into()),
            None => (Stdio::piped(), Stdio::piped()),
        };
        let mut spawn = tokio::process::Command::new(command.program);
        spawn
            .args(command.args)
            .env_clear()
            .envs(command.env)
            .current_dir(command.cwd)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true);
        if let Some(user) = self.user {
            spawn.uid(user).gid(user);
        }
        (spawn.spawn().unwrap(), control, guard)
    }
}

/// Input of which there is none.
pub(crate) fn nothing() -> std::os::fd::OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) program: Option<reveille_sandbox::Program>,
    stdin: Option<std::io::PipeWriter>,
    stderr: Option<tokio::net::unix::pipe::Receiver>,
    _guard: Guard,
}

impl Running {
    /// Gives it its input and waits for its end.
    pub(crate) async fn finish(mut self, input: &[u8]) -> Output {
        let mut stdin: Box<dyn AsyncWrite + Unpin> = match (self.stdin.take(), self.child.stdin.take()) {
            (Some(ours), _) => {
                rustix::io::ioctl_fionbio(&ours, true).unwrap();
                let ours = std::os::fd::OwnedFd::from(ours);
                Box::new(tokio::net::unix::pipe::Sender::from_owned_fd(ours).unwrap())
            }
            (None, stdin) => Box::new(stdin.unwrap()),
        };
        let mut stdout = self.child.stdout.take().unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let write = async {
            // A command that does not read may have ended.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let read_err = async {
            if let Some(stderr) = &mut self.stderr {
                stderr.read_to_end(&mut err).await.unwrap();
            }
        };
        let (_, read, (), status) = tokio::join!(write, stdout.read_to_end(&mut out), read_err, self.child.wait());
        read.unwrap();
        Output {
            status: status.unwrap(),
            out: String::from_utf8(out).unwrap(),
            err: String::from_utf8_lossy(&err).into_owned(),
        }
    }

    /// Waits for one line.
    pub(crate) async fn line(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(tokio::time::timeout(SOON, stdout.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(line).unwrap().trim().to_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + SOON;
    while !holds() {
        assert!(tokio::time::Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
