//! Webhooks against a receiver over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod failing;
mod receiver;
mod subscribing;
mod world;

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use receiver::{Call, Receiver, Reply, is_standard, judge, until};
use reveille_transports::webhooks::{Body, Kind, Profile};
use serde_json::{Value, json};
use world::{World, secret, subscription};

fn sequences(calls: &[Call]) -> Vec<u64> {
    calls
        .iter()
        .map(|call| call.json()["data"]["sequence"].as_u64().unwrap())
        .collect()
}

fn text(of: &Value) -> String {
    of.as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "text_delta")
        .map(|event| event["text"].as_str().unwrap())
        .collect()
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

#[tokio::test]
async fn both_profiles_are_signed_as_another_implementation_has_it_and_everything_arrives_once_the_receiver_is_back() {
    let (standard, supervisor) = (Receiver::start().await, Receiver::start().await);
    standard.always(Some(Reply::Status(503)));
    supervisor.always(Some(Reply::Cut));
    let world = World::new(
        vec![
            subscription("standard", &standard.url(), Profile::Standard),
            subscription("supervisor", &supervisor.url(), Profile::Supervisor),
        ],
        |_| {},
    );
    world.started("t1").await;
    for number in 0..120 {
        world.live("t1", &json!({"kind": "text_delta", "text": format!("{number} ✓ ")}));
    }
    world.settled("t1").await;
    until("failures", || {
        world.status("standard").failures > 2 && world.status("supervisor").failures > 2
    })
    .await;
    assert_eq!((standard.fine().len(), supervisor.fine().len()), (0, 0));
    standard.always(None);
    supervisor.always(None);
    until("all of it", || {
        standard.fine().len() == 5 && supervisor.fine().len() == 5
    })
    .await;

    let told = standard.fine();
    assert_eq!(sequences(&told), [1, 2, 3, 4, 5]);
    let kinds: Vec<_> = told
        .iter()
        .map(|call| call.json()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["turn.started", "turn.event", "turn.event", "turn.event", "turn.settled"]
    );
    let mut all = String::new();
    for (call, size) in told[1..4].iter().zip([50, 50, 20]) {
        let data = &call.json()["data"];
        assert_eq!(data["events"].as_array().unwrap().len(), size);
        all.push_str(&text(&data["events"]));
        assert_eq!(
            data["snapshot"]["text"], all,
            "the snapshot is what the events so far say"
        );
    }
    assert_eq!(told[4].json()["data"]["snapshot"]["text"], all);
    assert_eq!(told[4].json()["data"]["body"]["reply"], "done");
    assert_eq!(told[4].header("webhook-id"), "settled_t1");

    let reports: Vec<_> = supervisor.fine().iter().map(Call::json).collect();
    let kinds: Vec<_> = reports.iter().map(|report| report["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "heartbeat",
            "session_update",
            "session_update",
            "session_update",
            "prompt_complete"
        ]
    );
    let numbers: Vec<_> = reports
        .iter()
        .map(|report| report["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let chunks = reports
        .iter()
        .filter_map(|report| report["notifications"].as_array())
        .flatten();
    let chunks: String = chunks
        .map(|each| each["update"]["content"]["text"].as_str().unwrap())
        .collect();
    assert_eq!((&reports[4]["snapshot"]["text"], chunks), (&json!(all), all.clone()));
    let ids = ["runId", "taskId", "sandboxId", "promptId"].map(|name| reports[1][name].as_str().unwrap());
    assert_eq!(ids, ["t1", "scribe", "daemon-1", "note-of-t1"]);
    assert_eq!(
        (&reports[4]["stopReason"], &reports[4]["usage"]["input_tokens"]),
        (&json!("end_turn"), &json!(1))
    );

    // Every attempt is signed anew over the same bytes.
    let (all_standard, all_supervisor) = (standard.calls(), supervisor.calls());
    let verdicts = judge("supervisor", "töken", now(), &all_supervisor);
    assert!(
        verdicts.len() > 5 && verdicts.iter().all(|verdict| verdict == "fine"),
        "{verdicts:?}"
    );
    let mut bodies: HashMap<String, bytes::Bytes> = HashMap::new();
    for call in &all_standard {
        let before = bodies
            .entry(call.header("webhook-id").to_owned())
            .or_insert_with(|| call.body.clone());
        assert_eq!(before, &call.body, "the same id is the same body");
    }
    let key = secret();
    assert_eq!(judge("standard", key.expose(), now(), &told), ["fine"; 5]);
    assert_eq!(
        judge("standard", key.expose(), now(), &[told[0].clone(), told[0].clone()]),
        ["fine", "replay"]
    );
    assert_eq!(judge("standard", key.expose(), now() + 400, &told[..1]), ["stale"]);
    let mut forged = told[0].clone();
    forged.body = bytes::Bytes::from_static(b"{}");
    assert_eq!(
        judge("standard", key.expose(), now(), std::slice::from_ref(&forged)),
        ["forged"]
    );
    assert!(all_standard.iter().all(|call| is_standard(key.expose(), call)));
    assert!(!is_standard(key.expose(), &forged));
    world.stop().await;
}

/// 10 000 events of 20 turns at once; the receiver fails, cuts and answers by turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_with_a_flapping_receiver() {
    let receiver = Receiver::start().await;
    let world = World::new(vec![subscription("all", &receiver.url(), Profile::Standard)], |_| {});
    let flap = {
        let receiver = receiver.clone();
        tokio::spawn(async move {
            for round in 0.. {
                let reply = [None, Some(Reply::Status(500)), None, Some(Reply::Cut)][round % 4].clone();
                receiver.always(reply);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    for number in 0..20 {
        world.started(&format!("t{number}")).await;
    }
    let mut most = 0;
    for number in 0..500 {
        for turn in 0..20 {
            world.live(
                &format!("t{turn}"),
                &json!({"kind": "text_delta", "text": format!("{number};")}),
            );
        }
        most = most.max(world.webhooks.figures().held_bytes);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in 0..20 {
        world.settled(&format!("t{number}")).await;
    }
    flap.abort();
    receiver.always(None);
    let settled = || {
        receiver
            .fine()
            .iter()
            .filter(|call| call.json()["type"] == "turn.settled")
            .count()
    };
    until("every end", || settled() == 20).await;
    let mut turns: HashMap<String, (u64, String)> = HashMap::new();
    let wanted: String = (0..500).map(|number| format!("{number};")).collect();
    for call in receiver.fine() {
        let data = &call.json()["data"];
        let (last, said) = turns.entry(data["turn"].as_str().unwrap().to_owned()).or_default();
        let sequence = data["sequence"].as_u64().unwrap();
        // What was taken and cut comes twice under its number; a call that failed is not among these.
        assert_eq!(sequence, *last + 1, "in order, without a gap");
        *last = sequence;
        if let Some(events) = data.get("events") {
            said.push_str(&text(events));
            assert_eq!(&data["snapshot"]["text"], said);
        }
        if call.json()["type"] == "turn.settled" {
            assert_eq!(
                (said.as_str(), &data["snapshot"]["eventCount"]),
                (wanted.as_str(), &json!(500))
            );
        }
    }
    assert_eq!(turns.len(), 20);
    assert!(most < 2 << 20, "{most} bytes in memory");
    let counts = world.outbox.counts().await.unwrap();
    assert_eq!((counts[0].waiting, counts[0].undelivered), (0, 0));
    assert_eq!(world.webhooks.figures().turns, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_batch_that_is_too_long_goes_in_parts() {
    let receiver = Receiver::start().await;
    receiver.most(Some(6000));
    let world = World::new(vec![subscription("x", &receiver.url(), Profile::Standard)], |_| {});
    world.started("a").await;
    for number in 0..8 {
        let long = if number == 5 { 9000 } else { 800 };
        world.live("a", &json!({"kind": "thing", "number": number, "x": "x".repeat(long)}));
    }
    world.settled("a").await;
    until("the end", || {
        receiver.fine().iter().any(|call| call.json()["type"] == "turn.settled")
    })
    .await;
    let told = receiver.fine();
    assert_eq!(sequences(&told), (1..=told.len() as u64).collect::<Vec<_>>());
    let events = told
        .iter()
        .filter_map(|call| call.json()["data"]["events"].as_array().cloned())
        .flatten();
    let numbers: Vec<_> = events.map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 6, 7]);
    let oversize: Vec<_> = told
        .iter()
        .filter_map(|call| call.json()["data"]["oversize"].as_u64())
        .collect();
    assert!(oversize.len() == 1 && oversize[0] > 9000, "{oversize:?}");
    world.stop().await;
}

#[tokio::test]
async fn heartbeats_tell_of_running_turns_outside_the_sequence() {
    let receiver = Receiver::start().await;
    let mut beating = subscription("x", &receiver.url(), Profile::Supervisor);
    beating.heartbeat = Some(1);
    let world = World::new(vec![beating], |_| {});
    world.started("a").await;
    let beats = || {
        receiver
            .fine()
            .iter()
            .filter(|call| call.json()["kind"] == "heartbeat")
            .count()
    };
    until("heartbeats", || beats() >= 3).await;
    world.settled("a").await;
    until("the end", || {
        receiver
            .fine()
            .iter()
            .any(|call| call.json()["kind"] == "prompt_complete")
    })
    .await;
    let numbers: Vec<_> = receiver
        .fine()
        .iter()
        .map(|call| call.json()["sequence"].as_u64().unwrap())
        .filter(|number| *number > 0)
        .collect();
    assert_eq!(numbers, [1]);
    world.stop().await;
}

/// A process that ends in the middle of a turn and begins again: the snapshot and the numbers go on.
#[tokio::test]
async fn a_turn_goes_on_after_a_restart_where_it_was() {
    let receiver = Receiver::start().await;
    let there = subscription("x", &receiver.url(), Profile::Standard);
    let world = World::new(vec![there.clone()], |_| {});
    world.started("a").await;
    world.live("a", &json!({"kind": "text_delta", "text": "one "}));
    until("the batch, whose window ended", || receiver.fine().len() == 2).await;
    receiver.always(Some(Reply::Status(500)));
    world.live("a", &json!({"kind": "text_delta", "text": "two "}));
    until("a failure", || world.status("x").failures > 0).await;
    let dir = world.stop().await;
    receiver.always(None);
    let world = World::again(dir, vec![there], |_| {});
    world
        .publish(
            "started2",
            "a",
            Body::Started {
                attempt: 2,
                by: None,
                ends_at: None,
            },
        )
        .await;
    world.live("a", &json!({"kind": "text_delta", "text": "three"}));
    world.settled("a").await;
    // The same end once more, as after a crash before it was noted: it is told once.
    world.settled("a").await;
    until("the end", || {
        receiver.fine().iter().any(|call| call.json()["type"] == "turn.settled")
    })
    .await;
    let told = receiver.fine();
    assert_eq!(sequences(&told), [1, 2, 3, 4, 5, 6]);
    let said: Vec<_> = told
        .iter()
        .filter_map(|call| call.json()["data"]["snapshot"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, ["one ", "one two ", "one two three", "one two three"]);
    world.stop().await;
}

/// Who wants to know of the end alone has the whole turn in it, whatever happened to the process before.
#[tokio::test]
async fn the_end_has_what_was_told_before_a_restart_although_nobody_wanted_the_batches() {
    let receiver = Receiver::start().await;
    let mut ends = subscription("ends", &receiver.url(), Profile::Standard);
    ends.events = vec![Kind::TurnSettled];
    let world = World::new(vec![ends.clone()], |_| {});
    world.started("a").await;
    world.live("a", &json!({"kind": "text_delta", "text": "one "}));
    let dir = world.stop().await;
    let world = World::again(dir, vec![ends], |_| {});
    world
        .publish(
            "started2",
            "a",
            Body::Started {
                attempt: 2,
                by: None,
                ends_at: None,
            },
        )
        .await;
    world.live("a", &json!({"kind": "text_delta", "text": "two"}));
    world.settled("a").await;
    until("the end", || receiver.fine().len() == 1).await;
    let snapshot = receiver.fine()[0].json()["data"]["snapshot"].clone();
    assert_eq!(
        (&snapshot["text"], &snapshot["eventCount"]),
        (&json!("one two"), &json!(2))
    );
    // What was kept for it goes with it.
    assert_eq!(world.outbox.kept("webhooks", "a").await.unwrap(), None);
    world.stop().await;
}

/// Something that a turn tells: its kind, its text, and how much longer it is.
#[derive(Debug, Clone)]
struct Tells(&'static str, String, usize);

impl Tells {
    fn event(&self) -> Value {
        json!({"kind": self.0, "id": "a", "tool": "Bash", "text": self.1, "x": "x".repeat(self.2)})
    }
}

fn tells() -> impl Strategy<Value = Tells> {
    let short = "[a-c é😀]{0,9}";
    prop_oneof![
        6 => (short, 0usize..3000).prop_map(|(text, more)| Tells("text_delta", text, more)),
        1 => Just(Tells("text", "told already".into(), 0)),
        1 => short.prop_map(|text| Tells("thinking", text, 0)),
        1 => Just(Tells("tool", String::new(), 0)),
        1 => Just(Tells("text_delta", "long".into(), 14_000)),
    ]
}

/// What a receiver makes of the events that it has got, by the words of `webhooks.md` alone.
#[derive(Default)]
struct Reader {
    text: String,
    gap: bool,
    streamed: bool,
    thought: String,
    calls: u64,
}

impl Reader {
    fn take(&mut self, event: &Value) {
        let text = event["text"].as_str().unwrap_or_default();
        match event["kind"].as_str().unwrap() {
            "text_delta" => {
                self.streamed = true;
                self.say(text);
            }
            "text" => {
                if !std::mem::take(&mut self.streamed) {
                    self.say(text);
                }
                self.gap = true;
            }
            "thinking" => self.thought.push_str(text),
            "tool" => self.calls += 1,
            other => panic!("{other}"),
        }
    }

    fn say(&mut self, text: &str) {
        if std::mem::take(&mut self.gap) {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    /// Whatever a turn tells, and a receiver that takes little at once and fails now and then: its calls, in their order, say
    /// what the snapshots say.
    #[test]
    fn what_a_receiver_puts_together_is_the_snapshot(tells in prop::collection::vec(tells(), 0..150), faults in prop::collection::vec(0usize..8, 0..12)) {
        let events: Vec<Value> = tells.iter().map(Tells::event).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let told = runtime.block_on(async {
            let receiver = Receiver::start().await;
            receiver.most(Some(12_000));
            receiver.next(faults.iter().map(|fault| match fault {
                0 => Reply::Cut,
                1 => Reply::Status(500),
                _ => Reply::Status(200),
            }));
            let world = World::new(vec![subscription("x", &receiver.url(), Profile::Standard)], |_| {});
            world.started("a").await;
            for event in &events {
                world.live("a", event);
            }
            world.settled("a").await;
            until("the end", || receiver.fine().iter().any(|call| call.header("webhook-id") == "settled_a")).await;
            let told = receiver.fine();
            world.stop().await;
            told
        });
        prop_assert_eq!(sequences(&told), (1..=told.len() as u64).collect::<Vec<_>>());
        let (mut reader, mut left) = (Reader::default(), events.iter());
        for call in &told {
            let data = &call.json()["data"];
            for event in data["events"].as_array().into_iter().flatten() {
                prop_assert!(left.next() == Some(event), "another event");
                reader.take(event);
            }
            if data.get("oversize").is_some() {
                reader.take(left.next().unwrap());
            }
            if let Some(snapshot) = data.get("snapshot") {
                prop_assert_eq!(&snapshot["text"], &json!(reader.text));
                prop_assert_eq!(&snapshot["thought"], &json!(reader.thought));
                prop_assert_eq!(&snapshot["toolCallCount"], &json!(reader.calls));
                prop_assert_eq!(&snapshot["eventCount"], &json!(events.len() - left.len()));
            }
        }
        prop_assert_eq!(left.len(), 0);
    }
}
