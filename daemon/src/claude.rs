//! The CLI as the daemon uses it: found anew for each turn, so that installing it needs no restart, and given the one
//! credential that there is.

mod withheld;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_backends::{
    Backend, ClaudeBackend, ClaudeOptions, Dirs, Failure, FailureCode, Observer, Probe, ProbeError, Remedy, Resident,
    TurnOutcome, TurnRequest, Usage, Verdict, base_env, find_program, make_config_dir,
};
use reveille_sandbox::Sandbox;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::credentials::{CREDENTIALS, Credentials, CredentialsError, Layer, Stored};
use crate::lent::{LOGIN_FILE, Lent};
use crate::sandboxing::seed;
use crate::turn::storage_failure;

/// The program name that means the built-in double.
pub(crate) const STAND_IN: &str = "stand-in";
/// The hidden subcommand that is the built-in double.
pub(crate) const STAND_IN_COMMAND: &str = "stand-in";

/// Where the credential of the CLI comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignIn {
    /// It is stored for agents, and handed over by that variable.
    Stored(Layer, &'static str),
    /// What is stored cannot be read.
    Unreadable(String),
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
    credentials: Option<Credentials>,
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
            credentials: None,
            backend: Mutex::default(),
        }
    }

    /// With the store of credentials of a state directory.
    #[must_use]
    pub(crate) fn storing(self, credentials: Credentials) -> Self {
        Self {
            credentials: Some(credentials),
            ..self
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

    /// The credential that is stored for an agent, or for all of them.
    fn stored(&self, agent: Option<&str>) -> Result<Option<Stored>, CredentialsError> {
        let Some(credentials) = &self.credentials else {
            return Ok(None);
        };
        let contents = credentials.read()?;
        Ok(match agent {
            Some(agent) => contents.claude(agent),
            None => contents.claude_of(None),
        })
    }

    /// Where the credential of an agent comes from, or of those that have none of their own.
    #[must_use]
    pub(crate) fn sign_in(&self, agent: Option<&str>) -> SignIn {
        if self.is_stand_in() {
            return SignIn::NotNeeded;
        }
        match self.stored(agent) {
            Ok(Some(stored)) => SignIn::Stored(stored.layer, stored.variable),
            Ok(None) => self.sign_in_unstored(),
            Err(error) => SignIn::Unreadable(error.to_string()),
        }
    }

    /// Where it comes from when none is stored.
    #[must_use]
    pub(crate) fn sign_in_unstored(&self) -> SignIn {
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

    /// The variables that sign in without the store: all of those that are configured, else the one of the daemon.
    #[must_use]
    pub(crate) fn signing_in(&self) -> (Vec<&'static str>, Option<&'static str>) {
        let is_set = |name: &&str| self.config.env.get(*name).is_some_and(|value| !value.is_empty());
        let passed = match self.sign_in_unstored() {
            SignIn::Environment(name) => Some(name),
            _ => None,
        };
        (CREDENTIALS.into_iter().filter(is_set).collect(), passed)
    }

    /// What every child has of the daemon's environment.
    #[must_use]
    pub(crate) fn base_env(&self) -> Vec<(OsString, OsString)> {
        base_env(self.environment.clone())
    }

    /// The names of that.
    #[must_use]
    pub(crate) fn passed_on(&self) -> Vec<String> {
        let names = self.base_env().into_iter().map(|(name, _)| name);
        names.filter_map(|name| name.into_string().ok()).collect()
    }

    /// Names the credential that there is for an agent, without telling it: another answer means that somebody has signed in
    /// anew.
    #[must_use]
    pub(crate) fn credential_mark(&self, agent: &str) -> String {
        match self.stored(Some(agent)) {
            Ok(Some(stored)) => return format!("{:x?}", Sha256::digest(stored.token)),
            Ok(None) => {}
            Err(_) => return "unreadable".into(), // silent-ok: the turn says so
        }
        match self.sign_in_unstored() {
            SignIn::Login(file) => {
                let stamp = std::fs::metadata(&file).and_then(|meta| Ok((meta.len(), meta.modified()?)));
                format!("{} {stamp:?}", file.display())
            }
            other => format!("{other:?}"),
        }
    }

    /// Why the login that would be lent to turns cannot be.
    #[must_use]
    pub(crate) fn login_problem(&self) -> Option<Failure> {
        match self.sign_in(None) {
            SignIn::Login(file) => borrow(&file).err(),
            _ => None,
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
        let mut options = ClaudeOptions::new(
            program.clone(),
            Arc::clone(&self.sandbox),
            self.instance.clone(),
            self.base_env(),
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

    /// A backend that may not be able to run anything: what it has stored is there whether or not the program still is.
    fn backend_for_files(&self) -> Arc<ClaudeBackend> {
        self.backend().unwrap_or_else(|| {
            let options = ClaudeOptions::new(
                PathBuf::from("/"),
                Arc::clone(&self.sandbox),
                self.instance.clone(),
                Vec::new(),
            );
            Arc::new(ClaudeBackend::new(options))
        })
    }

    fn missing(&self) -> Failure {
        Failure {
            code: FailureCode::ProgramMissing,
            message: format!("The program {:?} is not installed on this machine.", self.config.program),
            next_step: "Install Claude Code (npm install -g @anthropic-ai/claude-code) or set `[claude] program`, then send the \
                        message again; no restart is needed."
                .into(),
            remedy: Remedy::Operator,
            detail: "not found in PATH".into(),
        }
    }

    /// Gives the child its credential, unless its variables hold one already, stored or configured: a variable, or the user's
    /// login without the means to renew it, which is taken back when the answer is dropped. A login that was lent before does
    /// not stay when something else is used.
    fn lend_credential(&self, turn: &mut TurnRequest) -> Result<Option<Lent>, Failure> {
        let has = |name: &&str| turn.env.get(*name).is_some_and(|value| !value.is_empty());
        let sign_in = match CREDENTIALS.iter().find(|name| has(name)) {
            Some(name) => SignIn::Configured(name),
            None => self.sign_in_unstored(),
        };
        let not_lent =
            |error: std::io::Error| login_failure("could not be lent to the conversation", &error.to_string());
        let place = make_config_dir(&turn.dirs)
            .map_err(|error| storage_failure("the directory of Claude Code could not be made", &error))?;
        let home = self.environment.get(OsStr::new("HOME")).map(PathBuf::from);
        seed::plant(&place, home.as_deref())
            .map_err(|error| storage_failure("the directory of Claude Code could not be filled", &error))?;
        if let SignIn::Login(file) = sign_in {
            let lent = borrow(&file)?;
            turn.secrets.extend(lent.token);
            return Lent::to(place, &lent.text).map(Some).map_err(not_lent);
        }
        place
            .remove(LOGIN_FILE)
            .map_err(|error| login_failure("could not be taken back from the conversation", &error.to_string()))?;
        if let SignIn::Environment(name) = sign_in
            && let Some(value) = self.environment.get(OsStr::new(name)).and_then(|value| value.to_str())
        {
            turn.env.insert(name.to_owned(), value.to_owned());
        }
        Ok(None)
    }
}

/// The login in a file, to be lent.
fn borrow(file: &Path) -> Result<LentLogin, Failure> {
    let unreadable = |error: std::io::Error| login_failure("cannot be read", &error.to_string());
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    lent_login(&text, Timestamp::now())
}

fn login_failure(what: &str, detail: &str) -> Failure {
    Failure {
        code: FailureCode::Authentication,
        message: format!("The login of Claude Code on this machine {what}."),
        next_step:
            "Run `claude` once by hand, or set a long-lived token: `claude setup-token`, then `reveille secret set \
                    --claude`. Then send the message again."
                .into(),
        remedy: Remedy::Operator,
        detail: detail.to_owned(),
    }
}

/// A login as a conversation gets it.
struct LentLogin {
    /// For the CLI.
    text: String,
    /// The part of it that opens doors.
    token: Option<String>,
}

/// The user's login for a conversation. The refresh token stays behind: it can be used once, so a child that renewed the
/// login in its own directory would sign the user out.
fn lent_login(text: &str, now: Timestamp) -> Result<LentLogin, Failure> {
    let mut login: Value =
        serde_json::from_str(text).map_err(|_| login_failure("cannot be read", "the file is no JSON"))?;
    let Some(oauth) = login.get_mut("claudeAiOauth").and_then(Value::as_object_mut) else {
        return Err(login_failure("has ended", "the file holds no login"));
    };
    oauth.remove("refreshToken");
    let ends = oauth.get("expiresAt").and_then(Value::as_i64);
    if ends.is_some_and(|ends| ends <= now.as_millisecond()) {
        return Err(login_failure("has expired", "its access token is too old"));
    }
    let token = oauth.get("accessToken").and_then(Value::as_str).map(str::to_owned);
    Ok(LentLogin {
        token,
        text: login.to_string(),
    })
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
            return failed(self.missing());
        };
        let _lent = match self.lend_credential(&mut turn) {
            Ok(lent) => lent,
            Err(failure) => return failed(failure),
        };
        backend.run(turn, observer, stop).await
    }

    async fn run_and_stay(
        &self,
        mut turn: TurnRequest,
        observer: &dyn Observer,
        stop: CancellationToken,
    ) -> (TurnOutcome, Option<Resident>) {
        let Some(backend) = self.backend() else {
            return (self.run(turn, observer, stop).await, None);
        };
        let lent = match self.lend_credential(&mut turn) {
            Ok(lent) => lent,
            Err(failure) => return (failed(failure), None),
        };
        let (outcome, mut resident) = backend.run_and_stay(turn, observer, stop).await;
        if let (Some(resident), Some(lent)) = (&mut resident, lent) {
            // It may be asked for it again.
            resident.keep(lent);
        }
        (outcome, resident)
    }

    async fn start_ahead(&self, mut turn: TurnRequest, stop: CancellationToken) -> Result<Resident, Failure> {
        let backend = self.backend().ok_or_else(|| self.missing())?;
        let lent = self.lend_credential(&mut turn)?;
        let mut resident = backend.start_ahead(turn, stop).await?;
        if let Some(lent) = lent {
            resident.keep(lent);
        }
        Ok(resident)
    }

    fn session_size(&self, dirs: &Dirs, session: Uuid) -> u64 {
        self.backend_for_files().session_size(dirs, session)
    }

    fn took_prompt(&self, dirs: &Dirs, session: Uuid, since: u64) -> bool {
        self.backend_for_files().took_prompt(dirs, session, since)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn lend(login: &Value) -> Result<Value, (FailureCode, String)> {
        let lent = lent_login(&login.to_string(), NOW.parse().unwrap());
        lent.map(|lent| serde_json::from_str(&lent.text).unwrap())
            .map_err(|failure| (failure.code, failure.message))
    }

    #[test]
    fn a_login_is_lent_without_the_means_to_renew_it() {
        let ends = NOW.parse::<Timestamp>().unwrap().as_millisecond() + 60_000;
        let login =
            json!({"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": ends, "scopes": ["x"]}});
        let expected = json!({"claudeAiOauth": {"accessToken": "a", "expiresAt": ends, "scopes": ["x"]}});
        assert_eq!(lend(&login), Ok(expected));
    }

    #[test]
    fn tc_exec_11_a_login_that_cannot_work_says_so() {
        let ended = NOW.parse::<Timestamp>().unwrap().as_millisecond();
        for (login, what) in [
            (
                json!({"claudeAiOauth": {"accessToken": "a", "expiresAt": ended}}),
                "has expired",
            ),
            (json!({}), "has ended"),
        ] {
            let message = format!("The login of Claude Code on this machine {what}.");
            assert_eq!(lend(&login), Err((FailureCode::Authentication, message)));
        }
        assert_eq!(
            lent_login("{", NOW.parse().unwrap()).err().map(|failure| failure.code),
            Some(FailureCode::Authentication)
        );
    }
}
