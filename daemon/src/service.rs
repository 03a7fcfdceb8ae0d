//! The daemon: all parts put together. `Options -> build() -> Service::run(drain)`.

mod place;
mod work;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use reveille_backends::Backend;
use reveille_queue::{self as queue, Queue};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::attached::Desk;
use crate::bridges::hooks::Hooks;
use crate::bridges::webhooks::News;
use crate::bridges::{self, Bridges, Seals};
use crate::claude::Claude;
use crate::config::{Config, Proxies};
use crate::credentials::Credentials;
use crate::delegation::Passes;
use crate::doctor::Doctor;
use crate::faults;
use crate::grants::{self, Grants};
use crate::homes::{Doors, Homes};
use crate::http::{self, Api, Auth, session::sign_in_url};
use crate::inbox::{Inbox, Progress};
use crate::kept::Kept;
use crate::limits::Reservations;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::module::{self, Module};
use crate::open_files;
use crate::orphans::Orphans;
use crate::outbox::Outbox;
use crate::pauses::Pauses;
use crate::registry::Registry;
use crate::retention::Retention;
use crate::sandboxing::{self, Keeper, Readiness, Sandboxing};
use crate::schedule;
use crate::sessions::Sessions;
use crate::state_dir::{DaemonFile, StateDir};
use crate::step_up::StepUp;
use crate::steps::Steps;
use crate::stopping::{self, Budget};
use crate::supervision::Notifier;
use crate::tokens::Tokens;
use crate::traces;
use crate::trust::{self, Trust};
use crate::vaults::{AddedFile, Residents, Roster, RosterParts, Sudden, Vaults};
use crate::worker::{Context, Workers};
use place::{cannot_bind, local_url, module_of, origins, real, register, warn_missing, warn_unconfined};
use work::Work;

/// What a daemon is built from.
pub(crate) struct Options {
    /// Everything that outlives the process.
    pub(crate) state_dir: PathBuf,
    /// Settings.
    pub(crate) config: Config,
    /// The daemon's own environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// A daemon that is ready to serve.
pub(crate) struct Service {
    state: StateDir,
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    budget: Budget,
    notifier: Notifier,
    queue: Arc<dyn Queue>,
    sudden: Sudden,
    residents: Residents,
    doors: Doors,
    runner: schedule::Runner,
    outbox: Outbox,
    workers: Workers,
    api: Api,
    /// Brings traces to a collector.
    exporter: Option<traces::Exporter>,
    module: Option<Module>,
    /// Ends the HTTP side; later than the work.
    closing: CancellationToken,
    /// Ends the feed and new claims.
    drain: CancellationToken,
    /// Ends the outbox; after the last turn.
    delivered: CancellationToken,
}

impl Options {
    /// Takes the state directory, binds the address and opens the storage. Nothing is started.
    ///
    /// # Errors
    /// What stands in the way, with the mend.
    pub(crate) async fn build(self) -> anyhow::Result<Service> {
        let Self {
            state_dir,
            config,
            environment,
        } = self;
        let budget = Budget::of(config.server.drain.map(|drain| drain.0), &environment);
        let notifier = Notifier::of(&environment);
        if let Err(error) = open_files::raise() {
            tracing::warn!(%error, "the limit of open files stays as it is; see `reveille doctor`");
        }
        let state = StateDir::take(&state_dir).await?;
        let listener = TcpListener::bind(config.server.bind)
            .await
            .map_err(|error| cannot_bind(config.server.bind, &error))?;
        let address = listener.local_addr().context("the bound address is unknown")?;

        // All zones of the system are looked at for that.
        let zone = tokio::task::spawn_blocking({
            let jobs = config.jobs.clone();
            move || jobs.zone()
        });

        // Beside the notes and the queue, which take as long.
        let stores = tokio::task::spawn_blocking({
            let dir = state.path().to_owned();
            move || -> anyhow::Result<_> {
                let tokens = Tokens::open(&dir.join("tokens.db"))?;
                let grants = grants::Store::open(&dir.join("grants.db"))?;
                Ok((tokens, grants, Kept::open(&dir.join("definitions.db"))?))
            }
        });

        let vaults = Vaults::open(&config.vaults, state.path()).await?;
        let added = AddedFile::in_dir(state.path());
        let book = vaults.open_added(&added, state.path(), config.definitions.discovery)?;
        let mut queue_options = queue::Options::new(state.path().join("queue.db"));
        queue_options.lease = config.queue.lease.0;
        faults::queue(&mut queue_options)?;
        let queue: Arc<dyn Queue> = Arc::new(queue_options.open()?);

        let sandbox = crate::machine::sandbox(config.sandbox.mode, state.sandbox())?;
        let summary = sandbox.summary();
        let (sandbox, keeper) = Keeper::around(sandbox, state.instance());
        let credentials = Credentials::in_dir(state.path());
        if let Err(error) = credentials.settle().await {
            tracing::error!(%error, "turns need these credentials; the daemon goes on without having looked after the file");
        }
        let sandboxing = Sandboxing::new(&sandboxing::Options {
            config: &config,
            ready: Readiness::new(Arc::clone(&sandbox), crate::machine::own_file()?),
            keeper,
            state: state.path(),
            environment: &environment,
            url: &local_url(address),
        });
        let claude = Claude::new(config.claude.clone(), sandbox, state.instance().to_owned(), environment);
        let claude = Arc::new(claude.storing(credentials.clone()));
        let conversations = real(&state.path().join("conversations"));
        crate::lent::take_back(&conversations);
        let (drain, closing) = (CancellationToken::new(), CancellationToken::new());
        let bridges = Bridges::build((&config.transports, &config.webhooks), state.path(), state.instance())?;
        let hub = Hub::new(&Uuid::new_v4().simple().to_string()[..8])
            .paced()
            .telling(bridges.told().clone());
        let metrics = Metrics::new();
        let (traces, exporter) = traces::open(&config.traces, &queue, &metrics, state.instance());
        let registry = Registry::new(&vaults.names(), config.definitions.discovery)
            .confined_by(sandboxing.clone())
            .telling(hub.clone());
        let progress = Progress::default();
        let (tokens, store, kept) = stores
            .await
            .context("not all files of the state directory were opened")??;
        let peer = crate::hub::Hub::of(&config.hub);
        let (grant_backend, local) = grants::backend(config.grants.backend, &store, &vaults, peer.as_ref())?;
        let grants = Grants::new(grants::Options {
            backend: grant_backend,
            local,
            store,
            registry: registry.clone(),
            vaults: vaults.clone(),
            progress: progress.clone(),
            tokens: tokens.clone(),
        })?;
        let trust = Trust::open(trust::Options {
            state: state.path(),
            credentials: credentials.clone(),
            sandbox: config.sandbox.clone(),
            grants: grants.clone(),
            queue: Arc::clone(&queue),
        })
        .await?;
        let bindings = queue.bindings().await?;
        // All of them before any is read.
        for vault in vaults.names() {
            progress.stands(&vault, "it has not been read yet");
            registry.reserve(&vault, &bindings);
        }
        let hooks = Hooks::build(&config.hooks)?;
        let outbox = Outbox::new(Arc::clone(&queue), vaults.reachable().clone(), hub.clone())
            .with_bridges(bridges.clone())
            .traced(traces.clone());
        let backend: Arc<dyn Backend> = claude.clone();
        let steps = Steps::open(state.path().join("steps")).context("no thread for the steps of turns")?;
        let passes = Passes::new(
            local_url(address),
            std::env::current_exe().ok(), // silent-ok: then turns are not told where the program is
        );
        let doors = Doors::default();
        let context = Context {
            doors: doors.clone(),
            queue: Arc::clone(&queue),
            registry: registry.clone(),
            hub: hub.clone(),
            outbox: outbox.clone(),
            backend,
            claude: config.claude.clone(),
            cli: Arc::clone(&claude),
            conversations,
            file_limits: config.vaults.file_limits(),
            lease: config.queue.lease.0,
            limits: config.limits.clone(),
            reservations: Reservations::default(),
            pauses: Pauses::new(Arc::clone(&queue), Arc::clone(&claude), hub.clone()),
            passes: passes.clone(),
            grants: grants.clone(),
            credentials: credentials.clone(),
            sandboxing: sandboxing.clone(),
            trust,
            metrics: metrics.clone(),
            traces,
            steps: steps.clone(),
            warm: crate::warm::Warm::new(&config.claude, &metrics),
        };
        let workers = Workers::new(context, config.limits.live_turns, drain.clone());
        let schedule = schedule::Options {
            file: state.path().join("schedule.db"),
            zone: zone.await.context("the time zone of this machine was not found out")?,
            queue: Arc::clone(&queue),
            registry: registry.clone(),
            max_waiting: config.queue.max_waiting,
            clock: Arc::new(schedule::SystemClock),
            drain: drain.clone(),
        };
        let (jobs, runner) = schedule.open().await?;
        let inbox = Inbox {
            queue: Arc::clone(&queue),
            registry: registry.clone(),
            hub: hub.clone(),
            workers: workers.clone(),
            kept,
            progress,
            grants: grants.clone(),
            max_waiting: config.queue.max_waiting,
            jobs,
            seals: Seals::new(state.token()),
        };
        let attached = Desk::new(inbox.clone(), config.attached.claim_ttl.0);
        let webhooks = http::Webhooks::of(&config.vaults);
        let (residents, sudden) = Residents::new(inbox.clone(), &config.triggers, drain.clone());
        join_all(vaults.all().into_iter().map(|vault| residents.add(vault))).await;
        let parts = RosterParts {
            vaults: vaults.clone(),
            book,
            file: added,
            residents: residents.clone(),
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            hub: peer,
            webhooks: webhooks.clone(),
            state: state.path().to_owned(),
            drain: drain.clone(),
        };
        let roster = Roster::new(parts, &config);
        let url = format!("http://{address}");
        let mount = module::mount(config.server.mount.as_ref(), &config.hub);
        let proxies = match &config.server.trusted_proxies {
            Some(proxies) => proxies.clone(),
            None if mount.as_str().is_empty() && !config.hub.auth => Proxies::default(),
            None => Proxies::loopback(),
        };
        let front = http::Front::new(&mount, proxies, &url);
        let module = module_of(&config, mount, address, state.path());
        let auth = Auth::new(
            state.token(),
            address,
            Sessions::open(state.path().join("sessions.json"), state.token(), config.auth.session.0),
            config.server.hosts.clone(),
            passes,
            tokens.clone(),
            crate::hub::Verifier::of(&config.hub),
        );
        let doctor = Doctor::new(
            config.clone(),
            state.path().to_owned(),
            Arc::clone(&claude),
            url.clone(),
        );
        let pin_required = config.auth.pin == crate::config::Pin::Required;
        let step_up = StepUp::open(state.path().join("step-up.json"), pin_required);
        let api = Api::from(http::Parts {
            auth,
            front,
            place: config.hub.place.clone(),
            origins: origins(&config),
            step_up,
            tokens,
            grants,
            webhooks,
            vaults,
            roster,
            queue: Arc::clone(&queue),
            registry,
            inbox,
            workers: workers.clone(),
            outbox: outbox.clone(),
            hub,
            bridges,
            hooks,
            steps,
            attached,
            mcp: http::mcp::Sessions::new(&config.mcp, closing.clone()),
            claude,
            credentials,
            sandbox: Arc::new(summary),
            sandboxing,
            doctor,
            metrics,
            url: url.into(),
            max_body: config.server.max_body,
            arrival: config.server.arrival.0,
            file_limits: config.vaults.file_limits(),
            drain: closing.clone(),
        });
        let delivered = CancellationToken::new();
        // Requests that come now wait in the backlog until `run`.
        state.announce(&DaemonFile {
            url: format!("http://{address}"),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Timestamp::now(),
        })?;
        Ok(Service {
            state,
            listener,
            address,
            config,
            budget,
            notifier,
            queue,
            sudden,
            residents,
            doors,
            runner,
            outbox,
            workers,
            api,
            exporter,
            module,
            closing,
            drain,
            delivered,
        })
    }
}

impl Service {
    /// Where it serves.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The admin token.
    #[must_use]
    pub(crate) fn token(&self) -> &str {
        self.state.token()
    }

    /// An address that signs a browser in, once.
    #[must_use]
    pub(crate) fn sign_in_url(&self) -> String {
        sign_in_url(&self.url(), &self.api.auth.link_code())
    }

    /// Serves and works until `stop`; `hurry` then cuts short what still runs.
    ///
    /// # Errors
    /// The storage failed before the work began, or a part of the daemon ended by itself.
    pub(crate) async fn run(self, stop: CancellationToken, hurry: CancellationToken) -> anyhow::Result<()> {
        let connections = TaskTracker::new();
        let url = self.url();
        let router = http::router(self.api.clone());
        let bounds = http::Bounds {
            connections: self.config.server.max_connections,
            write_timeout: self.config.server.write_timeout.0,
        };
        connections.spawn(http::serve(self.listener, router, bounds, self.closing.clone()));
        // Until the runtime ends.
        tokio::spawn(self.notifier.run(url, self.budget.whole(), self.drain.clone()));
        if let Some(exporter) = self.exporter {
            tokio::spawn(exporter.run());
        }
        if let Some(module) = self.module {
            connections.spawn_blocking(move || register(&module));
        }
        warn_unconfined(&self.api);
        warn_missing(&self.api.claude);
        let ready = self.api.sandboxing.ready().clone();
        // Beside everything else: a turn that comes meanwhile waits for the answer.
        self.workers.spawn(async move {
            ready.look().await;
        });

        let work = Work {
            instance: self.state.instance(),
            queue: &*self.queue,
            workers: &self.workers,
            residents: &self.residents,
            roster: &self.api.roster,
            attached: &self.api.attached,
            steps: &self.api.steps,
            patience: self.budget.patience,
            drain: self.drain,
            delivered: self.delivered,
        };
        let retention = Retention {
            conversations: self.state.path().join("conversations"),
            attachments: self.config.retention.attachments.0,
            steps: (self.state.path().join("steps"), self.config.retention.steps.0),
            journal: self.config.retention.journal,
            queue: Arc::clone(&self.queue),
            vaults: self.api.vaults.by_name().clone(),
            homes: (
                Homes {
                    dir: self.state.path().join("conversations"),
                    queue: Arc::clone(&self.queue),
                    doors: self.doors,
                },
                self.config.retention.transcripts.0,
                self.config.retention.scratch,
            ),
        };
        let orphans = Orphans {
            queue: Arc::clone(&self.queue),
            registry: self.api.registry.clone(),
            hub: self.api.hub.clone(),
            vaults: self.api.vaults.by_name().clone(),
            progress: self.api.inbox.progress.clone(),
            wait: self.config.limits.agent_wait.0,
            across_vaults: self.config.limits.across_vaults,
            traces: self.workers.context().traces.clone(),
            metrics: self.workers.context().metrics.clone(),
        };
        self.workers.spawn(orphans.run(work.drain.clone()));
        self.workers.spawn(self.api.tokens.clone().run(work.drain.clone()));
        self.workers.spawn(self.api.mcp.clone().run(work.drain.clone()));
        self.workers.spawn(self.runner.run());
        let desk = bridges::Parts {
            inbox: self.api.inbox.clone(),
            limits: self.config.vaults.file_limits(),
        };
        self.api.bridges.start(&desk, &self.workers, &work.drain);
        let news = News {
            told: self.api.bridges.told().clone(),
            registry: self.api.registry.clone(),
            queue: Arc::clone(&self.queue),
            progress: self.api.inbox.progress.clone(),
            limits: self.config.limits.clone(),
            vaults: self.api.vaults.clone(),
        };
        self.workers.spawn(news.run(work.drain.clone()));
        self.workers.spawn(self.api.hub.clone().beat(work.drain.clone()));
        self.workers
            .spawn(http::watch_health(self.api.clone(), work.drain.clone()));
        self.workers.spawn(self.api.grants.clone().run(work.drain.clone()));
        self.workers
            .spawn(self.api.vaults.clone().look_after(work.drain.clone()));
        let over = self.budget.is_over(work.drain.clone(), self.closing.clone());
        let whole = async {
            let result = work.run(self.outbox, self.sudden, retention, stop, hurry).await;
            self.closing.cancel();
            connections.close();
            connections.wait().await;
            self.api.vaults.close().await;
            result
        };
        let result = tokio::select! {
            result = whole => result,
            () = over => {
                stopping::give_up(self.state.instance()).await;
                Ok(())
            }
        };
        self.state.withdraw();
        tracing::info!("stopped");
        result
    }
}
