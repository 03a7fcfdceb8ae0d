//! What the child is given: arguments, variables, files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use pretty_assertions::assert_eq;
use reveille_backends::{PromptMode, Session, SystemPrompt, find_program, probe};
use reveille_sandbox::Unconfined;
use uuid::Uuid;

use crate::support::{Bench, reply};

const SHOW: &str =
    r#"printf '%s\n' "$@" > "$CLAUDE_CONFIG_DIR/args"; tr '\0' '\n' < /proc/$$/environ > "$CLAUDE_CONFIG_DIR/env""#;

/// Arguments and environment of one turn.
fn shown(bench: &Bench) -> (Vec<String>, BTreeMap<String, String>) {
    let read = |name: &str| fs::read_to_string(bench.dirs().home.join(".claude").join(name)).unwrap();
    let env = read("env")
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
    (read("args").lines().map(str::to_owned).collect(), env)
}

#[tokio::test]
async fn the_command_line() {
    let bench = Bench::with_script(SHOW);
    let session = Uuid::new_v4();
    let mut turn = bench.turn("a secret prompt", Session::New(session));
    turn.model = Some(" opus ".into());
    turn.max_turns = Some(7);
    turn.budget_usd = Some(0.5);
    turn.system_prompt = Some(SystemPrompt {
        text: "Be kind.".into(),
        mode: PromptMode::Append,
    });
    bench.run(turn).await;
    let ctl = bench.dirs().ctl.display().to_string();
    let expected = [
        "-p".to_owned(),
        "--input-format=stream-json".into(),
        "--output-format=stream-json".into(),
        "--verbose".into(),
        "--include-partial-messages".into(),
        "--setting-sources=user".into(),
        "--strict-mcp-config".into(),
        format!("--mcp-config={ctl}/mcp.json"),
        format!("--session-id={session}"),
        format!("--append-system-prompt-file={ctl}/system-prompt.txt"),
        "--model=opus".into(),
        "--max-turns=7".into(),
        "--max-budget-usd=0.5".into(),
        "--dangerously-skip-permissions".into(),
    ];
    assert_eq!(shown(&bench).0, expected);
}

#[tokio::test]
async fn a_version_that_records_the_system_prompt_is_told_not_to() {
    let mut bench = Bench::with_script("");
    let script = bench.dir.path().join("newer");
    let head = "case \"$1\" in --version) echo 2.1.316; exit;; --help) echo ' --system-prompt-snapshot'; exit;; esac";
    fs::write(&script, format!("{head}\n{SHOW}")).unwrap();
    bench.options.prefix_args = vec![script.into()];
    bench.say("hi").await;
    let args = shown(&bench).0;
    let at = args.iter().position(|arg| arg == "--system-prompt-snapshot");
    assert_eq!(at.and_then(|at| args.get(at + 1)).map(String::as_str), Some("off"));
}

#[tokio::test]
async fn tc_exec_7_the_environment_is_made_from_nothing() {
    let mut bench = Bench::with_script(SHOW);
    bench.options.base_env = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/home/demo"),
        ("TERM", "xterm"),
        ("LANG", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec();
    let mut turn = bench.turn("hi", Session::New(Uuid::new_v4()));
    turn.env.insert("ANTHROPIC_API_KEY".into(), "given".into());
    turn.env.insert("LANG".into(), "de_DE.UTF-8".into());
    turn.env.insert("REVEILLE_TURN".into(), "forged".into());
    let id = turn.turn.to_string();
    bench.run(turn).await;
    let dirs = bench.dirs();
    let (home, tmp) = (
        dirs.home.join(".claude").display().to_string(),
        dirs.tmp.display().to_string(),
    );
    let mut expected: BTreeMap<String, String> = [
        ("ANTHROPIC_API_KEY", "given"),
        ("API_TIMEOUT_MS", "120000"),
        ("BASH_DEFAULT_TIMEOUT_MS", "120000"),
        ("BASH_MAX_TIMEOUT_MS", "600000"),
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_EAGER_FLUSH", "1"),
        ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
        ("CLAUDE_CODE_MAX_RETRIES", "4"),
        ("CLAUDE_CODE_TMPDIR", &tmp),
        ("CLAUDE_CONFIG_DIR", &home),
        ("DISABLE_AUTOUPDATER", "1"),
        ("DISABLE_ERROR_REPORTING", "1"),
        ("DISABLE_TELEMETRY", "1"),
        ("HOME", "/home/demo"),
        ("LANG", "de_DE.UTF-8"),
        ("PATH", "/usr/bin:/bin"),
        ("REVEILLE_INSTANCE", &bench.options.instance),
        ("REVEILLE_TURN", &id),
        ("TERM", "dumb"),
        ("TMPDIR", &tmp),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if rustix::process::geteuid().is_root() {
        expected.insert("IS_SANDBOX".into(), "1".into());
    }
    assert_eq!(shown(&bench).1, expected);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn tc_exec_10_files_are_private_and_a_stale_prompt_goes() {
    let bench = Bench::new();
    let (ctl, home) = (bench.dirs().ctl, bench.dirs().home);
    let prompt = ctl.join("system-prompt.txt");
    let mut turn = bench.turn("one", Session::New(Uuid::new_v4()));
    for (text, prompt_mode) in [("Be kind.", PromptMode::Append), ("Be brief.", PromptMode::Replace)] {
        turn.system_prompt = Some(SystemPrompt {
            text: text.into(),
            mode: prompt_mode,
        });
        turn.session = Session::New(Uuid::new_v4());
        bench.run(turn.clone()).await;
        assert_eq!(
            (fs::read_to_string(&prompt).unwrap().as_str(), mode(&prompt)),
            (text, 0o600)
        );
    }
    let mcp = ctl.join("mcp.json");
    assert_eq!(
        (fs::read_to_string(&mcp).unwrap().as_str(), mode(&mcp)),
        (r#"{"mcpServers":{}}"#, 0o600)
    );
    let settings = home.join(".claude/settings.json");
    assert_eq!(fs::read_to_string(&settings).unwrap(), r#"{"cleanupPeriodDays":36500}"#);

    fs::write(&mcp, r#"{"mcpServers":{"mine":{}}}"#).unwrap();
    turn.system_prompt = None;
    turn.session = Session::New(Uuid::new_v4());
    bench.run(turn).await;
    assert!(!prompt.exists());
    assert_eq!(fs::read_to_string(&mcp).unwrap(), r#"{"mcpServers":{"mine":{}}}"#);
}

#[tokio::test]
async fn files_that_a_full_disk_left_empty_are_written_anew() {
    let bench = Bench::new();
    let (ctl, config) = (bench.dirs().ctl, bench.dirs().home.join(".claude"));
    fs::create_dir(&config).unwrap();
    let files = [
        (ctl.join("mcp.json"), r#"{"mcpServers":{}}"#),
        (config.join("settings.json"), r#"{"cleanupPeriodDays":36500}"#),
    ];
    for left in ["", "{\"mcpSer", "[]"] {
        for (file, _) in &files {
            fs::write(file, left).unwrap();
        }
        assert_eq!(reply(&bench.say("[[reply done]]").await.0), "done", "{left:?}");
        for (file, whole) in &files {
            assert_eq!(
                (fs::read_to_string(file).unwrap().as_str(), mode(file)),
                (*whole, 0o600),
                "{left:?}"
            );
        }
    }
}

#[tokio::test]
async fn planted_links_are_not_followed() {
    let bench = Bench::new();
    let (ctl, config) = (bench.dirs().ctl, bench.dirs().home.join(".claude"));
    let outside = bench.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let victim = outside.join("victim");
    fs::write(&victim, "precious").unwrap();
    // The whole directory, then the files in it, and the names under which they are written first.
    symlink(&outside, &config).unwrap();
    bench.say("[[reply done]]").await;
    assert!(!config.is_symlink());
    for name in ["mcp.json", "mcp.json.new", "system-prompt.txt"] {
        let _ = fs::remove_file(ctl.join(name));
        symlink(&victim, ctl.join(name)).unwrap();
    }
    for name in ["settings.json", "settings.json.new"] {
        let _ = fs::remove_file(config.join(name));
        symlink(&victim, config.join(name)).unwrap();
    }
    let mut turn = bench.turn("[[reply done]]", Session::New(Uuid::new_v4()));
    turn.system_prompt = Some(SystemPrompt {
        text: "Be kind.".into(),
        mode: PromptMode::Append,
    });
    assert_eq!(reply(&bench.run(turn).await.0), "done");
    assert!(!ctl.join("mcp.json").is_symlink() && !config.join("settings.json").is_symlink());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let others = fs::read_dir(&outside).unwrap().count();
    assert_eq!(others, 1, "something was written where the link leads");
}

fn run(program: &str, args: &[&std::ffi::OsStr]) {
    assert!(
        std::process::Command::new(program)
            .args(args)
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn a_program_is_asked_once_per_state_of_its_file() {
    let mut bench = Bench::with_program("/bin/sh".into());
    let script = bench.dir.path().join("asked");
    let program = bench.dir.path().join("claude");
    // The program is `sh` under another name, whose file can be touched. Other programs do it: a file that this process has
    // open for writing cannot be run while another test is spawning.
    run("cp", &["/bin/sh".as_ref(), program.as_ref()]);
    let log = bench.dir.path().join("log");
    let text = format!(
        "echo \"$1\" >> {}; echo 2.1.316 --system-prompt-snapshot",
        log.display()
    );
    fs::write(&script, text).unwrap();
    bench.options.program = program.clone();
    bench.options.prefix_args = vec![script.into()];
    let backend = bench.backend();
    for _ in 0..2 {
        let said = backend.probe().await.unwrap();
        assert_eq!(
            (said.version.as_str(), said.supports_prompt_snapshot),
            ("2.1.316", true)
        );
    }
    assert_eq!(
        fs::read_to_string(&log).unwrap().lines().count(),
        2,
        "--version and --help"
    );
    run("touch", &["-t".as_ref(), "200001010000".as_ref(), program.as_ref()]);
    backend.probe().await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 4);
}

#[tokio::test]
async fn the_stand_in_says_what_it_is() {
    let said = probe(Path::new(env!("CARGO_BIN_EXE_reveille-stand-in")), &[], &Unconfined)
        .await
        .unwrap();
    assert_eq!(
        (said.version.as_str(), said.supports_prompt_snapshot),
        (env!("CARGO_PKG_VERSION"), true)
    );
    let missing = probe(Path::new("/does/not/exist"), &[], &Unconfined)
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.starts_with("/does/not/exist cannot be started: "), "{missing}");
}

#[test]
fn programs_are_found_by_name_and_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    fs::write(&good, "").unwrap();
    fs::set_permissions(&good, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&bad, "").unwrap();
    let path = std::env::join_paths([Path::new("relative"), Path::new("/does/not/exist"), dir.path()]).unwrap();
    let found =
        ["good", "bad", "absent", good.to_str().unwrap(), bad.to_str().unwrap()].map(|it| find_program(it, &path));
    assert_eq!(found, [Some(good.clone()), None, None, Some(good), None]);
}
