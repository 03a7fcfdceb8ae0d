//! The CLI as the daemon uses it: found anew for each turn, so that installing it needs no restart, and given the one
//! credential that there is.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use reveille_backends::{
    Backend, ClaudeBackend, ClaudeOptions, Dirs, Failure, FailureCode, Observer, Probe, ProbeError, Remedy,
    TurnOutcome, TurnRequest, Usage, Verdict, base_env, find_program,
};
use reveille_sandbox::Sandbox;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::state_dir::private_dir;

/// The program name that means the built-in double.
pub(crate) const STAND_IN: &str = "stand-in";
/// The hidden subcommand that is the built-in double.
pub(crate) const STAND_IN_COMMAND: &str = "stand-in";
/// Variables that sign the CLI in, in the order in which they are taken.
const CREDENTIALS: [&str; 3] = ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];
/// Where the CLI keeps the login of `claude /login`, below its configuration directory.
const LOGIN_FILE: &str = ".credentials.json";

/// Where the credential of the CLI comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignIn {
    /// A variable under `[claude.env]`.
    Configured(&'static str),
    /// A variable of the daemon.
    Environment(&'static str),
    /// The login of the user's own CLI.
    Login(PathBuf),
    /// The built-in double needs none.
    NotNeeded,
    /// There is none that the daemon can see.
    Unknown,
}

/// The CLI. Runs turns.
pub(crate) struct Claude {
    config: config::Claude,
    sandbox: Arc<dyn Sandbox>,
    instance: String,
    environment: BTreeMap<OsString, OsString>,
    /// The backend for the program where it was found last.
    backend: Mutex<Option<(PathBuf, Arc<ClaudeBackend>)>>,
}

impl Claude {
    /// `environment` is the daemon's own; children get little of it.
    #[must_use]
    pub(crate) fn new(
        config: config::Claude,
        sandbox: Arc<dyn Sandbox>,
        instance: String,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            config,
            sandbox,
            instance,
            environment: environment.into_iter().collect(),
            backend: Mutex::default(),
        }
    }

    /// Its settings.
    #[must_use]
    pub(crate) fn config(&self) -> &config::Claude {
        &self.config
    }

    fn is_stand_in(&self) -> bool {
        self.config.program == STAND_IN
    }

    /// Where the program is now.
    #[must_use]
    pub(crate) fn program(&self) -> Option<PathBuf> {
        if self.is_stand_in() {
            return std::env::current_exe().ok(); // silent-ok: not found is the answer `None`
        }
        let path = self.environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        find_program(&self.config.program, &path)
    }

    /// Whether turns can be started.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        self.program().is_some()
    }

    /// Where the credential comes from.
    #[must_use]
    pub(crate) fn sign_in(&self) -> SignIn {
        if self.is_stand_in() {
            return SignIn::NotNeeded;
        }
        let set = |name: &&&str| {
            self.environment
                .get(OsStr::new(**name))
                .is_some_and(|value| !value.is_empty())
        };
        if let Some(name) = CREDENTIALS
            .iter()
            .find(|name| self.config.env.get(**name).is_some_and(|v| !v.is_empty()))
        {
            return SignIn::Configured(name);
        }
        if let Some(name) = CREDENTIALS.iter().find(|name| set(name)) {
            return SignIn::Environment(name);
        }
        match self.login_file() {
            Some(file) => SignIn::Login(file),
            None => SignIn::Unknown,
        }
    }

    /// The login of the user's own CLI.
    fn login_file(&self) -> Option<PathBuf> {
        let own = self.environment.get(OsStr::new("CLAUDE_CONFIG_DIR")).map(PathBuf::from);
        let usual = self
            .environment
            .get(OsStr::new("HOME"))
            .map(|home| Path::new(home).join(".claude"));
        [own, usual]
            .into_iter()
            .flatten()
            .map(|dir| dir.join(LOGIN_FILE))
            .find(|file| file.is_file())
    }

    /// Version and abilities of the program.
    ///
    /// # Errors
    /// [`ProbeError`]; `None` when there is no program.
    pub(crate) async fn probe(&self) -> Option<Result<Probe, ProbeError>> {
        let backend = self.backend()?;
        Some(backend.probe().await)
    }

    fn backend(&self) -> Option<Arc<ClaudeBackend>> {
        let program = self.program()?;
        let mut known = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, backend)) = &*known
            && *path == program
        {
            return Some(Arc::clone(backend));
        }
        let environment = self
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let mut options = ClaudeOptions::new(
            program.clone(),
            Arc::clone(&self.sandbox),
            self.instance.clone(),
            base_env(environment),
        );
        // Nobody is there to ask: what an agent may do is the sandbox's matter.
        options.skip_permissions = true;
        if self.is_stand_in() {
            options.prefix_args = vec![STAND_IN_COMMAND.into()];
        }
        let backend = Arc::new(ClaudeBackend::new(options));
        *known = Some((program, Arc::clone(&backend)));
        Some(backend)
    }

    /// Gives the child its credential: a variable, or the user's login by a link, so that a refreshed login counts for both.
    fn lend_credential(&self, turn: &mut TurnRequest) -> std::io::Result<()> {
        let link = turn.dirs.home.join(".claude").join(LOGIN_FILE);
        match self.sign_in() {
            SignIn::Environment(name) => {
                if let Some(value) = self.environment.get(OsStr::new(name)).and_then(|value| value.to_str()) {
                    turn.env.insert(name.to_owned(), value.to_owned());
                }
                Ok(())
            }
            SignIn::Login(file) if std::fs::symlink_metadata(&link).is_err() => {
                private_dir(&turn.dirs.home.join(".claude"))?;
                std::os::unix::fs::symlink(file, link)
            }
            SignIn::Login(_) | SignIn::Configured(_) | SignIn::NotNeeded | SignIn::Unknown => Ok(()),
        }
    }
}

fn failed(failure: Failure) -> TurnOutcome {
    TurnOutcome {
        verdict: Verdict::Failed(failure),
        session: None,
        usage: Usage::default(),
        cost_usd: 0.0,
        models: Vec::new(),
        tools_ran: false,
        partial: String::new(),
    }
}

#[async_trait]
impl Backend for Claude {
    async fn run(&self, mut turn: TurnRequest, observer: &dyn Observer, stop: CancellationToken) -> TurnOutcome {
        let Some(backend) = self.backend() else {
            return failed(Failure {
                code: FailureCode::ProgramMissing,
                message: format!("The program {:?} is not installed on this machine.", self.config.program),
                next_step: "Install Claude Code (npm install -g @anthropic-ai/claude-code) or set `[claude] program`, then send the \
                            message again; no restart is needed."
                    .into(),
                remedy: Remedy::Operator,
                detail: "not found in PATH".into(),
            });
        };
        if let Err(error) = self.lend_credential(&mut turn) {
            tracing::warn!(%error, "the login could not be lent to the conversation");
        }
        backend.run(turn, observer, stop).await
    }

    fn session_exists(&self, dirs: &Dirs, session: Uuid) -> bool {
        // The transcript is there whether or not the program still is.
        let nowhere = || {
            let options = ClaudeOptions::new(
                PathBuf::from("/"),
                Arc::clone(&self.sandbox),
                self.instance.clone(),
                Vec::new(),
            );
            Arc::new(ClaudeBackend::new(options))
        };
        self.backend().unwrap_or_else(nowhere).session_exists(dirs, session)
    }
}
