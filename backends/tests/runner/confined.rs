//! Turns in a real sandbox.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_backends::{Backend as _, FailureCode as Code, Session, TurnRequest, Verdict};
use reveille_sandbox::{Command, Confined, Policy, Sandbox, SandboxError, Setup, Summary, detect};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    Bench, Watcher, code, eventually, failure, is_init, processes_with, reply, sleepers, unique_seconds,
};

fn sandbox() -> Arc<dyn Sandbox> {
    detect(&Setup {
        program: env!("CARGO_BIN_EXE_reveille-stand-in").into(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        parent_proxy: None,
        scratch: std::env::temp_dir(),
    })
}

fn confined(mut bench: Bench) -> Bench {
    bench.options.sandbox = sandbox();
    bench
}

fn first(bench: &Bench, prompt: &str) -> TurnRequest {
    bench.turn(prompt, Session::New(Uuid::new_v4()))
}

#[tokio::test]
async fn a_turn_sees_its_own_directories_and_nothing_else() {
    let mut bench = Bench::new();
    let secret = bench.dir.path().join("secret");
    std::fs::write(&secret, "SECRET").unwrap();
    let script = format!(
        "cat {}; cat $CLAUDE_CONFIG_DIR/settings.json; echo made >made; echo $HOME; cat $SSL_CERT_FILE; cat $GIT_SSL_CAINFO",
        secret.display()
    );
    let prompt = format!("[[exec {script}]]");
    // What the daemon itself trusts is shown; what a definition names is not.
    let trusted = bench.dir.path().join("authorities");
    std::fs::write(&trusted, "TRUSTED").unwrap();
    bench.options.base_env.retain(|(name, _)| name != "SSL_CERT_FILE");
    bench.options.base_env.push(("SSL_CERT_FILE".into(), trusted.into()));
    let turn = |bench: &Bench| {
        let mut turn = first(bench, &prompt);
        turn.env
            .insert("GIT_SSL_CAINFO".into(), secret.to_str().unwrap().into());
        turn
    };
    let free = bench.run(turn(&bench)).await.0;
    assert!(reply(&free).contains("SECRET"), "the control: {free:?}");
    std::fs::remove_file(bench.dirs().cwd.join("made")).unwrap();

    let bench = confined(bench);
    let (outcome, _) = bench.run(turn(&bench)).await;
    let text = reply(&outcome);
    assert!(!text.contains("SECRET") && text.contains("No such file"), "{text}");
    assert!(text.contains("cleanupPeriodDays") && text.contains("TRUSTED"), "{text}");
    assert!(text.contains(bench.dirs().home.to_str().unwrap()), "{text}");
    assert_eq!(
        std::fs::read_to_string(bench.dirs().cwd.join("made")).unwrap(),
        "made\n"
    );
}

#[tokio::test]
async fn a_session_goes_on_in_the_next_sandbox() {
    let bench = confined(Bench::new());
    let turn = first(&bench, "hi");
    let session = turn.session.id();
    let (outcome, _) = bench.run(turn).await;
    assert_eq!(outcome.session, Some(session));
    let (next, _) = bench.run(bench.turn("go on", Session::Resume(session))).await;
    assert!(reply(&next).contains("message 2 of"), "{next:?}");
}

/// Runs a turn, stops it once it has begun, and returns how it ended when nothing of it is left.
async fn stopped(bench: &Bench) -> Verdict {
    let (watcher, stop) = (Watcher::default(), CancellationToken::new());
    let turn = first(bench, "hi");
    let id = turn.turn.to_string();
    let backend = bench.backend();
    let stopper = async {
        watcher.wait_for(is_init).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(backend.run(turn, &watcher, stop.clone()), stopper);
    assert_eq!(processes_with("REVEILLE_TURN", &id), [0; 0], "something is left");
    outcome.verdict
}

const BEGUN: &str = r#"read x; echo '{"type":"control_response","response":{"subtype":"success","request_id":"reveille-initialize"}}'
    read x; echo '{"type":"system","subtype":"init","session_id":"00000000-0000-4000-8000-000000000001"}'"#;

#[tokio::test]
async fn the_signal_of_a_stop_reaches_the_program() {
    let body = format!(
        r#"trap 'echo signal >> "$CLAUDE_CONFIG_DIR/log"; exit' INT; {BEGUN}
        while :; do sleep 0.01; done"#
    );
    let mut bench = confined(Bench::with_script(&body));
    show_script(&mut bench);
    assert_eq!(stopped(&bench).await, Verdict::Stopped);
    let log = std::fs::read_to_string(bench.dirs().home.join(".claude/log")).unwrap();
    assert_eq!(log, "signal\n");
}

#[tokio::test]
async fn the_deaf_are_killed_with_all_that_is_theirs() {
    let (detached, cleared) = (unique_seconds(), unique_seconds());
    let body =
        format!("trap '' INT TERM; (setsid sleep {detached} &); env -i sleep {cleared} & {BEGUN}\nwait; sleep 1000");
    let mut bench = confined(Bench::with_script(&body));
    show_script(&mut bench);
    assert_eq!(stopped(&bench).await, Verdict::Stopped);
    eventually("the namespace is gone", || {
        sleepers(&detached).is_empty() && sleepers(&cleared).is_empty()
    })
    .await;
}

/// A script is an argument, so nobody but the test knows that it is needed.
fn show_script(bench: &mut Bench) {
    let script = PathBuf::from(&bench.options.prefix_args[0]);
    let shown = bench.dirs().cwd.join("script");
    std::fs::rename(script, &shown).unwrap();
    bench.options.prefix_args = vec![OsString::from(shown)];
}

/// A sandbox that is never ready.
struct Stuck(Arc<dyn Sandbox>);

impl Sandbox for Stuck {
    fn summary(&self) -> Summary {
        self.0.summary()
    }

    fn confine(&self, command: Command, policy: &Policy) -> Result<Confined, SandboxError> {
        let mark = command.env.iter().find(|(name, _)| name == "REVEILLE_TURN").cloned();
        let is_turn = mark.is_some();
        let mut confined = self.0.confine(command, policy)?;
        if !is_turn {
            return Ok(confined);
        }
        confined.command = Command {
            program: "/bin/sleep".into(),
            args: vec!["1000".into()],
            env: mark.into_iter().collect(),
            cwd: "/".into(),
        };
        Ok(confined)
    }
}

#[tokio::test]
async fn a_sandbox_that_is_never_ready_is_given_up() {
    let mut bench = Bench::new();
    bench.options.sandbox = Arc::new(Stuck(sandbox()));
    let mut turn = first(&bench, "hi");
    turn.timeouts.start = Duration::from_millis(100);
    let id = turn.turn.to_string();
    let (outcome, _) = bench.run(turn).await;
    assert_eq!(code(&outcome), Code::Sandbox);
    assert!(
        failure(&outcome).detail.contains("not ready after 0.1 s"),
        "{outcome:?}"
    );
    assert_eq!(processes_with("REVEILLE_TURN", &id), [0; 0]);
}

#[tokio::test]
async fn a_stop_while_the_sandbox_is_made_is_a_stop() {
    let mut bench = Bench::new();
    bench.options.sandbox = Arc::new(Stuck(sandbox()));
    let turn = first(&bench, "hi");
    let (id, stop) = (turn.turn.to_string(), CancellationToken::new());
    let (backend, watcher) = (bench.backend(), Watcher::default());
    let stopper = async {
        eventually("it is being made", || !processes_with("REVEILLE_TURN", &id).is_empty()).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(backend.run(turn, &watcher, stop.clone()), stopper);
    assert_eq!(outcome.verdict, Verdict::Stopped);
    assert_eq!((processes_with("REVEILLE_TURN", &id), outcome.session), (vec![], None));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_inside_is_named() {
    let mut bench = confined(Bench::with_script("exit"));
    bench.options.program = bench.dir.path().join("none");
    std::os::unix::fs::symlink("/bin/sh", &bench.options.program).unwrap();
    assert!(bench.say("hi").await.0.session.is_none(), "the control");
    let script = bench.dir.path().join("script");
    std::fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bench.options.program = script.clone();
    let (outcome, _) = bench.say("hi").await;
    assert_eq!(code(&outcome), Code::Sandbox);
    assert!(
        failure(&outcome).detail.contains(script.to_str().unwrap()),
        "{outcome:?}"
    );
}

/// Whoever could replace the file of the program would run as the daemon's user, if it were asked outside.
#[tokio::test]
async fn a_program_is_asked_for_its_version_inside() {
    let mut bench = Bench::new();
    let at = |name: &str| bench.dir.path().join(name);
    let (source, program, mark) = (at("source"), at("claude"), at("mark"));
    let text = format!(
        "#!/bin/sh\ntouch {}\necho 7.7.7 --system-prompt-snapshot\n",
        mark.display()
    );
    std::fs::write(&source, text).unwrap();
    // By another program: a file that this process has open for writing cannot be run while another test is spawning.
    let mut install = std::process::Command::new("install");
    install.arg("-m755").args([&source, &program]);
    assert!(install.status().unwrap().success());
    bench.options.program = program;
    let free = bench.backend().probe().await.unwrap();
    assert!(mark.exists(), "the control");
    std::fs::remove_file(&mark).unwrap();
    let bench = confined(bench);
    assert_eq!(bench.backend().probe().await.unwrap(), free);
    assert!(!mark.exists());
}
