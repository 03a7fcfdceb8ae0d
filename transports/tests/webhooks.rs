//! Webhooks against a receiver over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod receiver;
mod world;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use receiver::{Call, Receiver, Reply, is_standard, judge, until};
use reveille_transports::net_guard::{Allow, Resolve};
use reveille_transports::outbox::{self, State, Which};
use reveille_transports::sign::Secret;
use reveille_transports::webhooks::{AgentChange, Body, Event, Kind, Profile, Subscription, bridge};
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
async fn a_receiver_that_refuses_is_left_alone_until_it_is_resumed_or_changed() {
    let receiver = Receiver::start().await;
    let there = subscription("x", &receiver.url(), Profile::Standard);
    for status in [401, 410] {
        receiver.always(Some(Reply::Status(status)));
        let world = World::new(vec![there.clone()], |_| {});
        let before = receiver.calls().len();
        world.settled("a").await;
        until("the refusal", || world.status("x").refused.is_some()).await;
        world.settled("b").await;
        let dir = world.stop().await;
        assert_eq!(receiver.calls().len(), before + 1, "{status}: nothing more is sent");
        // It is known after a restart.
        let world = World::again(dir, vec![there.clone()], |_| {});
        until("the refusal", || world.status("x").refused.is_some()).await;
        receiver.always(None);
        let fine = receiver.fine().len();
        world.webhooks.resume("x").await.unwrap();
        until("both", || receiver.fine().len() == fine + 2).await;
        let dir = world.stop().await;
        receiver.always(Some(Reply::Status(status)));
        let world = World::again(dir, vec![there.clone()], |_| {});
        world.settled("c").await;
        until("the refusal", || world.status("x").refused.is_some()).await;
        receiver.always(None);
        let dir = world.stop().await;
        let changed = Subscription {
            secrets: vec![Secret::fresh([6; 32])],
            ..there.clone()
        };
        let world = World::again(dir, vec![changed], |_| {});
        until("with another secret", || receiver.fine().len() == fine + 3).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_set_right_once() {
    let receiver = Receiver::start().await;
    let world = World::new(vec![subscription("x", &receiver.url(), Profile::Supervisor)], |_| {});
    let theirs = Timestamp::now().as_second() + 3600;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date = date
        .timestamp_to_rfc9110_string(&Timestamp::from_second(theirs).unwrap())
        .unwrap();
    receiver.next([Reply::With(401, "date", date)]);
    world.settled("a").await;
    until("success by their clock", || receiver.fine().len() == 1).await;
    world.settled("b").await;
    until("and from then on", || receiver.fine().len() == 2).await;
    assert_eq!(receiver.calls().len(), 3);
    assert_eq!(
        judge("supervisor", "töken", theirs, &receiver.calls()),
        ["stale", "fine", "fine"]
    );
    assert_eq!(world.status("x").refused, None);
    world.stop().await;
}

#[tokio::test]
async fn failures_of_every_kind_are_tried_again_and_a_wish_is_granted() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let world = World::new(vec![subscription("x", &receiver.url(), Profile::Standard)], |options| {
        options.times.whole = Duration::from_millis(300);
    });
    receiver.next([
        Reply::Status(500),
        Reply::Status(404),
        Reply::Status(422),
        Reply::With(302, "location", elsewhere.url()),
        Reply::Hang,
        Reply::Cut,
        Reply::Flood,
    ]);
    world.settled("a").await;
    until("success", || world.status("x").sent == 1).await;
    assert_eq!(receiver.calls().len(), 7, "an endless answer is a success all the same");
    assert_eq!(elsewhere.calls().len(), 0, "redirects are not followed");
    let ids: std::collections::HashSet<_> = receiver
        .calls()
        .iter()
        .map(|call| call.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
    receiver.next([Reply::With(429, "retry-after", "2".into())]);
    let before = tokio::time::Instant::now();
    world.settled("b").await;
    until("after its wish", || receiver.fine().len() == 2).await;
    assert!(
        before.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        before.elapsed()
    );
    world.stop().await;
}

#[tokio::test]
async fn what_is_given_up_is_kept_and_can_be_sent_again() {
    let receiver = Receiver::start().await;
    receiver.always(Some(Reply::Status(500)));
    let world = World::new(vec![subscription("x", &receiver.url(), Profile::Standard)], |options| {
        options.times.patience = Duration::from_millis(100);
        options.times.live_patience = Duration::from_millis(100);
    });
    world.started("a").await;
    world.live("a", &json!({"kind": "text_delta", "text": "hello"}));
    world.settled("a").await;
    let undelivered = async || {
        world
            .outbox
            .list(&bridge("x"), State::Undelivered, 0, 10)
            .await
            .unwrap()
    };
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while undelivered().await.len() < 2 {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(undelivered().await[0].error.as_ref().unwrap().contains("500"));
    assert_eq!(world.status("x").dropped, 1, "the batch is in the snapshot of the end");
    receiver.always(None);
    assert_eq!(world.webhooks.redrive("x", Which::All).await, Ok(2));
    until("both", || receiver.fine().len() == 2).await;
    let last = receiver.fine()[1].json();
    assert_eq!(
        (&last["data"]["snapshot"]["text"], &last["data"]["dropped"]),
        (&json!("hello"), &json!(1))
    );
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

/// Who changes one subscription holds no other up, and a pause lets wait.
#[tokio::test]
async fn a_subscription_is_made_paused_and_removed_while_others_run() {
    let (stuck, receiver) = (Receiver::start().await, Receiver::start().await);
    stuck.always(Some(Reply::Hang));
    let world = World::new(vec![subscription("stuck", &stuck.url(), Profile::Standard)], |_| {});
    world.settled("a").await;
    until("a call that hangs", || stuck.calls().len() == 1).await;
    let new = subscription("made", &receiver.url(), Profile::Standard);
    world.webhooks.create(new.clone()).await.unwrap();
    assert!(world.webhooks.create(new).await.is_err(), "the name is taken");
    world.settled("b").await;
    until("the new one", || receiver.fine().len() == 1).await;
    assert_eq!(receiver.fine()[0].header("webhook-id"), "settled_b");
    world.webhooks.pause("made").await.unwrap();
    world.settled("c").await;
    assert_eq!(
        world
            .outbox
            .list(&bridge("made"), State::Waiting, 0, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    let tested = world.webhooks.test("made").await.unwrap();
    assert_eq!((tested.delivered, tested.status), (true, Some(200)), "{tested:?}");
    assert_eq!(receiver.fine().last().unwrap().json()["type"], "webhook.test");
    world.webhooks.resume("made").await.unwrap();
    until("what waited", || receiver.fine().len() == 3).await;
    let calls = stuck.calls();
    let first = calls.iter().filter(|call| call.header("webhook-id") == "settled_a");
    assert_eq!(first.count(), 1, "its call was not begun again");
    world.webhooks.pause("made").await.unwrap();
    world.settled("c2").await;
    let removed = world.webhooks.remove("made").await.unwrap();
    assert_eq!(removed.dropped, Some(1));
    assert!(world.webhooks.remove("made").await.is_err());
    assert_eq!(world.webhooks.subscriptions().leftovers(), Vec::<String>::new());
    world.settled("d").await;
    assert_eq!(
        world.outbox.list(&bridge("made"), State::Waiting, 0, 10).await.unwrap(),
        []
    );
    world.stop().await;
}

/// A long pause fills no disk, and what is left is told with what went.
#[tokio::test]
async fn what_waits_for_one_that_rests_has_bounds() {
    let receiver = Receiver::start().await;
    let mut paused = subscription("paused", &receiver.url(), Profile::Standard);
    paused.paused = true;
    let world = World::new(vec![paused], |options| {
        options.times.idle_look = Duration::from_millis(50);
        options.idle_room = (3, 1 << 20);
    });
    for number in 0..10 {
        world.settled(&format!("t{number}")).await;
    }
    until("no more than there is room for", || world.status("paused").dropped == 7).await;
    let left = world
        .outbox
        .list(&bridge("paused"), State::Waiting, 0, 100)
        .await
        .unwrap();
    let left: Vec<_> = left.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(left, ["settled_t7", "settled_t8", "settled_t9"], "the newest stay");
    world.stop().await;
}

/// First a public address, then one of this machine.
struct Rebinding(AtomicUsize);

#[async_trait::async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let round = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(match (name, round % 2) {
            ("localhost.test", _) => vec![[127, 0, 0, 1].into()],
            ("both.test", _) => vec![[192, 0, 2, 1].into(), [127, 0, 0, 1].into()],
            (_, 0) => vec![IpAddr::V6("::ffff:127.0.0.1".parse().unwrap())],
            _ => vec![[169, 254, 169, 254].into()],
        })
    }
}

#[tokio::test]
async fn names_are_judged_each_time_by_the_addresses_that_they_have_then() {
    let receiver = Receiver::start().await;
    let port = receiver.at.port();
    let public = |name: &str, host: &str| Subscription {
        allow: Allow {
            plain: true,
            ..Allow::default()
        },
        ..subscription(name, &format!("http://{host}:{port}/"), Profile::Standard)
    };
    let allowed = Subscription {
        allow: Allow {
            private: true,
            ..Allow::default()
        },
        ..public("allowed", "localhost.test")
    };
    let subscriptions = vec![
        public("local", "localhost.test"),
        public("both", "both.test"),
        public("moves", "moves.test"),
        allowed,
    ];
    let world = World::new(subscriptions, |options| {
        options.resolver = Arc::new(Rebinding(AtomicUsize::new(0)));
    });
    world.settled("a").await;
    until("failures", || {
        ["local", "both", "moves"]
            .iter()
            .all(|name| world.status(name).failures >= 4)
    })
    .await;
    until("the one that is allowed", || receiver.fine().len() == 1).await;
    assert_eq!(receiver.calls().len(), 1);
    let told = world.status("local").error.unwrap();
    assert!(told.contains("this machine"), "{told}");
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

/// Other programs tell us apart by what they are told of.
#[tokio::test]
async fn each_is_told_what_it_asked_for_and_a_disk_that_is_full_loses_nothing() {
    let (agents, quiet) = (Receiver::start().await, Receiver::start().await);
    let mut first = subscription("agents", &agents.url(), Profile::Standard);
    first.events = vec![Kind::AgentChanged];
    let mut second = subscription("quiet", &quiet.url(), Profile::Standard);
    second.agents = vec!["other".into()];
    let full = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sqlite");
    let world = World::new(vec![first, second], |options| {
        let mut outbox = outbox::Options::new(&path);
        let refuse = Arc::clone(&full);
        outbox.refuse = Some(Arc::new(move || refuse.load(Ordering::SeqCst)));
        options.outbox = outbox.open().unwrap();
    });
    let changed = |id: &str| Event {
        id: id.into(),
        at: Timestamp::now(),
        agent: Some("scribe".into()),
        turn: None,
        body: Body::Agent(AgentChange {
            change: "edited",
            vault: "notes".into(),
            ..AgentChange::default()
        }),
    };
    full.store(true, Ordering::SeqCst);
    assert!(
        world
            .webhooks
            .publish(changed("one"))
            .await
            .unwrap_err()
            .to_string()
            .contains("full")
    );
    full.store(false, Ordering::SeqCst);
    world.webhooks.publish(changed("one")).await.unwrap();
    world.webhooks.publish(changed("one")).await.unwrap();
    world.settled("t").await;
    let tested = world.webhooks.test("quiet").await.unwrap();
    assert!(world.webhooks.test("none").await.is_err());
    assert!(
        world
            .webhooks
            .publish(changed("a.b"))
            .await
            .unwrap_err()
            .to_string()
            .contains("no id")
    );
    until("both", || agents.fine().len() == 1 && quiet.fine().len() == 1).await;
    assert_eq!(quiet.fine()[0].header("webhook-id"), tested.id);
    let told = agents.fine()[0].json();
    assert_eq!(
        told["data"],
        json!({"agent": "scribe", "body": {"change": "edited", "vault": "notes"}})
    );
    world.stop().await;
}
