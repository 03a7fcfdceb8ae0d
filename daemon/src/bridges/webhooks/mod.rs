//! Webhooks out: signed calls that tell programs what happens. `[[webhook]]` in the configuration.

mod health;
mod manage;
mod news;
mod settings;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reveille_transports::State;
use reveille_transports::outbox::OutboxError;
use reveille_transports::webhooks::{
    Body, Event, Kind, Options, Outcome, PublishError, Service, Status, SubscriptionError, Subscriptions, Turn,
    Webhooks, bridge,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::health::{Facts, HealthNews};
pub(crate) use self::manage::Seen;
pub(crate) use self::news::News;
pub(crate) use self::settings::{Settings, Table, kinds, resolve, word};
use super::store::Store;
use super::{HandOver, View};
use crate::config::ConfigError;
use crate::live::Subject;

/// Webhooks that were made by a call, in the state directory.
const FILE: &str = "webhooks.json";
/// How long a message counts as one that nobody may have been told of: the outbox knows longer what it has delivered.
const NEW: SignedDuration = SignedDuration::from_hours(6 * 24);

/// The certificate authorities of this system.
fn tls() -> Result<rustls::ClientConfig, String> {
    use hyper_rustls::ConfigBuilderExt as _;
    let provider = rustls::crypto::ring::default_provider();
    let builder = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_native_roots()
        .map_err(|error| {
            format!(
                "no certificate authorities are known here ({error}); install ca-certificates, or set SSL_CERT_FILE to a file of \
                 them and restart"
            )
        })?;
    Ok(builder.with_no_client_auth())
}

/// The end of a turn, as it waits to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settled {
    /// The turn.
    pub(crate) turn: Turn,
    /// Whose.
    pub(crate) agent: String,
    /// When it was known.
    pub(crate) at: Timestamp,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// The answer.
    #[serde(default)]
    pub(crate) reply: Option<String>,
    /// What happened.
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// Stable code of the failure.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// Tokens.
    #[serde(default)]
    pub(crate) usage: Option<serde_json::Value>,
    /// US dollars.
    #[serde(default)]
    pub(crate) cost_usd: Option<f64>,
    /// The budget that ended it.
    #[serde(default)]
    pub(crate) budget: Option<Reached>,
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Of one turn.
    Turn,
    /// Of an agent's day.
    Day,
    /// Of a chain of messages.
    Chain,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Day => "day",
            Self::Chain => "chain",
        }
    }
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// Whose.
    pub(crate) scope: Scope,
    /// The limit, where it is one of money.
    pub(crate) limit_usd: Option<f64>,
    /// What was spent.
    pub(crate) spent_usd: Option<f64>,
    /// For a person.
    pub(crate) message: String,
    /// When it goes on by itself.
    #[serde(default)]
    pub(crate) until_at: Option<Timestamp>,
}

/// The turn that something is about.
pub(crate) fn turn_of(subject: &Subject) -> Turn {
    Turn {
        turn: subject.turn.to_string(),
        thread: subject.thread.to_string(),
        message: subject.message.clone(),
    }
}

/// Tells whoever has a webhook; without one nothing is done. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Told(Option<Arc<Inner>>);

struct Inner {
    subscriptions: Subscriptions,
    store: Store,
    instance: String,
    /// From the first webhook on.
    on: OnceLock<Webhooks>,
    /// Held while it is switched on. Where the service goes then.
    hand: Mutex<Option<oneshot::Sender<Service>>>,
    /// From where it is taken, once the daemon runs.
    take: Mutex<Option<oneshot::Receiver<Service>>>,
    /// Something may have become of an agent.
    touched: Arc<Notify>,
    /// The same, for who looks only while somebody is told.
    came: Notify,
}

impl Inner {
    /// Begins to tell, if it has not begun. Waits for the disk.
    fn switch_on(&self) -> Result<&Webhooks, OutboxError> {
        let mut hand = self.hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(webhooks) = self.on.get() {
            return Ok(webhooks);
        }
        let outbox = self.store.open()?.clone();
        let options = Options::new(outbox, self.subscriptions.clone(), &self.instance, Arc::new(tls));
        let (webhooks, service) = options.build();
        if let Some(hand) = hand.take() {
            // silent-ok: the daemon stops, and nothing is sent any more.
            let _ = hand.send(service);
        }
        Ok(self.on.get_or_init(|| webhooks))
    }
}

impl Told {
    /// Of the configuration, and what calls have made. Nothing is started.
    ///
    /// # Errors
    /// The first entry that cannot be used, with the mend.
    pub(super) fn build(
        settings: &[Settings],
        store: &Store,
        state: &Path,
        instance: &str,
    ) -> Result<Self, ConfigError> {
        let all: Result<Vec<_>, _> = settings.iter().map(Settings::subscription).collect();
        let file = state.join(FILE);
        let wrong = |origin: String, message: String| ConfigError::Wrong { origin, message };
        let subscriptions = Subscriptions::open(&file, all?);
        let subscriptions = subscriptions.map_err(|error| wrong("[[webhook]]".into(), error.to_string()))?;
        let (hand, take) = oneshot::channel();
        let inner = Inner {
            subscriptions,
            store: store.clone(),
            instance: instance.to_owned(),
            on: OnceLock::new(),
            hand: Mutex::new(Some(hand)),
            take: Mutex::new(Some(take)),
            touched: Arc::default(),
            came: Notify::new(),
        };
        if !inner.subscriptions.list().is_empty() || !inner.subscriptions.leftovers().is_empty() {
            let opened = inner.switch_on();
            opened.map_err(|error| super::unreadable(&state.join(super::store::FILE), &error))?;
        }
        Ok(Self(Some(Arc::new(inner))))
    }

    /// What sends from the first webhook on, until `drain`; `None` when it was taken already.
    pub(super) fn telling(&self, drain: &CancellationToken) -> Option<impl Future<Output = ()> + Send + 'static> {
        let take = &self.0.as_ref()?.take;
        let take = take.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let drain = drain.clone();
        Some(async move {
            let service = tokio::select! {
                () = drain.cancelled() => return,
                service = take => service,
            };
            if let Ok(service) = service {
                service.run(drain).await;
            }
        })
    }

    fn webhooks(&self) -> Option<&Webhooks> {
        self.0.as_ref()?.on.get()
    }

    /// Whether anybody is told.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.webhooks().is_some_and(|on| !on.subscriptions().list().is_empty())
    }

    /// Whether somebody is told of that, whichever agent it is about.
    #[must_use]
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        let all = self.webhooks().map(|on| on.subscriptions().list());
        all.is_some_and(|all| all.iter().any(|one| one.wants(kind, None)))
    }

    /// Something may have become of an agent, or of who is told so. What it is, is looked at.
    pub(crate) fn touch(&self) {
        if let Some(inner) = &self.0 {
            inner.touched.notify_one();
            inner.came.notify_one();
        }
    }

    /// Told then; `None`: nobody ever is.
    fn touched(&self) -> Option<Arc<Notify>> {
        self.0.as_ref().map(|inner| Arc::clone(&inner.touched))
    }

    /// Returns when there may be somebody who is told. For one who waits.
    pub(crate) async fn somebody_came(&self) {
        match &self.0 {
            Some(inner) => inner.came.notified().await,
            None => std::future::pending().await,
        }
    }

    /// A message was accepted. To be repeated at leisure while it is new.
    pub(crate) async fn received(&self, subject: &Subject, text: &str, sender: &str, at: Timestamp) {
        let Some(webhooks) = self.webhooks() else { return };
        if Timestamp::now().duration_since(at) > NEW {
            return;
        }
        let body = Body::Message {
            text: text.to_owned(),
            sender: sender.to_owned(),
        };
        let id = format!("received_{}", subject.turn);
        logged(subject, publish(webhooks, id, subject, at, body).await);
    }

    /// A turn begins. `epoch` is another one each time; `by`: the session that has taken it, and until when.
    pub(crate) async fn started(&self, subject: &Subject, attempt: u32, epoch: u64, by: Option<(&str, Timestamp)>) {
        let Some(webhooks) = self.webhooks() else { return };
        let id = format!("started_{}_{epoch}", subject.turn);
        let body = Body::Started {
            attempt,
            by: by.map(|(owner, _)| owner.to_owned()),
            ends_at: by.map(|(_, until)| until),
        };
        logged(subject, publish(webhooks, id, subject, Timestamp::now(), body).await);
    }

    /// A turn is back in line.
    pub(crate) fn rests(&self, turn: Uuid) {
        if let Some(webhooks) = self.webhooks() {
            webhooks.rests(&turn.to_string());
        }
    }

    /// A running turn tells something: a live event as JSON. Never waits.
    pub(crate) fn event(&self, subject: &Subject, event: &Bytes) {
        let Some(webhooks) = self.webhooks() else { return };
        let text = String::from_utf8_lossy(event).into_owned();
        match RawValue::from_string(text) {
            Ok(event) => webhooks.live(&subject.channel, &turn_of(subject), event),
            Err(error) => {
                tracing::error!(%error, turn = %subject.turn, channel = subject.channel, "a live event is no JSON, and is not told by webhooks");
            }
        }
    }

    /// A turn has ended. To be repeated until it succeeds: the same end is told once.
    ///
    /// # Errors
    /// It is not stored.
    pub(crate) async fn settled(&self, end: &Settled) -> Result<(), HandOver> {
        // There were webhooks when it ended: nobody is left who wants to know.
        let Some(webhooks) = self.webhooks() else { return Ok(()) };
        let later = |error: PublishError| HandOver::Later {
            bridge: "webhook".into(),
            reason: error.to_string(),
        };
        let end = end.clone();
        if let Some(reached) = &end.budget {
            let event = reached.event(&end.agent, Some(&end.turn), end.at);
            webhooks.tell(&[event], Vec::new()).await.map_err(later)?;
        }
        let event = Event {
            id: format!("settled_{}", end.turn.turn),
            at: end.at,
            agent: Some(end.agent),
            turn: Some(end.turn),
            body: Body::Settled {
                outcome: end.outcome,
                reply: end.reply,
                error: end.error,
                code: end.code,
                stop_reason: None,
                usage: end.usage,
                cost_usd: end.cost_usd,
            },
        };
        webhooks.publish(event).await.map_err(later)
    }

    /// How each webhook does, by the name that its entries in the outbox have.
    #[must_use]
    pub(crate) fn views(&self) -> Vec<View> {
        let Some(webhooks) = self.webhooks() else {
            return Vec::new();
        };
        let figures = webhooks.figures();
        let all = webhooks.subscriptions().list();
        let views = all.iter().map(|one| View {
            name: bridge(&one.name),
            kind: "webhook",
            agent: String::new(),
            state: match one.paused {
                true => State::Stopped,
                false => state_of(figures.subscriptions.get(&one.name)),
            },
            outbox: Some(bridge(&one.name)),
            added: false,
        });
        views.collect()
    }

    /// Sends again to the webhook with these entries, if it had refused.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then it stays refused.
    pub(crate) async fn resume_bridge(&self, name: &str) -> Result<(), SubscriptionError> {
        let Some(webhooks) = self.webhooks() else { return Ok(()) };
        let all = webhooks.subscriptions().list();
        match all.iter().find(|one| bridge(&one.name) == name && !one.paused) {
            Some(one) => webhooks.resume(&one.name).await,
            None => Ok(()),
        }
    }
}

fn state_of(status: Option<&Status>) -> State {
    let Some(status) = status else {
        return State::Starting;
    };
    match (&status.refused, status.next_at) {
        (Some(error), _) => State::Refused { error: error.clone() },
        (None, Some(at)) if status.failures > 0 => State::Retrying {
            error: status.error.clone().unwrap_or_default(),
            at,
        },
        (None, _) if status.success_at.is_none() => State::Starting,
        (None, _) => State::Up,
    }
}

async fn publish(
    webhooks: &Webhooks,
    id: String,
    subject: &Subject,
    at: Timestamp,
    body: Body,
) -> Result<(), PublishError> {
    let event = Event {
        id,
        at,
        agent: Some(subject.channel.clone()),
        turn: Some(turn_of(subject)),
        body,
    };
    webhooks.publish(event).await
}

/// What a turn does is not held up by what is told of it; its end is told all the same.
fn logged(subject: &Subject, outcome: Result<(), PublishError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, turn = %subject.turn, channel = subject.channel, "webhooks are not told of this step of a turn");
    }
}
