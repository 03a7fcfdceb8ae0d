//! Who is told of what, and where calls may go.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_transports::net_guard::{Allow, Resolve};
use reveille_transports::outbox::{self, State};
use reveille_transports::webhooks::{AgentChange, Body, Event, Kind, Profile, Subscription, bridge};
use serde_json::json;

use super::receiver::{Receiver, Reply, until};
use super::world::{World, subscription};

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

/// Other programs tell us apart by what they are told of.
#[tokio::test]
async fn each_is_told_what_it_asked_for_and_a_disk_that_is_full_loses_nothing() {
    let (agents, quiet) = (Receiver::start().await, Receiver::start().await);
    let mut first = subscription("agents", &agents.url(), Profile::Standard);
    first.events = vec![Kind::AgentChanged];
    let mut second = subscription("quiet", &quiet.url(), Profile::Standard);
    second.agents = vec!["other".into()];
    let full = Arc::new(AtomicBool::new(false));
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
