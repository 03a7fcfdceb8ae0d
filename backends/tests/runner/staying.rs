//! A process that stays for the next turn of its session.

use pretty_assertions::assert_eq;
use reveille_backends::{Again, Backend, Event, Resident, Session, TurnOutcome, Usage, Verdict};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Bench, Watcher, eventually, is_init, processes_with, reply, sleepers, unique_seconds};

/// The first turn of a session, after which the process may stay.
async fn first(bench: &Bench, prompt: &str) -> (TurnOutcome, Option<Resident>) {
    let turn = bench.turn(prompt, Session::New(Uuid::new_v4()));
    let watcher = Watcher::default();
    bench
        .backend()
        .run_and_stay(turn, &watcher, CancellationToken::new())
        .await
}

async fn stayed(bench: &Bench, prompt: &str) -> Resident {
    let (outcome, resident) = first(bench, prompt).await;
    resident.unwrap_or_else(|| panic!("it did not stay: {outcome:?}"))
}

/// Its next turn, and what was seen of it.
async fn next(bench: &Bench, resident: Resident, prompt: &str) -> (Again, Watcher) {
    let turn = bench.turn(prompt, Session::Resume(resident.session()));
    let watcher = Watcher::default();
    let again = resident.run(&turn, &watcher, &CancellationToken::new()).await;
    (again, watcher)
}

fn ran(again: Again) -> (TurnOutcome, Option<Resident>) {
    match again {
        Again::Ran(ran) => *ran,
        Again::Unfit { given } => panic!("it was not fit: given {given}"),
    }
}

fn processes(bench: &Bench) -> Vec<i32> {
    processes_with("REVEILLE_INSTANCE", &bench.options.instance)
}

#[tokio::test]
async fn three_turns_are_one_process_with_an_account_for_each() {
    let bench = Bench::new();
    let (one, resident) = first(&bench, "[[cost 0.5]] one").await;
    let resident = resident.expect("it stays");
    let session = resident.session();
    let before = processes(&bench);
    assert_eq!(before.len(), 1);
    assert!(resident.memory().await.is_some_and(|bytes| bytes > 100_000));
    let (again, watcher) = next(&bench, resident, "[[cost 0.25]] two").await;
    let (two, resident) = ran(again);
    assert_eq!(processes(&bench), before);
    assert_eq!(*watcher.prompts.lock().unwrap(), [session]);
    assert_eq!(watcher.events().iter().filter(|event| is_init(event)).count(), 1);
    assert!(
        reply(&one).contains("message 1") && reply(&two).contains("message 2"),
        "{two:?}"
    );
    let (again, _) = next(&bench, resident.expect("it stays"), "two").await;
    let (three, resident) = ran(again);
    // Each has its own, not what the process has counted.
    assert!(
        (0.5..0.51).contains(&one.cost_usd) && (0.25..0.26).contains(&two.cost_usd),
        "{one:?} {two:?}"
    );
    assert!(three.cost_usd < 0.01 && three.cost_usd > 0.0, "{three:?}");
    assert_eq!(two.models, three.models);
    let plain = bench.say("two").await.0;
    let close = |usage: Usage| (usage.input_tokens, usage.output_tokens);
    assert_eq!(close(three.usage), close(plain.usage));
    resident.expect("it stays").end().await;
    assert_eq!(processes(&bench), [0; 0]);
    // What it had in mind is stored: another process goes on.
    let (cold, _) = bench.run(bench.turn("four", Session::Resume(session))).await;
    assert!(reply(&cold).contains("message 4"), "{cold:?}");
}

#[tokio::test]
async fn a_turn_that_did_not_end_well_leaves_no_process() {
    let bench = Bench::new();
    for prompt in ["[[error 400]]", "[[max-turns]]", "[[crash]]", "[[unsaved]]"] {
        let (outcome, resident) = first(&bench, prompt).await;
        assert!(resident.is_none(), "{prompt}: {outcome:?}");
        assert_eq!(processes(&bench), [0; 0], "{prompt}");
    }
    // One that goes on by itself is seen to do so at once, or as soon as it speaks.
    let (outcome, resident) = first(&bench, "[[two-results]]").await;
    assert!(matches!(outcome.verdict, Verdict::Ok { .. }), "{outcome:?}");
    if let Some(mut resident) = resident {
        assert_eq!(resident.stirs().await, "it spoke unasked");
        resident.end().await;
    }
    assert_eq!(processes(&bench), [0; 0]);
    // The same of one that has waited.
    let resident = stayed(&bench, "hi").await;
    let (outcome, resident) = ran(next(&bench, resident, "[[crash]]").await.0);
    assert!(
        resident.is_none() && matches!(outcome.verdict, Verdict::Failed(_)),
        "{outcome:?}"
    );
    assert_eq!(processes(&bench), [0; 0]);
}

#[tokio::test]
async fn what_a_tool_has_left_running_ends_with_the_turn() {
    let bench = Bench::new();
    let seconds = unique_seconds();
    let (outcome, resident) = first(&bench, &format!("[[exec sleep {seconds} >/dev/null 2>&1 & echo left]]")).await;
    assert!(reply(&outcome).contains("left") && resident.is_none(), "{outcome:?}");
    assert_eq!(sleepers(&seconds), [0; 0]);
    let resident = stayed(&bench, "[[exec echo none]]").await;
    resident.end().await;
}

#[tokio::test]
async fn a_stop_ends_a_turn_of_a_process_that_has_waited() {
    let bench = Bench::new();
    let resident = stayed(&bench, "hi").await;
    let turn = bench.turn("[[reply before]][[hang]]", Session::Resume(resident.session()));
    let (watcher, stop) = (Watcher::default(), CancellationToken::new());
    let stopper = async {
        watcher.wait_for(|event| matches!(event, Event::Text { .. })).await;
        stop.cancel();
    };
    let (again, ()) = tokio::join!(resident.run(&turn, &watcher, &stop), stopper);
    let (outcome, resident) = ran(again);
    assert_eq!(
        (&outcome.verdict, outcome.partial.as_str()),
        (&Verdict::Stopped, "before")
    );
    assert!(resident.is_none() && processes(&bench).is_empty());
}

#[tokio::test]
async fn it_stays_once_what_was_said_is_stored() {
    let bench = Bench::new();
    let resident = stayed(&bench, "[[then store]] [[reply the first]]").await;
    let path = bench.transcript(resident.session());
    let stored = |text: &str| {
        let transcript = std::fs::read_to_string(&path).unwrap();
        let said = transcript.lines().filter(|line| line.contains(r#""assistant""#));
        said.filter(|line| line.contains(text)).count()
    };
    assert_eq!(stored("the first"), 1);
    let (again, _) = next(&bench, resident, "[[then store]] [[reply the second]]").await;
    let (_, resident) = ran(again);
    let resident = resident.expect("it stays");
    assert_eq!(stored("the second"), 1);
    let (again, _) = next(&bench, resident, "[[unsaved]] [[reply the third]]").await;
    let (outcome, resident) = ran(again);
    assert!(resident.is_none() && outcome.session.is_none(), "{outcome:?}");
    assert_eq!(processes(&bench), [0; 0]);
}

#[tokio::test]
async fn one_that_does_not_take_its_prompt_is_unfit_and_gone() {
    let bench = Bench::new();
    for (then, expected) in [
        ("die", false),
        ("deaf", false),
        ("speak", false),
        ("die-asked", true),
        ("die-taken", true),
    ] {
        let (outcome, resident) = first(&bench, &format!("[[then {then}]] hi")).await;
        // One that dies at once may be seen to.
        let Some(resident) = resident else {
            assert_eq!(then, "die", "{outcome:?}");
            continue;
        };
        let session = resident.session();
        let size = bench.backend().session_size(&bench.dirs(), session);
        if then == "speak" {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        let (again, watcher) = next(&bench, resident, "again").await;
        let Again::Unfit { given } = again else {
            panic!("{then}: {again:?}");
        };
        assert_eq!((given, watcher.events()), (expected, vec![]), "{then}");
        assert_eq!(processes(&bench), [0; 0], "{then}");
        let taken = bench.backend().took_prompt(&bench.dirs(), session, size);
        assert_eq!(taken, then == "die-taken", "{then}");
    }
}

#[tokio::test]
async fn one_that_does_something_while_it_waits_is_seen_to() {
    let bench = Bench::new();
    let mut speaks = stayed(&bench, "[[then speak]] hi").await;
    assert_eq!(speaks.stirs().await, "it spoke unasked");
    speaks.end().await;
    let mut killed = stayed(&bench, "hi").await;
    for pid in processes(&bench) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(killed.stirs().await, "it has ended by itself");
    killed.end().await;
    assert_eq!(processes(&bench), [0; 0]);
    // A dropped one is killed.
    drop(stayed(&bench, "hi").await);
    eventually("it is gone", || processes(&bench).is_empty()).await;
}
