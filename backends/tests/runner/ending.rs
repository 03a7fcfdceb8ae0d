//! Stops, clocks and what they leave behind: nothing.

use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_backends::{Backend, FailureCode as Code, Session, TurnOutcome, TurnRequest, Verdict};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    Bench, Watcher, code, eventually, is_init, notices, processes_with, reply, sleepers, unique_seconds,
};

fn first(bench: &Bench, prompt: &str) -> TurnRequest {
    bench.turn(prompt, Session::New(Uuid::new_v4()))
}

/// Runs a turn and stops it when `ready` has happened. Returns how long the stop took.
async fn stopped(
    bench: &Bench,
    turn: TurnRequest,
    ready: fn(&reveille_backends::Event) -> bool,
) -> (TurnOutcome, Duration) {
    let (watcher, stop) = (Watcher::default(), CancellationToken::new());
    let id = turn.turn.to_string();
    let backend = bench.backend();
    let stopper = async {
        watcher.wait_for(ready).await;
        stop.cancel();
        Instant::now()
    };
    let (outcome, asked) = tokio::join!(backend.run(turn, &watcher, stop.clone()), stopper);
    assert_eq!(processes_with("REVEILLE_TURN", &id), [0; 0], "something is left");
    (outcome, asked.elapsed())
}

#[tokio::test]
async fn a_stop_is_an_interrupt_and_then_a_closed_stdin() {
    let bench = Bench::with_script(
        r#"log="$CLAUDE_CONFIG_DIR/log"; trap 'echo signal >> "$log"' INT TERM
        read x; echo '{"type":"control_response","response":{"subtype":"success","request_id":"reveille-initialize"}}'
        read x; echo '{"type":"system","subtype":"init","session_id":"00000000-0000-4000-8000-000000000001"}'
        read x; echo "$x" > "$log"
        echo '{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming"}'
        cat; echo closed >> "$log""#,
    );
    let (outcome, _) = stopped(&bench, first(&bench, "hi"), is_init).await;
    assert_eq!(outcome.verdict, Verdict::Stopped);
    let log = std::fs::read_to_string(bench.dirs().home.join(".claude/log")).unwrap();
    let interrupt = r#"{"request":{"subtype":"interrupt"},"request_id":"reveille-interrupt","type":"control_request"}"#;
    assert_eq!(log, format!("{interrupt}\nclosed\n"));
}

#[tokio::test]
async fn tc_exec_13_a_stopped_turn_is_accounted_and_its_session_goes_on() {
    let bench = Bench::new();
    let turn = first(&bench, "[[reply before]][[hang]]");
    let session = turn.session.id();
    let (outcome, _) = stopped(&bench, turn, |event| {
        matches!(event, reveille_backends::Event::Text { .. })
    })
    .await;
    let got = (&outcome.verdict, outcome.session, outcome.partial.as_str());
    assert_eq!(got, (&Verdict::Stopped, Some(session), "before"));
    assert!(outcome.cost_usd > 0.0);
    let (next, _) = bench.run(bench.turn("go on", Session::Resume(session))).await;
    assert!(reply(&next).contains("message 2 of"), "{next:?}");
}

#[tokio::test]
async fn a_stop_keeps_the_text_that_was_being_made() {
    let bench = Bench::new();
    let turn = first(&bench, "[[slow 1000x20ms]]");
    let (outcome, _) = stopped(&bench, turn, |event| {
        matches!(event, reveille_backends::Event::TextDelta { .. })
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Stopped);
    assert!(outcome.partial.starts_with("word1 "), "{outcome:?}");
}

#[tokio::test]
async fn the_deaf_are_killed() {
    let bench = Bench::new();
    let (outcome, took) = stopped(&bench, first(&bench, "[[deaf]]"), is_init).await;
    assert_eq!(outcome.verdict, Verdict::Stopped);
    assert!(took >= Duration::from_secs(4), "all rungs were tried: {took:?}");
}

/// Answers, begins a turn with two children, and ignores all that follows. One child is reparented and known by its marker
/// only, the other has no marker and is known by its parent only.
fn deaf_parent(detached: &str, cleared: &str) -> Bench {
    Bench::with_script(&format!(
        r#"trap '' INT TERM
        read x; echo '{{"type":"control_response","response":{{"subtype":"success","request_id":"reveille-initialize"}}}}'
        read x; (setsid sleep {detached} &); env -i sleep {cleared} &
        echo '{{"type":"system","subtype":"init","session_id":"00000000-0000-4000-8000-000000000001"}}'
        wait; sleep 1000"#
    ))
}

#[tokio::test]
async fn the_deaf_are_killed_with_all_that_is_theirs() {
    let (detached, cleared) = (unique_seconds(), unique_seconds());
    let bench = deaf_parent(&detached, &cleared);
    let (outcome, _) = stopped(&bench, first(&bench, "hi"), is_init).await;
    assert_eq!(outcome.verdict, Verdict::Stopped);
    assert_eq!((sleepers(&detached), sleepers(&cleared)), (vec![], vec![]));
}

#[tokio::test]
async fn a_stop_before_the_start_starts_nothing() {
    let bench = Bench::with_script("echo started > \"$CLAUDE_CONFIG_DIR/started\"");
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = bench
        .backend()
        .run(first(&bench, "hi"), &Watcher::default(), stop)
        .await;
    assert_eq!(outcome.verdict, Verdict::Stopped);
    assert!(!bench.dirs().home.join(".claude/started").exists());
}

#[tokio::test]
async fn an_answer_that_was_complete_is_kept_after_a_stop() {
    let bench = Bench::with_script(
        r#"read x; echo '{"type":"control_response","response":{"subtype":"success","request_id":"reveille-initialize"}}'
        read x; echo '{"type":"system","subtype":"init","session_id":"00000000-0000-4000-8000-000000000001"}'
        read x; echo '{"type":"assistant","message":{"id":"a","content":[{"type":"text","text":"done"}]}}'
        echo '{"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed"}'; cat > /dev/null"#,
    );
    let (outcome, _) = stopped(&bench, first(&bench, "hi"), is_init).await;
    assert_eq!(outcome.verdict, Verdict::Ok { reply: "done".into() });
}

#[tokio::test]
async fn silence_ends_a_turn() {
    let bench = Bench::new();
    let mut turn = first(&bench, "[[hang]]");
    turn.timeouts.idle = Duration::from_secs(1);
    let (outcome, _) = bench.run(turn).await;
    assert_eq!(code(&outcome), Code::IdleTimeout);
    assert!(outcome.session.is_some());
}

#[tokio::test]
async fn a_tool_may_be_silent_for_longer() {
    let bench = Bench::new();
    let mut turn = first(&bench, "[[exec sleep 2]]");
    turn.timeouts.idle = Duration::from_secs(1);
    assert_eq!(
        bench.run(turn).await.0.verdict,
        Verdict::Ok {
            reply: "Tool said: ".trim().into()
        }
    );
}

#[tokio::test]
async fn the_wall_clock_ends_a_busy_turn() {
    let bench = Bench::new();
    let mut turn = first(&bench, "[[slow 1000x20ms]]");
    turn.timeouts.wall = Duration::from_millis(700);
    assert_eq!(code(&bench.run(turn).await.0), Code::WallTimeout);
}

#[tokio::test]
async fn a_flood_of_lines_does_not_hold_up_the_clock() {
    let bench = Bench::with_script(
        r#"read x; echo '{"type":"control_response","response":{"subtype":"success","request_id":"reveille-initialize"}}'
        exec yes '{}'"#,
    );
    let mut turn = first(&bench, "hi");
    turn.timeouts.wall = Duration::from_millis(300);
    assert_eq!(code(&bench.run(turn).await.0), Code::WallTimeout);
}

#[tokio::test]
async fn a_descendant_that_holds_the_pipes_does_not_hold_up_the_end() {
    let seconds = unique_seconds();
    let bench = Bench::with_script(&format!("setsid sleep {seconds} & exit 3"));
    let (outcome, _) = bench.say("hi").await;
    assert_eq!((code(&outcome), sleepers(&seconds)), (Code::Crashed, vec![]));
}

#[tokio::test]
async fn a_program_that_does_not_come_up_is_ended() {
    let seconds = unique_seconds();
    let bench = Bench::with_script(&format!("exec sleep {seconds}"));
    let mut turn = first(&bench, "hi");
    turn.timeouts.start = Duration::from_millis(200);
    let (outcome, events) = bench.run(turn).await;
    assert_eq!(
        (code(&outcome), outcome.session, notices(&events)),
        (Code::StartTimeout, None, vec![])
    );
    assert_eq!(sleepers(&seconds), [0; 0]);
}

#[tokio::test]
async fn nothing_is_given_when_it_cannot_be_written_down() {
    let bench = Bench::new();
    let watcher = Watcher::refusing("the disk is full");
    let outcome = bench
        .backend()
        .run(first(&bench, "hi"), &watcher, CancellationToken::new())
        .await;
    assert_eq!(
        (code(&outcome), outcome.session, watcher.events()),
        (Code::Storage, None, vec![])
    );
    assert!(crate::support::failure(&outcome).detail.contains("the disk is full"));
}

#[tokio::test]
async fn what_a_good_turn_leaves_behind_is_ended_too() {
    let bench = Bench::new();
    let seconds = unique_seconds();
    for end in ["[[reply done]]", "[[crash]]"] {
        let turn = first(&bench, &format!("[[exec setsid sleep {seconds} & echo started]]{end}"));
        let marker = turn.turn.to_string();
        let (outcome, _) = bench.run(turn).await;
        assert!(outcome.tools_ran);
        assert_eq!(
            (sleepers(&seconds), processes_with("REVEILLE_TURN", &marker)),
            (vec![], vec![]),
            "{end}"
        );
    }
}

/// When a process was started, in the kernel's hundredths of a second (proc_pid_stat(5), field 22).
fn started(process: &std::process::Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(19).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_an_earlier_attempt_has_left_is_ended_as_well() {
    let bench = Bench::new();
    let turn = first(&bench, "[[reply done]]");
    let mut command = std::process::Command::new("cat");
    let command = command.env("REVEILLE_TURN", turn.turn.to_string());
    let mut left = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    // The attempt that follows begins later by any clock.
    loop {
        let mut probe = std::process::Command::new("true").spawn().unwrap();
        let is_later = started(&probe) > started(&left);
        probe.wait().unwrap();
        if is_later {
            break;
        }
    }
    let (outcome, _) = bench.run(turn).await;
    assert_eq!(reply(&outcome), "done");
    assert!(!left.wait().unwrap().success(), "it was killed");
}

#[tokio::test]
async fn a_dropped_turn_leaves_no_process() {
    let (detached, cleared) = (unique_seconds(), unique_seconds());
    let bench = deaf_parent(&detached, &cleared);
    let turn = first(&bench, "hi");
    let marker = turn.turn.to_string();
    let (watcher, backend) = (Watcher::default(), bench.backend());
    {
        let run = backend.run(turn, &watcher, CancellationToken::new());
        let both = eventually("both run", || {
            sleepers(&detached).len() == 1 && sleepers(&cleared).len() == 1
        });
        tokio::select! {
            outcome = run => panic!("ended by itself: {outcome:?}"),
            () = both => {}
        }
    }
    eventually("all are gone", || {
        processes_with("REVEILLE_TURN", &marker).is_empty()
            && sleepers(&detached).is_empty()
            && sleepers(&cleared).is_empty()
    })
    .await;
}
