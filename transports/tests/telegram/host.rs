//! The daemon as the bridge sees it, and a bridge that runs against it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reveille_transports::outbox::{Options as OutboxOptions, Outbox};
use reveille_transports::telegram::{Options, Pace, Telegram, Token};
use reveille_transports::{
    Attachment, Bridge, Host, Incoming, Intake, Refusal, Report, Standing, State, Stopped, Taken, Verdict, supervise,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, TOKEN};

#[derive(Default)]
pub(crate) struct Daemon {
    /// What was taken, once for each key, in order.
    pub(crate) taken: Mutex<Vec<Incoming>>,
    /// How the next messages are refused, first one first.
    pub(crate) refusals: Mutex<Vec<Refusal>>,
    pub(crate) standings: Mutex<BTreeMap<String, Standing>>,
    pub(crate) vault: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) verdicts: Mutex<Vec<Verdict>>,
    pub(crate) stops: Mutex<u32>,
}

impl Daemon {
    pub(crate) fn texts(&self) -> Vec<String> {
        self.taken
            .lock()
            .unwrap()
            .iter()
            .map(|message| message.text.clone())
            .collect()
    }
}

#[async_trait]
impl Intake for Daemon {
    async fn take(&self, message: Incoming) -> Result<Taken, Refusal> {
        let mut refusals = self.refusals.lock().unwrap();
        if !refusals.is_empty() {
            return Err(refusals.remove(0));
        }
        let mut taken = self.taken.lock().unwrap();
        let known = taken
            .iter()
            .position(|other| other.idempotency_key == message.idempotency_key);
        let at = known.unwrap_or_else(|| {
            taken.push(message);
            taken.len() - 1
        });
        Ok(Taken {
            vault: "default".into(),
            note: format!("note-{at}"),
            turn: Some(format!("turn-{at}")),
        })
    }
}

#[async_trait]
impl Host for Daemon {
    async fn stop(&self, _agent: &str) -> Result<Stopped, String> {
        *self.stops.lock().unwrap() += 1;
        Ok(Stopped {
            turn: Some("turn-0".into()),
        })
    }

    async fn standing(&self, _agent: &str, turn: &str) -> Option<Standing> {
        self.standings.lock().unwrap().get(turn).copied()
    }

    async fn upload(&self, _agent: &str, name: &str, content: Vec<u8>) -> Result<String, Refusal> {
        let path = format!("files/{name}");
        self.vault.lock().unwrap().insert(path.clone(), content);
        Ok(path)
    }

    async fn read(&self, _agent: &str, path: &str) -> Result<Attachment, String> {
        let content = self.vault.lock().unwrap().get(path).cloned();
        Ok(Attachment {
            name: path.rsplit('/').next().unwrap().to_owned(),
            mime: "application/octet-stream".into(),
            content: content.ok_or("there is no such file")?,
        })
    }

    async fn verdict(&self, verdict: Verdict) {
        self.verdicts.lock().unwrap().push(verdict);
    }
}

/// Everything that is logged by this process, at every level.
pub(crate) fn log() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let log: Arc<Mutex<Vec<u8>>> = Arc::default();
        let to = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Line(Arc::clone(&to)))
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    })
}

struct Line(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A bridge, its daemon and its Telegram.
pub(crate) struct Ground {
    pub(crate) api: Api,
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) dir: TempDir,
    pub(crate) outbox: Outbox,
    pub(crate) bridge: Arc<Telegram>,
    run: Option<Running>,
    /// Every state that the bridge was in, as text.
    pub(crate) states: Arc<Mutex<Vec<State>>>,
}

struct Running {
    drain: CancellationToken,
    task: JoinHandle<()>,
    /// Everything of the run ends with it.
    runtime: Option<Runtime>,
}

impl Running {
    async fn end(&mut self) {
        let runtime = self.runtime.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        ended.await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Ground {
    /// A bridge that lets this file decide, and that does not run yet.
    pub(crate) async fn new(access: Option<&str>) -> Self {
        log();
        let dir = tempfile::tempdir().unwrap();
        if let Some(access) = access {
            std::fs::write(dir.path().join("access.json"), access).unwrap();
        }
        let api = Api::start().await;
        let outbox = OutboxOptions::new(dir.path().join("bridges.sqlite")).open().unwrap();
        let bridge = bridge(&api, dir.path(), &outbox, TOKEN);
        Self {
            api,
            daemon: Arc::default(),
            dir,
            outbox,
            bridge,
            run: None,
            states: Arc::default(),
        }
    }

    /// One that lets user 42 in, and runs.
    pub(crate) async fn running() -> Self {
        let mut ground = Self::new(Some(r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#)).await;
        ground.start();
        ground
    }

    pub(crate) fn start(&mut self) {
        self.bridge = bridge(&self.api, self.dir.path(), &self.outbox, TOKEN);
        self.start_this();
    }

    pub(crate) fn start_this(&mut self) {
        let drain = CancellationToken::new();
        let (report, mut look) = Report::new();
        let states = Arc::clone(&self.states);
        tokio::spawn(async move {
            loop {
                let state = watch::Receiver::borrow_and_update(&mut look).clone();
                states.lock().unwrap().push(state);
                if look.changed().await.is_err() {
                    return;
                }
            }
        });
        let (bridge, daemon): (Arc<dyn Bridge>, Arc<dyn Host>) = (self.bridge.clone(), self.daemon.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let task = runtime.spawn(supervise(bridge, daemon, report, drain.clone()));
        self.run = Some(Running {
            drain,
            task,
            runtime: Some(runtime),
        });
    }

    pub(crate) async fn stop(&mut self) {
        let mut run = self.run.take().unwrap();
        run.drain.cancel();
        (&mut run.task).await.unwrap();
        run.end().await;
    }

    /// As `kill -9` does it.
    pub(crate) async fn kill(&mut self) {
        self.run.take().unwrap().end().await;
    }

    pub(crate) fn states(&self) -> String {
        format!("{:?}", self.states.lock().unwrap())
    }
}

pub(crate) fn bridge(api: &Api, dir: &Path, outbox: &Outbox, token: &str) -> Arc<Telegram> {
    let mut options = Options::new("phone", "scribe", Token::new(token).unwrap(), dir);
    options.api_base = api.base.parse().unwrap();
    options.max_file_out = 1000;
    options.pace = Pace {
        poll: Duration::from_secs(1),
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(10),
        conflict: Duration::from_millis(5),
        gap: Duration::from_millis(1),
        typing: Duration::from_millis(10),
        longest_delivery_pause: Duration::from_millis(10),
        attempts: 4,
    };
    Arc::new(Telegram::new(options, outbox.clone()).unwrap())
}

/// Looks until it is so.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not so after 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
