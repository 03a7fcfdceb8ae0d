//! For whatever a turn may tell: its batches, folded one after the other, are its snapshot.

use std::collections::HashMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::batch::{BYTES, Batches, EVENTS, Ends};
use super::event::Turn;
use super::fold::Fold;

/// Something that a turn may tell, of which the daemon or an agent that speaks ACP knows the form; or nobody.
fn event() -> impl Strategy<Value = Value> {
    let text = "[a-c é😀\n]{0,12}";
    let id = "[ab]";
    let acp = |update: Value| json!({"sessionId": "acp", "update": update});
    prop_oneof![
        4 => text.prop_map(|text| json!({"kind": "text_delta", "text": text})),
        2 => (text, any::<bool>()).prop_map(|(text, of_sub_agent)| match of_sub_agent {
            true => json!({"kind": "text", "text": text, "parent": "a"}),
            false => json!({"kind": "text", "text": text}),
        }),
        1 => text.prop_map(|text| json!({"kind": "thinking", "text": text})),
        2 => id.prop_map(|id| json!({"kind": "tool", "id": id, "tool": "Bash", "input": "{}"})),
        2 => (id, any::<bool>()).prop_map(|(id, ok)| json!({"kind": "tool_result", "id": id, "ok": ok, "preview": "p"})),
        1 => "[st]".prop_map(|session| json!({"kind": "init", "session": session})),
        1 => Just(json!({"kind": "notice", "text": "n"})),
        1 => Just(json!({"kind": "later", "n": 1, "parent": null})),
        1 => Just(json!([1, "no object"])),
        1 => text.prop_map(move |text| acp(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}))),
        1 => Just(acp(json!({"sessionUpdate": "plan", "entries": [{"content": "c"}]}))),
        1 => id.prop_map(move |id| acp(json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "title": "T"}))),
    ]
}

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn folded<'a>(events: impl IntoIterator<Item = &'a Value>) -> Fold {
    let mut fold = Fold::default();
    for event in events {
        fold.apply(&raw(event));
    }
    fold
}

fn turn(number: usize) -> Turn {
    Turn {
        turn: format!("t{number}"),
        thread: "thread".into(),
        message: "note".into(),
    }
}

/// What is done to the batches of three turns.
#[derive(Debug, Clone)]
enum Step {
    Tell(usize, Value),
    /// Everything that is over is taken, and written.
    Write,
    WriteOf(usize),
    /// It is taken and cannot be written.
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (0usize..3, event()).prop_map(|(turn, event)| Step::Tell(turn, event)),
        1 => Just(Step::Write),
        1 => (0usize..3).prop_map(Step::WriteOf),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// A process that ends between two batches goes on with what it had written.
    #[test]
    fn a_fold_goes_on_wherever_it_was_written(events in prop::collection::vec(event(), 0..60), cuts in prop::collection::vec(0usize..60, 0..6)) {
        let mut fold = Fold::default();
        for (number, event) in events.iter().enumerate() {
            if cuts.contains(&number) {
                fold = serde_json::from_str(&serde_json::to_string(&fold).unwrap()).unwrap();
            }
            fold.apply(&raw(event));
        }
        prop_assert_eq!(&fold, &folded(&events));
        prop_assert_eq!(fold.snapshot.event_count, events.len() as u64);
    }

    /// Who only has the notifications of ACP knows as much.
    #[test]
    fn notifications_lead_to_the_snapshot_of_their_events(events in prop::collection::vec(event(), 0..60)) {
        let (mut fold, mut theirs) = (Fold::default(), Fold::default());
        for event in &events {
            if let Some(notification) = fold.apply(&raw(event)) {
                let passed_on = theirs.apply(&notification).unwrap();
                prop_assert_eq!(passed_on.get(), notification.get());
            }
        }
        prop_assert_eq!(theirs.snapshot.event_count, fold.snapshot.notification_count);
        // A session that begins is told with the next notification only.
        (theirs.snapshot.v, theirs.snapshot.event_count) = (fold.snapshot.v, fold.snapshot.event_count);
        theirs.snapshot.session_id = fold.snapshot.session_id.clone();
        prop_assert_eq!(theirs.snapshot, fold.snapshot);
    }

    /// Whatever is told of several turns, and whenever it is written or fails to be: each event of a turn is in one of its
    /// batches, in order, and each batch has what all up to it say.
    #[test]
    fn batches_have_each_event_once_and_what_all_so_far_say(steps in prop::collection::vec(step(), 0..300)) {
        let batches = Batches::default();
        let mut told: [Vec<Value>; 3] = Default::default();
        let mut written = HashMap::<String, Vec<Value>>::new();
        let now = Timestamp::UNIX_EPOCH;
        for step in steps.into_iter().chain([Step::Write]) {
            let ends = match &step {
                Step::Tell(number, event) => {
                    batches.add("eng", &turn(*number), now, raw(event));
                    told[*number].push(event.clone());
                    continue;
                }
                Step::Write | Step::Fail => Ends::All,
                Step::WriteOf(number) => Ends::Turn(["t0", "t1", "t2"][*number]),
            };
            let sealed = batches.take(now, &ends);
            if matches!(step, Step::Fail) {
                batches.give_back(sealed);
                continue;
            }
            for batch in sealed {
                prop_assert!((1..=EVENTS).contains(&batch.events.len()));
                let bytes: usize = batch.events.iter().map(|event| event.get().len()).sum();
                prop_assert!(bytes <= BYTES || batch.events.len() == 1);
                let all = written.entry(batch.turn.turn.clone()).or_default();
                all.extend(batch.events.iter().map(|event| serde_json::from_str::<Value>(event.get()).unwrap()));
                prop_assert_eq!(batch.fold, folded(&*all));
            }
        }
        for (number, told) in told.iter().enumerate() {
            let written = written.remove(&format!("t{number}")).unwrap_or_default();
            prop_assert_eq!(&written, told);
            let last = batches.fold(&format!("t{number}")).unwrap_or_default();
            prop_assert_eq!(last, folded(told));
        }
        prop_assert_eq!(batches.figures(), (0, 0));
    }
}
