//! A conversation in a temporary directory and an observer that remembers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reveille_backends::{
    Backend, ClaudeBackend, ClaudeOptions, Dirs, Event, Failure, FailureCode, Observer, Session, Timeouts, TurnOutcome,
    TurnRequest, Verdict, base_env,
};
use reveille_sandbox::{Policy, Unconfined};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// For things that must happen; far longer than they take.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) options: ClaudeOptions,
}

impl Bench {
    /// With the stand-in as the program.
    pub(crate) fn new() -> Self {
        Self::with_program(env!("CARGO_BIN_EXE_reveille-stand-in").into())
    }

    pub(crate) fn with_program(program: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cwd", "ctl", "home", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut options = ClaudeOptions::new(
            program,
            Arc::new(Unconfined),
            Uuid::new_v4().to_string(),
            base_env(std::env::vars_os()),
        );
        options.skip_permissions = true;
        Self { dir, options }
    }

    /// With a shell script. It is asked for its version as well, and answers before `body` begins.
    pub(crate) fn with_script(body: &str) -> Self {
        let mut bench = Self::with_program("/bin/sh".into());
        let script = bench.dir.path().join("script");
        let head = "case \"$1\" in --version) echo 1.0.0; exit;; --help) exit;; esac";
        std::fs::write(&script, format!("{head}\n{body}\n")).unwrap();
        bench.options.prefix_args = vec![OsString::from(script)];
        bench
    }

    pub(crate) fn dirs(&self) -> Dirs {
        let at = |name: &str| self.dir.path().join(name);
        Dirs {
            cwd: at("cwd"),
            ctl: at("ctl"),
            home: at("home"),
            tmp: at("tmp"),
        }
    }

    pub(crate) fn turn(&self, prompt: &str, session: Session) -> TurnRequest {
        TurnRequest {
            turn: Uuid::new_v4(),
            prompt: prompt.to_owned(),
            session,
            dirs: self.dirs(),
            policy: Policy::default(),
            model: None,
            system_prompt: None,
            max_turns: None,
            budget_usd: None,
            timeouts: Timeouts {
                start: SOON,
                idle: SOON,
                wall: 2 * SOON,
            },
            env: [].into(),
            secrets: Vec::new(),
        }
    }

    pub(crate) fn backend(&self) -> ClaudeBackend {
        ClaudeBackend::new(self.options.clone())
    }

    pub(crate) async fn run(&self, turn: TurnRequest) -> (TurnOutcome, Vec<Event>) {
        let watcher = Watcher::default();
        let outcome = self.backend().run(turn, &watcher, CancellationToken::new()).await;
        (outcome, watcher.events())
    }

    /// A first turn of a new session.
    pub(crate) async fn say(&self, prompt: &str) -> (TurnOutcome, Vec<Event>) {
        self.run(self.turn(prompt, Session::New(Uuid::new_v4()))).await
    }

    pub(crate) fn transcript(&self, session: Uuid) -> PathBuf {
        let projects = self.dir.path().join("home/.claude/projects");
        let project = std::fs::read_dir(projects).unwrap().next().unwrap().unwrap().path();
        project.join(format!("{session}.jsonl"))
    }
}

/// Remembers events and lets a test wait for one.
pub(crate) struct Watcher {
    events: watch::Sender<Vec<Event>>,
    pub(crate) prompts: Mutex<Vec<Uuid>>,
    /// What `before_prompt` answers.
    refuse: Option<String>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            events: watch::Sender::new(Vec::new()),
            prompts: Mutex::default(),
            refuse: None,
        }
    }
}

impl Watcher {
    /// Cannot write down that a prompt is about to be given.
    pub(crate) fn refusing(reason: &str) -> Self {
        Self {
            refuse: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) {
        let mut events = self.events.subscribe();
        let found = events.wait_for(|events| events.iter().any(&wanted));
        tokio::time::timeout(SOON, found)
            .await
            .expect("the event comes in time")
            .unwrap();
    }
}

#[async_trait]
impl Observer for Watcher {
    async fn before_prompt(&self, session: Uuid) -> Result<(), String> {
        self.prompts.lock().unwrap().push(session);
        self.refuse.clone().map_or(Ok(()), Err)
    }

    fn event(&self, event: Event) {
        self.events.send_modify(|events| events.push(event));
    }
}

pub(crate) fn is_init(event: &Event) -> bool {
    matches!(event, Event::Init { .. })
}

pub(crate) fn notices(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| {
            if let Event::Notice { text } = event {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

pub(crate) fn reply(outcome: &TurnOutcome) -> &str {
    match &outcome.verdict {
        Verdict::Ok { reply } => reply,
        other => panic!("no reply but {other:?}"),
    }
}

pub(crate) fn failure(outcome: &TurnOutcome) -> &Failure {
    match &outcome.verdict {
        Verdict::Failed(failure) => failure,
        other => panic!("no failure but {other:?}"),
    }
}

pub(crate) fn code(outcome: &TurnOutcome) -> FailureCode {
    failure(outcome).code
}

/// The processes with this variable in their environment, as `/proc` shows them.
pub(crate) fn processes_with(key: &str, value: &str) -> Vec<i32> {
    let marker = format!("{key}={value}").into_bytes();
    pids()
        .filter(|pid| environ_of(*pid).split(|&byte| byte == 0).any(|it| it == marker))
        .collect()
}

/// The processes that run `sleep SECONDS`.
pub(crate) fn sleepers(seconds: &str) -> Vec<i32> {
    let wanted = format!("sleep\0{seconds}\0").into_bytes();
    let command_line = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids().filter(|pid| command_line(*pid) == wanted).collect()
}

fn environ_of(pid: i32) -> Vec<u8> {
    std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default()
}

fn pids() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A number of seconds that no other test sleeps for, so that `sleep` can be found by it.
pub(crate) fn unique_seconds() -> String {
    (100_000 + Uuid::new_v4().as_u128() % 1_000_000_000).to_string()
}
