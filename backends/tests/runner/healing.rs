//! Sessions that are lost, taken or not saved.

use std::io::Write as _;

use pretty_assertions::assert_eq;
use reveille_backends::{Backend, Session};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Bench, Watcher, notices, reply};

const LOST: &str = "The earlier conversation could not be found, so a new one was begun: \
    the agent does not know what was said before.";
const UNSAVED: &str = "Claude Code did not save this conversation, so the next message begins a new one. \
    Check the free space of the disk.";

#[tokio::test]
async fn an_unknown_session_is_replaced_once_and_it_is_said() {
    let bench = Bench::new();
    let dead = Uuid::new_v4();
    let watcher = Watcher::default();
    let turn = bench.turn("hi", Session::Resume(dead));
    let outcome = bench.backend().run(turn, &watcher, CancellationToken::new()).await;
    let session = outcome.session.unwrap();
    assert_ne!(session, dead);
    assert_eq!(*watcher.prompts.lock().unwrap(), [session]);
    assert_eq!(notices(&watcher.events()), [LOST]);
    assert!(reply(&outcome).contains("message 1 of"), "{outcome:?}");
}

#[tokio::test]
async fn a_spoilt_transcript_is_a_lost_session() {
    let bench = Bench::new();
    let session = bench.say("[[lost-session]]").await.0.session.unwrap();
    let (outcome, events) = bench.run(bench.turn("hi", Session::Resume(session))).await;
    assert_eq!(notices(&events), [LOST]);
    assert!(outcome.session.is_some_and(|new| new != session));
}

#[tokio::test]
async fn a_taken_id_is_resumed() {
    let bench = Bench::new();
    let session = bench.say("one").await.0.session.unwrap();
    let (outcome, events) = bench.run(bench.turn("two", Session::New(session))).await;
    assert_eq!((outcome.session, notices(&events)), (Some(session), vec![]));
    assert!(reply(&outcome).contains("message 2 of"), "{outcome:?}");
}

#[tokio::test]
async fn a_taken_id_that_cannot_be_resumed_is_replaced() {
    let bench = Bench::new();
    for spoil in [b"\0\0".as_slice(), b""] {
        let session = bench.say("one").await.0.session.unwrap();
        std::fs::write(bench.transcript(session), spoil).unwrap();
        let (outcome, events) = bench.run(bench.turn("two", Session::New(session))).await;
        assert_eq!(notices(&events), [LOST]);
        assert!(outcome.session.is_some_and(|new| new != session));
        assert!(reply(&outcome).contains("message 1 of"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_conversation_that_was_not_saved_is_not_reported_as_a_session() {
    let bench = Bench::new();
    let session = Uuid::new_v4();
    let (outcome, events) = bench
        .run(bench.turn("[[unsaved]][[reply done]]", Session::New(session)))
        .await;
    assert_eq!(
        (reply(&outcome), outcome.session, notices(&events)),
        ("done", None, vec![UNSAVED])
    );
    assert_eq!(bench.backend().session_size(&bench.dirs(), session), 0);
}

#[tokio::test]
async fn a_program_that_always_fails_is_not_started_for_ever() {
    let bench = Bench::with_script("echo x >> \"$CLAUDE_CONFIG_DIR/starts\"; echo no such session >&2; exit 1");
    let (outcome, _) = bench.run(bench.turn("hi", Session::Resume(Uuid::new_v4()))).await;
    assert_eq!(outcome.session, None);
    let starts = std::fs::read_to_string(bench.dirs().home.join(".claude/starts")).unwrap();
    assert_eq!(starts, "x\nx\n");
}

#[tokio::test]
async fn a_stored_session_shows_whether_a_prompt_was_taken() {
    let bench = Bench::new();
    let backend = bench.backend();
    let session = bench.say("[[error 529]]").await.0.session.unwrap();
    let size = || backend.session_size(&bench.dirs(), session);
    let took = |since| backend.took_prompt(&bench.dirs(), session, since);
    let first = size();
    assert_eq!(first, std::fs::metadata(bench.transcript(session)).unwrap().len());
    assert_eq!((took(0), took(first)), (true, false));
    bench.run(bench.turn("[[error 529]]", Session::Resume(session))).await;
    let second = size();
    assert_eq!((took(first), took(second)), (true, false));
    // What the CLI appends when it is started and gets no prompt.
    let mut file = std::fs::File::options()
        .append(true)
        .open(bench.transcript(session))
        .unwrap();
    let note = format!("{{\"type\":\"mode\",\"mode\":\"normal\",\"sessionId\":\"{session}\"}}\n");
    file.write_all(note.as_bytes()).unwrap();
    assert_eq!((size() > second, took(second)), (true, false));
    // Half a line is the beginning of something.
    file.write_all(b"{\"type\":\"us").unwrap();
    assert!(took(second));
    let other = Uuid::new_v4();
    assert_eq!(
        (
            backend.session_size(&bench.dirs(), other),
            backend.took_prompt(&bench.dirs(), other, 0)
        ),
        (0, false)
    );
}
