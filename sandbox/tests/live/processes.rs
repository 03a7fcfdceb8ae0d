//! How a confined command ends, and that nothing of it stays.

use std::os::unix::process::ExitStatusExt as _;

use pretty_assertions::assert_eq;
use reveille_sandbox::Policy;

use crate::support::{Place, SOON, eventually, users};

/// Whether a process of the machine has this in its arguments.
fn runs(mark: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let mut arguments = entries.filter_map(|path| std::fs::read(path.join("cmdline")).ok());
    arguments.any(|bytes| String::from_utf8_lossy(&bytes).contains(mark))
}

/// Starts processes that want to stay: in sessions of their own, deaf to signals.
async fn stubborn(place: &Place, mark: &str) -> crate::support::Running {
    let script =
        "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM HUP; sleep 1000' $0 & setsid sleep 1001 & echo ready; wait";
    let command = place.command("/bin/sh", &["-c", script, mark]);
    let mut running = place.start(place.confine(command, &place.policy())).await.unwrap();
    assert_eq!(running.line().await, "ready");
    assert!(runs(mark));
    running
}

#[tokio::test]
async fn a_kill_leaves_nothing() {
    for user in users() {
        let place = Place::new(user);
        let mark = place.text("mark");
        let mut running = stubborn(&place, &mark).await;
        running.child.start_kill().unwrap();
        let status = tokio::time::timeout(SOON, running.child.wait()).await.unwrap().unwrap();
        assert_eq!(status.signal(), Some(9));
        eventually("no process is left", || !runs(&mark)).await;
    }
}

#[tokio::test]
async fn the_end_of_the_program_ends_what_it_has_left() {
    let place = Place::new(None);
    let mark = place.text("mark");
    let script = "setsid sh -c 'sleep 1000; :' $0 </dev/null >/dev/null 2>&1 & exit 7";
    let command = place.command("/bin/sh", &["-c", script, &mark]);
    let done = place.run(place.confine(command, &place.policy())).await;
    assert_eq!(done.status.code(), Some(7));
    eventually("no process is left", || !runs(&mark)).await;
}

/// Names the directory of the test that was started as a process of its own, to be killed.
const VICTIM: &str = "REVEILLE_TEST_VICTIM";

#[tokio::test]
async fn the_end_of_the_daemon_ends_its_sandboxes() {
    if let Some(mark) = std::env::var_os(VICTIM) {
        let place = Place::new(None);
        let mut running = stubborn(&place, mark.to_str().unwrap()).await;
        std::fs::write(&mark, "ready").unwrap();
        running.child.wait().await.unwrap();
        return;
    }
    let place = Place::new(None);
    let mark = place.at("mark");
    let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "processes::the_end_of_the_daemon_ends_its_sandboxes",
            "--nocapture",
        ])
        .env(VICTIM, &mark)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("it runs", || mark.exists()).await;
    assert!(runs(mark.to_str().unwrap()));
    victim.start_kill().unwrap();
    victim.wait().await.unwrap();
    eventually("no process is left", || !runs(mark.to_str().unwrap())).await;
}

#[tokio::test]
async fn an_interrupt_reaches_the_program_and_not_its_keeper() {
    for user in users() {
        let place = Place::new(user);
        let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.01; done";
        let command = place.command("/bin/sh", &["-c", script]);
        let mut running = place.start(place.confine(command, &place.policy())).await.unwrap();
        assert_eq!(running.line().await, "ready");
        running.program.as_ref().unwrap().interrupt().unwrap();
        assert_eq!(running.line().await, "interrupted");
        let done = running.finish(b"").await;
        assert_eq!(done.status.code(), Some(3), "{done:?}");
    }
}

/// As one that was started with `nohup` or behind `&`.
#[tokio::test]
async fn an_interrupt_reaches_the_program_of_a_daemon_that_ignores_it() {
    let place = Place::new(None);
    let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.01; done";
    let mut confined = place.confine(place.command("/bin/sh", &["-c", script]), &place.policy());
    let bubblewrap = std::mem::replace(&mut confined.command.program, "/bin/sh".into());
    let deaf = ["-c", "trap '' INT; exec \"$@\"", "sh"].map(std::ffi::OsString::from);
    confined
        .command
        .args
        .splice(0..0, deaf.into_iter().chain([bubblewrap.into()]));
    let mut running = place.start(confined).await.unwrap();
    assert_eq!(running.line().await, "ready");
    running.program.as_ref().unwrap().interrupt().unwrap();
    assert_eq!(running.line().await, "interrupted");
    let done = running.finish(b"").await;
    assert_eq!(done.status.code(), Some(3), "{done:?}");
}

#[tokio::test]
async fn input_output_and_the_exit_status_pass() {
    let place = Place::new(None);
    let command = place.command("/bin/sh", &["-c", "wc -c; echo problem >&2; exit 42"]);
    let running = place
        .start(place.confine(command, &Policy { ..place.policy() }))
        .await
        .unwrap();
    let done = running.finish("'\"`$\\\n".repeat(200_000).as_bytes()).await;
    assert_eq!((done.out.trim(), done.err.as_str()), ("1200000", "problem\n"));
    assert_eq!(done.status.code(), Some(42));
}
