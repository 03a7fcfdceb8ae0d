//! The command line and the environment of one turn.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use reveille_sandbox::{Command, Policy};

use super::files::{config_dir, mcp_file, prompt_file};
use super::locate::Probe;
use super::options::{ClaudeOptions, authorities};
use crate::turn::{PromptMode, Session, TurnRequest};

#[cfg(test)]
mod cases;

/// Marks every process of one daemon.
pub(super) const INSTANCE_MARKER: &str = "REVEILLE_INSTANCE";
/// Marks every process of one turn, and of those after it that the same process runs.
pub(super) const TURN_MARKER: &str = "REVEILLE_TURN";
const BASH_LIMIT: &str = "BASH_MAX_TIMEOUT_MS";
/// The CLI's own limit for a Bash call that asks for none.
const BASH_DEFAULT_MS: u128 = 120_000;

/// The longest time that one Bash call may take: the definition's own variable wins.
pub(super) fn tool_limit(options: &ClaudeOptions, turn: &TurnRequest) -> Duration {
    let own = turn.env.get(BASH_LIMIT).and_then(|ms| ms.parse().ok()); // silent-ok: the CLI passes over it as well.
    own.map_or(options.tool_limit, Duration::from_millis)
}

/// What the child may reach.
pub(super) fn policy(options: &ClaudeOptions, turn: &TurnRequest) -> Policy {
    let dirs = &turn.dirs;
    let mut policy = turn.policy.clone();
    // Those that the daemon itself was given, and never what a definition names: it could name anything.
    policy.readable.extend(authorities(&options.base_env));
    policy
        .writable
        .extend([&dirs.cwd, &dirs.home, &dirs.tmp].map(Clone::clone));
    policy.readable.push(dirs.ctl.clone());
    policy
}

/// The CLI's command for one attempt.
pub(super) fn build(options: &ClaudeOptions, turn: &TurnRequest, session: Session, probe: &Probe) -> Command {
    let mut args = options.prefix_args.clone();
    args.extend(arguments(turn, session, options.skip_permissions, probe));
    Command {
        program: options.program.clone(),
        args,
        env: environment(options, turn, rustix::process::geteuid().is_root()),
        cwd: turn.dirs.cwd.clone(),
    }
}

/// None of these is remembered by a session, so each turn gives them all. The text for the model is never among them.
fn arguments(turn: &TurnRequest, session: Session, skip_permissions: bool, probe: &Probe) -> Vec<OsString> {
    let with_path = |option: &str, path: PathBuf| {
        let mut arg = OsString::from(option);
        arg.push(path);
        arg
    };
    let mut args: Vec<OsString> = [
        "-p",
        "--input-format=stream-json",
        "--output-format=stream-json",
        "--verbose",
        "--include-partial-messages",
        // A project's own hooks and servers would run unasked.
        "--setting-sources=user",
        "--strict-mcp-config",
    ]
    .map(OsString::from)
    .into();
    args.push(with_path("--mcp-config=", mcp_file(&turn.dirs)));
    args.push(match session {
        Session::New(id) => format!("--session-id={id}").into(),
        Session::Resume(id) => format!("--resume={id}").into(),
    });
    if let Some(prompt) = &turn.system_prompt {
        let option = match prompt.mode {
            PromptMode::Append => "--append-system-prompt-file=",
            PromptMode::Replace => "--system-prompt-file=",
        };
        args.push(with_path(option, prompt_file(&turn.dirs)));
    }
    if probe.supports_prompt_snapshot {
        args.extend(["--system-prompt-snapshot", "off"].map(OsString::from));
    }
    if let Some(model) = turn.model.as_deref().map(str::trim).filter(|model| !model.is_empty()) {
        args.push(format!("--model={model}").into());
    }
    args.extend(turn.max_turns.map(|turns| format!("--max-turns={turns}").into()));
    args.extend(
        turn.budget_usd
            .map(|budget| format!("--max-budget-usd={budget}").into()),
    );
    if skip_permissions {
        args.push("--dangerously-skip-permissions".into());
    }
    args
}

/// Later entries win over earlier ones. `CLAUDE_CODE_SUBPROCESS_ENV_SCRUB` is left out on purpose: it forces the permission
/// mode back to `default`, makes Bash refuse to run where bubblewrap or socat is missing, and leaves `.env` and `package.json`
/// files in the working directory (seen with 2.1.197).
fn environment(options: &ClaudeOptions, turn: &TurnRequest, root: bool) -> Vec<(OsString, OsString)> {
    let tool_ms = options.tool_limit.as_millis();
    let mut env = options.base_env.clone();
    let mut set = |name: &str, value: OsString| {
        env.retain(|(known, _)| known != name);
        env.push((name.into(), value));
    };
    set("TERM", "dumb".into());
    if options.sandbox.summary().confined {
        // The user's own cannot be seen there.
        set("HOME", turn.dirs.home.clone().into());
    }
    set("CLAUDE_CONFIG_DIR", config_dir(&turn.dirs).into());
    set("CLAUDE_CODE_TMPDIR", turn.dirs.tmp.clone().into());
    set("TMPDIR", turn.dirs.tmp.clone().into());
    for name in [
        "DISABLE_AUTOUPDATER",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        // A task that outlives its turn would start turns that nobody asked for.
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
        "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS",
        // What was said is stored when the turn is over, not up to a tenth of a second later (seen with 2.1.197).
        "CLAUDE_CODE_EAGER_FLUSH",
    ] {
        set(name, "1".into());
    }
    set("CLAUDE_CODE_MAX_RETRIES", options.max_retries.to_string().into());
    set("API_TIMEOUT_MS", options.api_timeout.as_millis().to_string().into());
    set(BASH_LIMIT, tool_ms.to_string().into());
    set(
        "BASH_DEFAULT_TIMEOUT_MS",
        tool_ms.min(BASH_DEFAULT_MS).to_string().into(),
    );
    if root && options.skip_permissions {
        // As root the CLI skips permissions only when it is told that it runs in a sandbox.
        set("IS_SANDBOX", "1".into());
    }
    for (name, value) in &turn.env {
        set(name, value.into());
    }
    set(INSTANCE_MARKER, options.instance.clone().into());
    set(TURN_MARKER, turn.turn.to_string().into());
    env
}
