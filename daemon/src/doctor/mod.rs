//! Whether everything that the daemon needs is there: the checks of `reveille doctor`, which the daemon runs of itself too.

mod credentials;
mod databases;
mod disk;
mod hub;
mod loopback;
mod run;
mod shield;
mod tables;
mod vaults;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use reveille_sandbox::{Sandbox as _, Unconfined};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use self::run::{Doctor, Report};
use crate::claude::{Claude, SignIn};
use crate::config::{Config, SandboxMode};
use crate::credentials::Credentials;
use crate::layout;
use crate::machine;
use crate::open_files;
use crate::sandboxing;
use crate::state_dir::{private_dir, running_daemon};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckLevel)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and something should be known.
    Warning,
    /// Something does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Check {
    /// What was looked at. Several may be called so, such as one `vault` each.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

pub(crate) fn check(check: &'static str, level: Level, detail: impl Into<String>, mend: Option<&str>) -> Check {
    Check {
        check,
        level,
        detail: detail.into(),
        mend: mend.map(str::to_owned),
    }
}

/// Whether the configuration can be read; `error`: why not.
pub(crate) fn configuration_check(error: Option<&dyn std::fmt::Display>) -> Check {
    let name = "configuration";
    match error {
        None => check(name, Level::Ok, "readable", None),
        Some(error) => {
            let mend = Some("correct that key; the other checks use the defaults");
            check(name, Level::Error, error.to_string(), mend)
        }
    }
}

/// What is looked at, and by whom.
pub(crate) struct Ground<'a> {
    /// Settings.
    pub(crate) config: &'a Config,
    /// Where everything that outlives the daemon is.
    pub(crate) state_dir: &'a Path,
    /// What the daemon says of itself.
    pub(crate) health: Health,
    /// The CLI as the daemon uses it, or would.
    pub(crate) claude: &'a Claude,
    /// The address at which the daemon answers that looks at itself.
    pub(crate) own: Option<&'a str>,
}

impl Ground<'_> {
    /// All checks but that of the configuration.
    pub(crate) async fn checks(&self) -> Vec<Check> {
        let Self {
            config,
            state_dir,
            health,
            claude,
            own,
        } = self;
        let mut checks = vec![state_dir_check(state_dir)];
        checks.push(match own {
            Some(url) => check("address", Level::Ok, format!("{url} is served by this daemon"), None),
            None => address_check(config, state_dir).await,
        });
        checks.push(disk::check_room(state_dir));
        checks.push(open_files::check_limit(config.server.max_connections));
        checks.push(deliveries_check(health));
        checks.extend(vaults::checks(config, state_dir, health).await);
        checks.extend(hub::checks(config).await);
        checks.extend(claude_checks(claude).await);
        checks.push(credentials::check_file(state_dir));
        checks.push(sandbox_check(config.sandbox.mode).await);
        checks.extend(shield::checks(&config.sandbox, claude));
        checks.extend(loopback::checks(config));
        checks.extend(limits_check(config.sandbox.mode, health));
        checks.extend(tables::checks(config, health));
        checks.push(match reveille_web_ui::missing() {
            None => check("web page", Level::Ok, "built in", None),
            Some(why) => check(
                "web page",
                Level::Warning,
                why,
                Some("install node 20 or newer with npm and build again"),
            ),
        });
        checks
    }
}

fn state_dir_check(path: &Path) -> Check {
    let name = "state directory";
    if let Err(error) = layout::look(path) {
        let mend = Some("use the version that wrote it, or choose another directory with --state-dir");
        return check(name, Level::Error, error.to_string(), mend);
    }
    if let Some(newer) = databases::newer(path) {
        let mend = Some("use the version that wrote it, or restore a copy of the directory from before");
        return check(name, Level::Error, newer, mend);
    }
    let tried = private_dir(path).and_then(|()| tempfile::tempfile_in(path).map(drop));
    match tried {
        Ok(()) => check(name, Level::Ok, format!("{} is writable", path.display()), None),
        Err(error) => {
            let detail = format!("{} is not writable: {error}", path.display());
            check(
                name,
                Level::Error,
                detail,
                Some("mend its permissions, or choose another one with --state-dir"),
            )
        }
    }
}

async fn address_check(config: &Config, state_dir: &Path) -> Check {
    let (name, address) = ("address", config.server.bind);
    let Err(error) = TcpListener::bind(address) else {
        return check(name, Level::Ok, format!("{address} is free"), None);
    };
    if let Some(daemon) = running_daemon(state_dir)
        && daemon.url == format!("http://{address}")
        && health(&daemon.url).await
    {
        return check(
            name,
            Level::Ok,
            format!("{address} is served by this daemon (process {})", daemon.pid),
            None,
        );
    }
    let mend = Some("stop the other program, or choose another port with `serve --bind` or `[server] bind`");
    check(name, Level::Error, format!("{address} cannot be used: {error}"), mend)
}

/// What the running daemon says of itself.
pub(crate) enum Health {
    /// No daemon runs.
    NoDaemon,
    /// It does not answer.
    Silent(String),
    /// Its answer.
    Told(Value),
}

/// What the running daemon could not deliver.
fn deliveries_check(health: &Health) -> Check {
    let name = "deliveries";
    let health = match health {
        Health::Told(health) => health,
        Health::NoDaemon => {
            return check(
                name,
                Level::Ok,
                "no daemon runs; what is left goes out at its start",
                None,
            );
        }
        Health::Silent(error) => {
            let mend = Some("start the daemon again with `reveille serve`");
            return check(name, Level::Warning, error, mend);
        }
    };
    let vaults = health["vaults"].as_array();
    let silent = vaults
        .into_iter()
        .flatten()
        .find_map(|vault| Some((vault["name"].as_str()?, vault["deliveries"]["last_error"].as_str()?)));
    let count = health["undelivered"].as_u64();
    let detail = match (count, silent) {
        (Some(0), None) => return check(name, Level::Ok, "everything is delivered", None),
        (None, _) => "the daemon cannot read its queue".to_owned(),
        (Some(count), None) => format!("{count} undelivered; they are kept and tried again"),
        (Some(count), Some((vault, error))) => {
            format!("{count} undelivered; they are kept. The vault {vault:?} does not take them: {error}")
        }
    };
    let mend = Some("see `reveille undelivered list`; mend the cause, then `reveille undelivered retry`");
    check(name, Level::Warning, detail, mend)
}

/// Whether agents would be confined, tried out here and now.
async fn sandbox_check(mode: SandboxMode) -> Check {
    let name = "sandbox";
    if mode == SandboxMode::None {
        let mend = Some(
            "take `mode = \"none\"` out of [sandbox], or run only agents and messages that you trust, as a user who has nothing to lose",
        );
        return check(name, Level::Warning, Unconfined.summary().detail, mend);
    }
    let tried = async {
        let program = machine::own_file()?;
        let sandbox = machine::sandbox(mode, std::env::temp_dir())?;
        anyhow::Ok((sandbox.summary(), sandboxing::try_out(&*sandbox, &program).await))
    };
    let (summary, report) = match tried.await {
        Ok(tried) => tried,
        Err(error) => {
            let mend = Some("mend what it names, and ask again; `reveille sandbox probe` shows more");
            return check(name, Level::Error, format!("{error:#}"), mend);
        }
    };
    if !report.ok {
        let detail = format!("no turn can be run: {}", sandboxing::why(&report));
        let mend = report.mend.as_deref();
        return check(
            name,
            Level::Error,
            detail,
            mend.or(Some("see `reveille sandbox probe`")),
        );
    }
    if summary.mode != "bubblewrap" {
        let mend = Some("run it on Linux with bubblewrap, or give agents only what they may spoil");
        return check(name, Level::Warning, summary.detail, mend);
    }
    let detail = format!(
        "agents are confined: bubblewrap {}, Landlock {}, a filter of system calls",
        report.bwrap.as_deref().unwrap_or("of an unknown version"),
        report.landlock_abi
    );
    let mut but = report.warnings;
    let mut mend = Some("`reveille sandbox probe` shows more; agents are confined all the same");
    if rustix::process::geteuid().is_root() {
        but.push("the daemon would run as root".into());
        mend = Some("run it as a user of its own: a fault of the confinement gives agents what that user has");
    }
    match but.is_empty() {
        true => check(name, Level::Ok, detail, None),
        false => check(name, Level::Warning, format!("{detail}; but {}", but.join("; ")), mend),
    }
}

/// What one turn may take of the machine. Only the daemon knows: another program is in another control group.
fn limits_check(mode: SandboxMode, health: &Health) -> Option<Check> {
    let name = "limits";
    if mode == SandboxMode::None {
        return None;
    }
    let Health::Told(health) = health else {
        let detail = "what limits the memory and processes of turns is known once the daemon runs";
        return Some(check(name, Level::Ok, detail, None));
    };
    let limits = &health["sandbox"]["limits"];
    match (limits["missing"].as_str(), limits["group"].as_str()) {
        (Some(missing), _) => {
            let (detail, mend) = missing
                .split_once(". ")
                .unwrap_or((missing, "see sandbox.md, \"Limits\""));
            Some(check(name, Level::Warning, detail, Some(mend)))
        }
        (None, Some(group)) => Some(check(
            name,
            Level::Ok,
            format!("each turn has a control group of its own in {group}"),
            None,
        )),
        // An older daemon.
        (None, None) => None,
    }
}

async fn health(url: &str) -> bool {
    let request = reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(3))
        .build();
    match request {
        Ok(http) => http
            .get(format!("{url}/health"))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success()),
        Err(_) => false,
    }
}

/// The CLI as the daemon would use it.
pub(crate) fn claude_of(config: &Config, state_dir: &Path) -> Claude {
    let claude = Claude::new(
        config.claude.clone(),
        Arc::new(Unconfined),
        "doctor".into(),
        std::env::vars_os(),
    );
    claude.storing(Credentials::in_dir(state_dir))
}

async fn claude_checks(claude: &Claude) -> Vec<Check> {
    let Some(program) = claude.program() else {
        let detail = format!("{:?} is not in PATH", claude.config().program);
        let mend = Some("npm install -g @anthropic-ai/claude-code, or set `[claude] program` to its path");
        return vec![check("claude", Level::Error, detail, mend)];
    };
    let found = match claude.probe().await {
        Some(Ok(probe)) => check(
            "claude",
            Level::Ok,
            format!("{} at {}", probe.version, program.display()),
            None,
        ),
        Some(Err(error)) => check(
            "claude",
            Level::Error,
            error.to_string(),
            Some("run that program by hand, and reinstall it if it fails"),
        ),
        None => check("claude", Level::Error, "it has just gone", Some("ask again")),
    };
    if let Some(problem) = claude.login_problem() {
        let signed_in = check("sign-in", Level::Error, problem.message, Some(&problem.next_step));
        return vec![found, signed_in];
    }
    let signed_in = match claude.sign_in(None) {
        SignIn::NotNeeded => check("sign-in", Level::Ok, "the stand-in needs none", None),
        SignIn::Stored(_, name) => check(
            "sign-in",
            Level::Ok,
            format!("{name} from the stored credentials"),
            None,
        ),
        SignIn::Unreadable(error) => check("sign-in", Level::Error, error, Some("see the check `credentials`")),
        SignIn::Configured(name) => check("sign-in", Level::Ok, format!("{name} from the configuration"), None),
        SignIn::Environment(name) => check("sign-in", Level::Ok, format!("{name} from the environment"), None),
        SignIn::Login(file) => check("sign-in", Level::Ok, format!("the login in {}", file.display()), None),
        SignIn::Unknown => {
            let mend =
                Some("run `claude` and sign in, or `claude setup-token` and then `reveille secret set --claude`");
            check("sign-in", Level::Error, "no login and no key were found", mend)
        }
    };
    vec![found, signed_in]
}
