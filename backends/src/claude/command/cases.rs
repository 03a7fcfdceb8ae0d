//! What the CLI is started with, case by case.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_sandbox::{Policy, Unconfined};
use uuid::Uuid;

use super::{arguments, environment, policy};
use crate::claude::{ClaudeOptions, Probe};
use crate::turn::{Dirs, PromptMode, Session, SystemPrompt, Timeouts, TurnRequest};

const ID: Uuid = Uuid::from_u128(7);

fn turn() -> TurnRequest {
    let at = |name: &str| PathBuf::from("/c").join(name);
    TurnRequest {
        turn: Uuid::from_u128(1),
        prompt: "do it --now".into(),
        session: Session::New(ID),
        dirs: Dirs {
            cwd: at("work"),
            ctl: at("ctl"),
            home: at("home"),
            tmp: at("tmp"),
        },
        model: None,
        system_prompt: None,
        max_turns: None,
        budget_usd: None,
        timeouts: Timeouts {
            start: Duration::ZERO,
            idle: Duration::ZERO,
            wall: Duration::ZERO,
        },
        env: [].into(),
        secrets: Vec::new(),
        policy: Policy {
            readable: vec!["/c/files".into()],
            ..Policy::default()
        },
    }
}

fn args(turn: &TurnRequest, session: Session) -> Vec<String> {
    let args = arguments(turn, session, true, &Probe::default());
    args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
}

fn has(args: &[String], start: &str) -> bool {
    args.iter().any(|arg| arg.starts_with(start))
}

fn prompted(mode: PromptMode) -> Vec<String> {
    let mut turn = turn();
    turn.system_prompt = Some(SystemPrompt {
        text: "Be kind.".into(),
        mode,
    });
    args(&turn, Session::New(ID))
}

fn with_model(model: Option<&str>) -> Vec<String> {
    let mut turn = turn();
    turn.model = model.map(str::to_owned);
    args(&turn, Session::New(ID))
}

#[test]
fn tc_argv_1_what_every_turn_is_started_with() {
    let expected = [
        "-p",
        "--input-format=stream-json",
        "--output-format=stream-json",
        "--verbose",
        "--include-partial-messages",
        "--setting-sources=user",
        "--strict-mcp-config",
        "--mcp-config=/c/ctl/mcp.json",
        "--session-id=00000000-0000-0000-0000-000000000007",
        "--dangerously-skip-permissions",
    ];
    // Neither the text for the model nor an option for other channels.
    assert_eq!(args(&turn(), Session::New(ID)), expected);
}

#[test]
fn tc_argv_2_a_new_session_has_its_id() {
    let args = args(&turn(), Session::New(ID));
    assert!(
        args.contains(&format!("--session-id={ID}")) && !has(&args, "--resume"),
        "{args:?}"
    );
}

#[test]
fn tc_argv_3_a_session_that_goes_on_is_resumed() {
    let args = args(&turn(), Session::Resume(ID));
    assert!(
        args.contains(&format!("--resume={ID}")) && !has(&args, "--session-id"),
        "{args:?}"
    );
}

#[test]
fn tc_argv_4_a_prompt_is_appended() {
    let args = prompted(PromptMode::Append);
    let expected = "--append-system-prompt-file=/c/ctl/system-prompt.txt".to_owned();
    assert!(
        args.contains(&expected) && !has(&args, "--system-prompt-file"),
        "{args:?}"
    );
}

#[test]
fn tc_argv_5_a_prompt_replaces() {
    let args = prompted(PromptMode::Replace);
    let expected = "--system-prompt-file=/c/ctl/system-prompt.txt".to_owned();
    assert!(
        args.contains(&expected) && !has(&args, "--append-system-prompt-file"),
        "{args:?}"
    );
}

#[test]
fn tc_argv_6_without_a_mode_a_prompt_is_appended() {
    assert_eq!(prompted(PromptMode::default()), prompted(PromptMode::Append));
}

#[test]
fn tc_argv_7_without_a_prompt_there_is_no_option_for_it() {
    let args = args(&turn(), Session::New(ID));
    assert!(!args.iter().any(|arg| arg.contains("system-prompt")), "{args:?}");
}

#[test]
fn tc_argv_8_a_model_is_named() {
    assert!(with_model(Some("opus")).contains(&"--model=opus".to_owned()));
}

#[test]
fn tc_argv_9_no_model_is_no_option() {
    for model in [None, Some(""), Some("   ")] {
        let args = with_model(model);
        assert!(!has(&args, "--model"), "{args:?}");
    }
}

#[test]
fn tc_argv_10_a_model_is_trimmed() {
    assert!(with_model(Some("  claude-opus-4-8  ")).contains(&"--model=claude-opus-4-8".to_owned()));
}

#[test]
fn tc_exec_9a_9c_what_a_child_may_write() {
    let options = ClaudeOptions::new("/claude".into(), Arc::new(Unconfined), "i".into(), Vec::new());
    let mut turn = turn();
    let own = [turn.dirs.home.clone(), turn.dirs.tmp.clone()];
    for cwd in ["/c/work", "/srv/project"] {
        turn.dirs.cwd = cwd.into();
        let policy = policy(&options, &turn);
        assert_eq!(policy.writable, [&[turn.dirs.cwd.clone()], &own[..]].concat());
        assert_eq!(policy.readable, ["/c/files".into(), turn.dirs.ctl.clone()]);
    }
}

/// Value of a variable of the child; the last one of a name counts.
fn variable(options: &ClaudeOptions, turn: &TurnRequest, root: bool, name: &str) -> Option<OsString> {
    let env = environment(options, turn, root);
    env.into_iter()
        .rev()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

#[test]
fn tc_exec_16_variables_of_ours_and_of_the_configuration() {
    let base = [("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/h/.claude"), ("TMPDIR", "/tmp")];
    let base = base.map(|(name, value)| (name.into(), value.into())).to_vec();
    let mut options = ClaudeOptions::new("/claude".into(), Arc::new(Unconfined), "i".into(), base);
    options.skip_permissions = true;
    let mut turn = turn();
    let get = |turn: &TurnRequest, root, name: &str| variable(&options, turn, root, name);
    // As root the CLI skips permissions only in a sandbox; a configuration may say otherwise.
    assert_eq!(get(&turn, true, "IS_SANDBOX"), Some("1".into()));
    assert_eq!(get(&turn, false, "IS_SANDBOX"), None);
    turn.env.insert("IS_SANDBOX".into(), "0".into());
    assert_eq!(get(&turn, true, "IS_SANDBOX"), Some("0".into()));
    // The child has its own home for settings and files, and no other part of the daemon's environment.
    assert_eq!(get(&turn, true, "CLAUDE_CONFIG_DIR"), Some("/c/home/.claude".into()));
    assert_eq!(get(&turn, true, "TMPDIR"), Some("/c/tmp".into()));
    assert_eq!(get(&turn, true, "HOME"), Some("/h".into()));
    // What marks its processes is not to be forged.
    turn.env.insert("REVEILLE_TURN".into(), "forged".into());
    assert_eq!(get(&turn, true, "REVEILLE_TURN"), Some(turn.turn.to_string().into()));
}

#[test]
fn a_request_that_is_shown_shows_no_secret() {
    let request = TurnRequest {
        env: [("GITHUB_TOKEN".to_owned(), "hunter2hunter2".to_owned())].into(),
        secrets: vec!["hunter2hunter2".into()],
        ..turn()
    };
    let shown = format!("{request:?} {request:#?}");
    assert!(shown.contains("TurnRequest") && !shown.contains("hunter2"), "{shown}");
}
