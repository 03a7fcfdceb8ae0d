//! Receivers that refuse, fail, have another clock, or are away for long.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_transports::net_guard::Allow;
use reveille_transports::outbox::{State, Which};
use reveille_transports::sign::Secret;
use reveille_transports::webhooks::{Profile, Subscription, bridge};
use serde_json::json;

use super::receiver::{Receiver, Reply, judge, until};
use super::world::{World, subscription};

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
    let ids: HashSet<_> = receiver
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

/// A system that has no certificate authorities, until somebody installs some.
#[tokio::test]
async fn without_certificate_authorities_it_is_told_why_nothing_is_sent_and_tried_again() {
    let receiver = Receiver::start().await;
    let there = Subscription {
        allow: Allow {
            private: true,
            ..Allow::default()
        },
        ..subscription("x", &format!("https://{}/", receiver.at), Profile::Standard)
    };
    let installed = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&installed);
    let world = World::new(vec![there], |options| {
        options.tls = Arc::new(move || {
            if !known.load(Ordering::SeqCst) {
                return Err("no certificate authorities are known here".into());
            }
            let provider = rustls::crypto::ring::default_provider();
            let config = rustls::ClientConfig::builder_with_provider(provider.into());
            let config = config.with_safe_default_protocol_versions().unwrap();
            Ok(config
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth())
        });
    });
    world.settled("a").await;
    until("why not", || {
        let status = world.status("x");
        let why = status.error.unwrap_or_default();
        status.failures > 1 && status.next_at.is_some() && why.contains("no certificate authorities")
    })
    .await;
    installed.store(true, Ordering::SeqCst);
    // Now it is the receiver, which does not speak TLS.
    until("another reason", || {
        let why = world.status("x").error.unwrap_or_default();
        why.contains("cannot be reached") && !why.contains("authorities")
    })
    .await;
    let waiting = world.outbox.list(&bridge("x"), State::Waiting, 0, 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "nothing is lost");
    world.stop().await;
}
