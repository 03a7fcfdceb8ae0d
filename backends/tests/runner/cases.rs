//! Turns whose process does this or that, case by case: what was started, what was told, and how it ended.

use std::fs;

use pretty_assertions::assert_eq;
use reveille_backends::{Backend, Event, FailureCode as Code, Session, Verdict};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Bench, Watcher, code, failure, notices, reply};

/// The session of the scripts below.
const SESSION: &str = "00000000-0000-4000-8000-000000000001";

/// A program that writes down each start, takes the prompt, and then does `rest`. `init` tells of the session and saves it.
fn scripted(rest: &str) -> Bench {
    Bench::with_script(&format!(
        r#"for arg; do case "$arg" in --resume=*|--session-id=*) echo "$arg" >> "$CLAUDE_CONFIG_DIR/starts"; start=$arg;; esac; done
        answer() {{ read x; echo '{{"type":"control_response","response":{{"subtype":"success","request_id":"reveille-initialize"}}}}'; read x; }}
        init() {{ mkdir -p "$CLAUDE_CONFIG_DIR/projects/p"; echo x > "$CLAUDE_CONFIG_DIR/projects/p/$1.jsonl"
            echo "{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"$1\"}}"; }}
        says() {{ echo "{{\"type\":\"assistant\",\"message\":{{\"id\":\"a\",\"content\":[{{\"type\":\"text\",\"text\":\"$1\"}}]}}}}"; }}
        good() {{ echo '{{"type":"result","subtype":"success","is_error":false}}'; }}
        {rest}"#
    ))
}

/// Which sessions the program was started with, in order.
fn starts(bench: &Bench) -> Vec<String> {
    let log = fs::read_to_string(bench.dirs().home.join(".claude/starts")).unwrap();
    log.lines().map(str::to_owned).collect()
}

fn session() -> Uuid {
    SESSION.parse().unwrap()
}

#[tokio::test]
async fn tc_exec_3_what_the_result_calls_an_error_is_one() {
    let bench = scripted(&format!(
        r#"answer; init {SESSION}
        echo '{{"type":"result","subtype":"success","is_error":true,"result":"boom in the agent"}}'"#
    ));
    let (outcome, _) = bench.say("hi").await;
    assert_eq!((code(&outcome), outcome.session), (Code::Unknown, Some(session())));
    // The CLI's own words are for the operator.
    assert!(failure(&outcome).detail.contains("boom in the agent"), "{outcome:?}");
    assert!(!failure(&outcome).message.contains("boom"), "{outcome:?}");
}

#[tokio::test]
async fn tc_exec_4_a_limit_of_steps_is_told_as_that() {
    let bench = scripted(&format!(
        r#"answer; init {SESSION}; echo '{{"type":"result","subtype":"error_max_turns","is_error":false}}'"#
    ));
    let (outcome, _) = bench.say("hi").await;
    assert_eq!(code(&outcome), Code::MaxTurns);
    assert!(failure(&outcome).detail.contains("error_max_turns"), "{outcome:?}");
}

#[tokio::test]
async fn tc_exec_5_an_error_without_a_session_keeps_none() {
    let bench =
        scripted(r#"answer; echo '{"type":"result","subtype":"success","is_error":true,"result":"too early"}'"#);
    let (outcome, _) = bench.say("hi").await;
    assert_eq!((code(&outcome), outcome.session), (Code::Unknown, None));
    assert!(failure(&outcome).detail.contains("too early"), "{outcome:?}");
}

#[tokio::test]
async fn tc_exec_6_an_end_without_a_result_says_how_it_ended() {
    let bench = scripted(&format!("answer; init {SESSION}; echo 'out of memory' >&2; exit 1"));
    let (outcome, _) = bench.say("hi").await;
    assert_eq!((code(&outcome), outcome.session), (Code::Crashed, Some(session())));
    let detail = &failure(&outcome).detail;
    for part in ["no result", "exit status: 1", "out of memory"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
}

#[tokio::test]
async fn tc_exec_6b_noise_around_a_good_result_does_no_harm() {
    let bench = scripted(&format!(
        r#"echo 'hook: starting'; answer; init {SESSION}
        echo '{{"type":"rate_limit_event","rate_limit_info":{{"status":"allowed"}}}}'; says fine; good
        printf '{{"type":"assistant","mess'"#
    ));
    let (outcome, events) = bench.say("hi").await;
    assert_eq!((reply(&outcome), outcome.session), ("fine", Some(session())));
    assert_eq!(notices(&events), [] as [&str; 0]);
}

#[tokio::test]
async fn tc_str_28_a_line_in_two_pieces_is_told_once_it_is_whole() {
    let bench = scripted(&format!(
        r#"answer; init {SESSION}; says looking
        printf '{{"type":"assistant","message":{{"id":"b","content":[{{"type":"tool_use","id":"t1","name":"Gr'
        sleep 0.1; printf 'ep","input":{{}}}}]}}}}\n'; says found; good"#
    ));
    let (outcome, events) = bench.say("hi").await;
    assert_eq!(
        (reply(&outcome), outcome.session),
        ("looking\n\nfound", Some(session()))
    );
    let text = |text: &str| Event::Text {
        text: text.into(),
        parent: None,
    };
    let expected = [
        Event::Init {
            session: session(),
            model: None,
            version: None,
        },
        text("looking"),
        Event::Tool {
            id: "t1".into(),
            tool: "Grep".into(),
            input: Some("{}".into()),
            whole: None,
            parent: None,
        },
        text("found"),
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn tc_str_31_a_failing_turn_tells_of_its_beginning_only() {
    let bench = scripted(&format!(
        r#"answer; init {SESSION}; echo '{{"type":"result","subtype":"success","is_error":true,"result":"boom"}}'"#
    ));
    let (outcome, events) = bench.say("hi").await;
    assert!(matches!(events[..], [Event::Init { .. }]), "{events:?}");
    assert_eq!((code(&outcome), outcome.session), (Code::Unknown, Some(session())));
}

#[tokio::test]
async fn tc_sess_5_the_session_that_the_cli_says_counts() {
    let bench = scripted(&format!("answer; init {SESSION}; says fine; good"));
    let asked = Uuid::new_v4();
    let (outcome, _) = bench.run(bench.turn("hi", Session::New(asked))).await;
    assert_eq!(starts(&bench), [format!("--session-id={asked}")]);
    assert_eq!((reply(&outcome), outcome.session), ("fine", Some(session())));
}

#[tokio::test]
async fn tc_sess_7_a_session_that_is_gone_is_replaced_by_a_new_one() {
    let bench = scripted(
        r#"case "$start" in --resume=*) id=${start#*=}; echo "No conversation found with session ID: $id" >&2
            echo "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,\"session_id\":\"$id\",\"errors\":[\"No conversation found with session ID: $id\"]}"
            exit 1;; esac
        answer; init "${start#*=}"; says fine; good"#,
    );
    let dead = Uuid::new_v4();
    // Also when the CLI's files are still there: it is its word that counts.
    for stored in [false, true] {
        if stored {
            fs::write(bench.transcript(dead), "x").unwrap();
        }
        let (outcome, events) = bench.run(bench.turn("hi", Session::Resume(dead))).await;
        let new = outcome.session.unwrap();
        assert_eq!(
            (reply(&outcome), new == dead, notices(&events).len()),
            ("fine", false, 1)
        );
        let log = starts(&bench);
        assert_eq!(
            log[log.len() - 2..],
            [format!("--resume={dead}"), format!("--session-id={new}")]
        );
        assert_eq!(log.len(), if stored { 4 } else { 2 });
    }
}

#[tokio::test]
async fn tc_sess_8_another_failure_of_a_resumed_session_is_not_healed() {
    let bench = scripted(
        r#"answer; init "${start#*=}"
        echo '{"type":"assistant","error":"authentication_failed","message":{"id":"a","model":"<synthetic>","content":[]}}'
        echo '{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"401 unauthorized"}'"#,
    );
    let (outcome, events) = bench.run(bench.turn("hi", Session::Resume(session()))).await;
    assert_eq!(
        (code(&outcome), outcome.session),
        (Code::Authentication, Some(session()))
    );
    assert_eq!(starts(&bench), [format!("--resume={SESSION}")]);
    assert_eq!(notices(&events), [] as [&str; 0]);
}

#[tokio::test]
async fn tc_sess_9_a_new_session_is_never_healed() {
    let bench = scripted("echo 'No conversation found with session ID: x' >&2; exit 1");
    let watcher = Watcher::default();
    let turn = bench.turn("hi", Session::New(session()));
    let outcome = bench.backend().run(turn, &watcher, CancellationToken::new()).await;
    assert!(matches!(outcome.verdict, Verdict::Failed(_)), "{outcome:?}");
    assert!(
        failure(&outcome).detail.contains("No conversation found"),
        "{outcome:?}"
    );
    assert_eq!(starts(&bench), [format!("--session-id={SESSION}")]);
    assert_eq!((outcome.session, watcher.events()), (None, vec![]));
}
