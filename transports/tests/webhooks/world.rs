//! Webhooks over a state directory of their own, and what they are told.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_transports::net_guard::Allow;
use reveille_transports::outbox::{self, Outbox};
use reveille_transports::sign::Secret;
use reveille_transports::webhooks::{
    Body, Event, Options, Outcome, Profile, Subscription, Subscriptions, Turn, Webhooks,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) outbox: Outbox,
    pub(crate) webhooks: Webhooks,
    pub(crate) drain: CancellationToken,
    pub(crate) service: tokio::task::JoinHandle<()>,
}

pub(crate) fn options(outbox: &Outbox, subscriptions: &Subscriptions) -> Options {
    let tls: reveille_transports::webhooks::Tls = Arc::new(|| Err("no TLS in this test".into()));
    let mut options = Options::new(outbox.clone(), subscriptions.clone(), "daemon-1", tls);
    options.times.first_pause = Duration::from_millis(10);
    options.times.longest_pause = Duration::from_millis(50);
    options.times.drain = Duration::from_millis(200);
    options
}

impl World {
    pub(crate) fn new(subscriptions: Vec<Subscription>, change: impl FnOnce(&mut Options)) -> Self {
        Self::again(tempfile::tempdir().unwrap(), subscriptions, change)
    }

    pub(crate) fn again(
        dir: tempfile::TempDir,
        subscriptions: Vec<Subscription>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let outbox = outbox::Options::new(dir.path().join("bridges.sqlite")).open().unwrap();
        let subscriptions = Subscriptions::open(&dir.path().join("webhooks.json"), subscriptions).unwrap();
        let mut options = options(&outbox, &subscriptions);
        change(&mut options);
        let (webhooks, service) = options.build();
        let drain = CancellationToken::new();
        let service = tokio::spawn(service.run(drain.clone()));
        Self {
            dir,
            outbox,
            webhooks,
            drain,
            service,
        }
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.drain.cancel();
        self.service.await.unwrap();
        self.dir
    }

    pub(crate) fn status(&self, name: &str) -> reveille_transports::webhooks::Status {
        self.webhooks
            .figures()
            .subscriptions
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) async fn started(&self, turn: &str) {
        self.publish(
            "started",
            turn,
            Body::Started {
                attempt: 1,
                by: None,
                ends_at: None,
            },
        )
        .await;
    }

    pub(crate) async fn settled(&self, turn: &str) {
        let (reply, usage) = (Some("done".into()), Some(json!({"input_tokens": 1})));
        let (error, code, stop_reason, cost_usd) = (None, None, None, None);
        let outcome = Outcome::Done;
        self.publish(
            "settled",
            turn,
            Body::Settled {
                outcome,
                reply,
                error,
                code,
                stop_reason,
                usage,
                cost_usd,
            },
        )
        .await;
    }

    pub(crate) async fn publish(&self, what: &str, turn_id: &str, body: Body) {
        let id = format!("{what}_{turn_id}");
        let event = Event {
            id,
            at: Timestamp::now(),
            agent: Some("scribe".into()),
            turn: Some(turn(turn_id)),
            body,
        };
        self.webhooks.publish(event).await.unwrap();
    }

    pub(crate) fn live(&self, turn_id: &str, event: &Value) {
        self.webhooks.live(
            "scribe",
            &turn(turn_id),
            serde_json::value::to_raw_value(event).unwrap(),
        );
    }
}

pub(crate) fn turn(turn: &str) -> Turn {
    Turn {
        turn: turn.into(),
        thread: "thread".into(),
        message: format!("note-of-{turn}"),
    }
}

pub(crate) fn secret() -> Secret {
    Secret::fresh([5; 32])
}

pub(crate) fn subscription(name: &str, url: &str, profile: Profile) -> Subscription {
    Subscription {
        name: name.into(),
        url: url.into(),
        secrets: vec![if profile == Profile::Standard {
            secret()
        } else {
            Secret::new("töken")
        }],
        events: vec![],
        agents: vec![],
        profile,
        allow: Allow {
            private: true,
            ..Allow::default()
        },
        heartbeat: Some(0),
        paused: false,
    }
}
