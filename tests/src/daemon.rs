//! Drives the compiled daemon: a private state directory, real processes, real sockets, and nothing left behind.

mod api;
mod binary;
mod command;
mod door;
mod events;
mod journal;
mod mcp;
mod processes;
mod tables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;
use uuid::Uuid;

pub use self::api::{Message, Reply, Sent, State, Turn};
pub(crate) use self::binary::{reveille, workspace_target};
pub use self::command::{LONGEST, Ran, run};
pub use self::door::Answer;
pub use self::events::{Event, EventStream};
pub use self::journal::{Journal, JournalConversation, JournalNote, JournalTurn, Spend};
pub use self::mcp::{ACCEPT, MCP, ToolAnswer};
pub(crate) use self::processes::environment;
pub use self::processes::{arguments_with, end, has_ended, processes_with};
pub use self::tables::{StateTables, rows};
use crate::ground::{BASE, Person};
use crate::{MessagesApi, claude, eventually};

/// For a start, a stop or a turn on a machine that is busy with other tests.
pub const LIMIT: Duration = Duration::from_secs(60);
/// A connection that was idle for longer is not used again: the daemon closes it after 15 s, and a request that is sent in
/// that moment fails.
const IDLE: Duration = Duration::from_secs(10);
/// Lines of the log that a failure shows.
const TAIL: usize = 60;
/// Environment variable of every child of a daemon that a test started; the value is the daemon's own.
const MARKER: &str = "REVEILLE_TEST_RUN";

/// What runs the turns.
#[derive(Debug, Clone, Default)]
enum Backend {
    /// The daemon's own default.
    #[default]
    Unset,
    StandIn,
    /// The real CLI with the Messages API at this URL.
    Claude(String),
}

/// Settings of a [`Daemon`] before its first start.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    backend: Backend,
    env: BTreeMap<String, OsString>,
    config: Option<String>,
    mounts: Option<String>,
    fail_point: Option<String>,
    shipped_drain: bool,
    confined: bool,
    warm: bool,
    person: Person,
}

impl Builder {
    /// Turns are run by the stand-in that is built into the binary.
    #[must_use]
    pub fn stand_in(mut self) -> Self {
        self.backend = Backend::StandIn;
        self
    }

    /// Turns are run by the real CLI, which talks to `api`, and are confined as on the machine of a user.
    #[must_use]
    pub fn real_claude(mut self, api: &MessagesApi) -> Self {
        self.backend = Backend::Claude(api.url().to_owned());
        self.confined = true;
        self
    }

    /// One more variable of the daemon's environment, such as `REVEILLE_LIMITS__LIVE_TURNS`.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Running turns get the time at a stop that they get when nothing is configured, instead of ten seconds.
    #[must_use]
    pub fn shipped_drain(mut self) -> Self {
        self.shipped_drain = true;
        self
    }

    /// Turns of the stand-in are confined as on the machine of a user. Without it they are not: most tests are about something
    /// else, and use files that no agent would see.
    #[must_use]
    pub fn confined(mut self) -> Self {
        self.confined = true;
        self
    }

    /// Processes of conversations wait for the next message, as on the machine of a user. Without it each ends with its turn: most
    /// tests look at what a turn has left.
    #[must_use]
    pub fn warm(mut self) -> Self {
        self.warm = true;
        self
    }

    /// Who runs it; unless said, who runs the tests.
    #[must_use]
    pub fn run_by(mut self, person: Person) -> Self {
        self.person = person;
        self
    }

    /// The configuration file. `SCRATCH` in it becomes [`Daemon::scratch`].
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// The daemon has its own view of the file systems: a shell script that makes it, with `$1` the directory of its vaults,
    /// such as `mount -t tmpfs -o size=2m,mode=0700 none "$1"`. Linux only.
    #[must_use]
    pub fn mounts(mut self, script: &str) -> Self {
        self.mounts = Some(script.to_owned());
        self
    }

    /// Starts a daemon with an empty state directory and waits until it is healthy.
    ///
    /// # Errors
    /// With the tail of its log when it ends or is not healthy within [`LIMIT`].
    pub async fn start(self) -> Result<Daemon> {
        // Unix sockets allow 107 bytes for their path: keep it short.
        let mut place = tempfile::Builder::new();
        let place = place.prefix("rv");
        // An agent has a `/tmp` of its own anyway: there it would not see the daemon's files if nothing hid them.
        let dir = if self.confined && cfg!(target_os = "linux") {
            place.tempdir_in(BASE)?
        } else {
            place.tempdir()?
        };
        std::fs::create_dir_all(dir.path().join("home/shared"))?;
        for path in ["", "home", "home/shared"] {
            self.person.gets(&dir.path().join(path))?;
        }
        if let Some(toml) = &self.config {
            let scratch = dir.path().join("home").display().to_string();
            std::fs::write(dir.path().join("reveille.toml"), toml.replace("SCRATCH", &scratch))?;
        }
        let run = Uuid::new_v4().to_string();
        let info = Info {
            url: Url::parse("http://127.0.0.1:0")?,
            pid: 0,
            version: String::new(),
        };
        let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE).build()?;
        let mut daemon = Daemon {
            settings: self,
            dir,
            run,
            child: None,
            info,
            token: String::new(),
            http,
        };
        daemon.start().await?;
        Ok(daemon)
    }
}

/// What the daemon writes to `daemon.json`.
#[derive(Debug, Clone, Deserialize)]
struct Info {
    url: Url,
    pid: u32,
    version: String,
}

/// A daemon under test. When it is dropped, it and all its children are killed, the state directory is removed, and the
/// tail of its log is printed if the test is panicking.
#[derive(Debug)]
pub struct Daemon {
    settings: Builder,
    dir: TempDir,
    run: String,
    child: Option<Child>,
    info: Info,
    token: String,
    http: reqwest::Client,
}

impl Daemon {
    /// Settings of a new daemon.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The program that is under test.
    ///
    /// # Errors
    /// When it is not there and cannot be built.
    pub async fn program() -> Result<PathBuf> {
        binary::reveille().await
    }

    /// Its resident memory in bytes, and the most that it ever was. Linux only.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.info.pid))?;
        let of = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim_matches([':', ' ', '\t']).strip_suffix(" kB"));
            Ok(kib.with_context(|| format!("no {name}"))?.trim().parse::<u64>()? * 1024)
        };
        Ok((of("VmRSS")?, of("VmHWM")?))
    }

    /// Where it listens. The port changes with each start.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.info.url
    }

    /// The process that runs now or ran last.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.info.pid
    }

    /// As written to `daemon.json`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.info.version
    }

    /// The admin token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// A directory for files of the test, which goes with the daemon. Its path needs no quotes in a shell.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A directory in [`Daemon::scratch`] that confined turns may be given too: see [`Daemon::create_agent_with_shared`].
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.scratch().join("shared")
    }

    /// The files of its state directory that hold a text, as they are named there.
    ///
    /// # Errors
    /// When a directory or a file that is still there cannot be read.
    pub fn files_with(&self, text: &str) -> Result<Vec<String>> {
        let (mut found, mut dirs) = (Vec::new(), vec![self.state_dir()]);
        while let Some(dir) = dirs.pop() {
            // Also a directory may be gone by now.
            let entries = match std::fs::read_dir(&dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    dirs.push(entry.path());
                } else if entry.file_type()?.is_file() {
                    let bytes = match std::fs::read(entry.path()) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                        bytes => bytes?,
                    };
                    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                        found.push(entry.path().strip_prefix(self.state_dir())?.display().to_string());
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// What a shell script says that its user runs, without any sandbox.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn outside(&self, script: &str) -> Result<String> {
        let mut command = self.command(Path::new("/bin/sh"))?;
        command.args(["-c", script]);
        Ok(run(command, "").await?.stdout)
    }

    /// Processes that it started, directly or not, and that run now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn children(&self) -> Result<Vec<u32>> {
        processes_with(MARKER, &self.run)
    }

    /// What each of them has in its environment: `NAME=value`.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("{MARKER}={}", self.run)
    }

    /// Starts it on the same state directory as before. It must not run.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start(&mut self) -> Result<()> {
        if let Some(status) = self.launch(None).await? {
            self.child = None;
            bail!("the daemon ended with {status} at its start\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Starts it so that it kills itself at a named point of its work, the `nth` time it gets there; that may be before it
    /// serves. Debug builds only. Wait for it with [`Daemon::wait_killed`].
    ///
    /// # Errors
    /// When it is not healthy within [`LIMIT`] and has not ended by that SIGKILL.
    pub async fn start_doomed(&mut self, name: &str, nth: u32) -> Result<()> {
        match self.launch(Some((name, nth))).await? {
            Some(status) if !was_killed(status) => {
                bail!("the daemon ended with {status} at its start\n{}", self.log_tail())
            }
            _ => Ok(()),
        }
    }

    /// Starts it, doomed or not, and tells what came of it: `None` when it is healthy; its status when it has ended before
    /// that, still to be collected with [`Daemon::wait_exit`].
    ///
    /// # Errors
    /// When it is neither within [`LIMIT`].
    pub async fn launch(&mut self, doom: Option<(&str, u32)>) -> Result<Option<ExitStatus>> {
        self.settings.fail_point = doom.map(|(name, nth)| format!("{name}:{nth}"));
        let pid = self.spawn().await?;
        let come = eventually("the daemon is healthy", LIMIT, async || match self.ended()? {
            Some(status) => Ok(Some(Err(status))),
            None => Ok(self.ready(pid).await?.map(Ok)),
        });
        match come.await.with_context(|| self.log_tail())? {
            Ok(ready) => (self.info, self.token) = ready,
            Err(status) => return Ok(Some(status)),
        }
        Ok(None)
    }

    async fn spawn(&mut self) -> Result<u32> {
        ensure!(self.child.is_none(), "the daemon runs already");
        let program = self
            .settings
            .person
            .can_run(&binary::reveille().await?, self.dir.path())?;
        let mut command = match &self.settings.mounts {
            Some(script) => self.apart(script, &program)?,
            None => self.command(&program)?,
        };
        command
            .args(["serve", "--bind", "127.0.0.1:0", "--state-dir"])
            .arg(self.state_dir());
        if let Some(point) = self.settings.fail_point.take() {
            command.env("REVEILLE_FAIL_POINT", point);
        }
        let log = self.open_log()?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let pid = child.id().context("a child that runs has a pid")?;
        self.child = Some(child);
        Ok(pid)
    }

    /// Changes a variable of the environment for the next start.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.settings.env.insert(name.to_owned(), value.into());
    }

    /// Kills it with SIGKILL, as a crash or a power cut does.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the daemon does not run")?;
        child.kill().await?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not run or has not ended after [`LIMIT`].
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_exit(LIMIT).await
    }

    /// Stops it if it runs, and starts it on the same state directory.
    ///
    /// # Errors
    /// When the stop is not clean, and as [`Builder::start`].
    pub async fn restart(&mut self) -> Result<()> {
        if self.child.is_some() {
            let status = self.stop().await?;
            ensure!(
                status.success(),
                "the daemon ended with {status} on SIGTERM\n{}",
                self.log_tail()
            );
        }
        self.start().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self
            .child
            .as_ref()
            .and_then(Child::id)
            .context("the daemon does not run")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).context("pid 0")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not run or has not ended after `limit`.
    pub async fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the daemon does not run")?;
        let Ok(status) = tokio::time::timeout(limit, child.wait()).await else {
            bail!("the daemon has not ended after {limit:?}\n{}", self.log_tail());
        };
        self.child = None;
        Ok(status?)
    }

    /// Waits until its fail point has killed it.
    ///
    /// # Errors
    /// When it ends in another way or has not ended after [`LIMIT`].
    pub async fn wait_killed(&mut self) -> Result<()> {
        let status = self.wait_exit(LIMIT).await?;
        ensure!(
            was_killed(status),
            "the daemon ended with {status}\n{}",
            self.log_tail()
        );
        Ok(())
    }

    /// All that it wrote to stdout and stderr, over all starts.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.log_path())?).into_owned())
    }

    /// Copies its log, its databases and the files of the test to a directory, for a person who looks into a failure.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn keep(&self, to: &Path) -> Result<()> {
        for part in ["log", "s/queue.db", "s/queue.db-wal", "s/vaults", "home"] {
            let (from, to) = (self.dir.path().join(part), to.join(part));
            if from.exists() {
                copy(&from, &to)?;
            }
        }
        Ok(())
    }

    /// A command of the command-line client, such as `["send", "eng", "hello"]`, with the same environment and state.
    ///
    /// # Errors
    /// When the binary or the CLI of the turns is missing.
    pub async fn cli<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Command> {
        let program = binary::reveille().await?;
        let program = self.settings.person.can_run(&program, self.dir.path())?;
        let mut command = self.command(&program)?;
        command
            .args(args)
            .env("REVEILLE_STATE_DIR", self.state_dir())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// A read-only look at its databases, also while it runs.
    ///
    /// # Errors
    /// When a file is missing or is no database.
    pub fn state_tables(&self) -> Result<StateTables> {
        StateTables::open(&self.state_dir())
    }

    /// The directory of its vaults as it sees it, while it runs.
    #[must_use]
    pub fn vaults_as_seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.info.pid));
        let vaults = self.state_dir().join("vaults");
        root.join(vaults.strip_prefix("/").unwrap_or(&vaults))
    }

    /// The program in a mount namespace of its own.
    fn apart(&self, script: &str, program: &Path) -> Result<Command> {
        let vaults = self.state_dir().join("vaults");
        std::fs::create_dir_all(&vaults)?;
        for dir in [self.state_dir(), vaults.clone()] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
        }
        let mut command = self.command(Path::new("unshare"))?;
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
            .arg(format!("{script}\nshift\nexec \"$@\""))
            .arg("sh")
            .arg(vaults)
            .arg(program);
        Ok(command)
    }

    /// The program with nothing of the test's own environment but `PATH`.
    fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.dir.path());
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"));
        command
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("RUST_BACKTRACE", "1");
        if !self.settings.shipped_drain {
            // A test waits for the end of its daemon.
            command.env("REVEILLE_SERVER__DRAIN", "10s");
        }
        // For a person who wants to see all tests with it.
        if !self.settings.warm && std::env::var_os("REVEILLE_TEST_WARM").is_none() {
            command.env("REVEILLE_CLAUDE__WARM_PROCESSES", "0");
        }
        command
            .env(
                "REVEILLE_SANDBOX__MODE",
                if self.settings.confined { "auto" } else { "none" },
            )
            .env(format!("REVEILLE_CLAUDE__ENV__{MARKER}"), &self.run);
        let config = self.settings.config.as_deref().unwrap_or_default();
        if !config.contains("[sandbox]") {
            command.env("REVEILLE_SANDBOX__MOUNTS", self.shared());
        }
        if self.settings.config.is_some() {
            command.env("REVEILLE_CONFIG", self.dir.path().join("reveille.toml"));
        }
        match &self.settings.backend {
            Backend::Unset => {}
            Backend::StandIn => {
                command.env("REVEILLE_CLAUDE__PROGRAM", "stand-in");
            }
            Backend::Claude(url) => {
                let program = self.settings.person.can_run(&claude::program()?, self.dir.path())?;
                command.env("REVEILLE_CLAUDE__PROGRAM", program);
                command.env("REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL", url);
                command.env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "dummy");
            }
        }
        command.envs(&self.settings.env);
        self.settings.person.runs(&mut command);
        Ok(command)
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().context("the daemon does not run")?.try_wait()?)
    }

    /// What the daemon wrote about itself, once it answers.
    async fn ready(&self, pid: u32) -> Result<Option<(Info, String)>> {
        let Ok(written) = std::fs::read(self.state_dir().join("daemon.json")) else {
            return Ok(None);
        };
        let info: Info = serde_json::from_slice(&written).context("daemon.json is written whole or not at all")?;
        if info.pid != pid {
            return Ok(None);
        }
        let health = self.http.get(info.url.join("/health")?).send().await;
        if !health.is_ok_and(|health| health.status().is_success()) {
            return Ok(None);
        }
        let token = std::fs::read_to_string(self.state_dir().join("token")).context("read the admin token")?;
        Ok(Some((info, token.trim().to_owned())))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn open_log(&self) -> Result<File> {
        Ok(OpenOptions::new().create(true).append(true).open(self.log_path())?)
    }

    fn log_tail(&self) -> String {
        match self.log() {
            Ok(log) => {
                let lines: Vec<_> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
                format!("--- the daemon's log, last {TAIL} lines ---\n{tail}\n---")
            }
            Err(error) => format!("the daemon's log cannot be read: {error}"),
        }
    }
}

/// A file, or a directory with what is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        std::fs::create_dir_all(to.parent().unwrap_or(to))?;
        std::fs::copy(from, to)?;
        return Ok(());
    }
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Whether that was SIGKILL.
#[must_use]
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows what the daemon said")]
            {
                eprintln!("{}", self.log_tail());
            }
        }
        if let Some(child) = &mut self.child {
            let _ = child.start_kill(); // silent-ok: it has ended by itself
        }
        end(MARKER, &self.run);
    }
}
