//! Webhooks out: signed calls that tell programs what happens. `[[webhook]]` in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reveille_transports::State;
use reveille_transports::net_guard::Allow;
use reveille_transports::outbox::{Outbox, OutboxError};
use reveille_transports::sign;
use reveille_transports::webhooks::{
    Body, Event, Kind, Options, Outcome, Profile, PublishError, Service, Status, Subscription, Subscriptions, Turn,
    Webhooks, bridge,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{HandOver, View};
use crate::config::{ConfigError, Secret, private_secret, secret};
use crate::live::Subject;

/// Webhooks that were made otherwise, in the state directory.
const FILE: &str = "webhooks.json";
/// How long a message counts as one that nobody may have been told of: the outbox knows longer what it has delivered.
const NEW: SignedDuration = SignedDuration::from_hours(6 * 24);
/// What is told.
const FED: [(Kind, &str); 4] = [
    (Kind::MessageReceived, "message.received"),
    (Kind::TurnStarted, "turn.started"),
    (Kind::TurnEvent, "turn.event"),
    (Kind::TurnSettled, "turn.settled"),
];

/// `[[webhook]]`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    name: String,
    url: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    /// A second one, while one replaces another.
    #[serde(default)]
    old_secret: Option<String>,
    #[serde(default)]
    old_secret_file: Option<PathBuf>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    allow: Allow,
    #[serde(default)]
    heartbeat: Option<u32>,
}

/// A webhook whose secrets are not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    table: Table,
    events: Vec<Kind>,
    secrets: Vec<Secret>,
}

impl Table {
    /// A secret that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(crate) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        private_secret("webhook", "secret", &self.secret, file)?;
        private_secret("webhook", "old_secret", &self.old_secret, file)
    }
}

fn wrong(name: &str, message: String) -> ConfigError {
    ConfigError::Wrong {
        origin: format!("[[webhook]] {name:?}"),
        message,
    }
}

fn kinds(words: &[String]) -> Result<Vec<Kind>, String> {
    let known = |word: &String| {
        let found = FED.iter().find(|(_, known)| known == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let all = FED.map(|(_, known)| known).join(", ");
            format!("`events` has {word:?}, which is not told; there are: {all}")
        })
    };
    words.iter().map(known).collect()
}

/// The webhooks of the configuration.
///
/// # Errors
/// The first that cannot be used, with the mend.
pub(crate) fn resolve(
    tables: Vec<Table>,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Settings>, ConfigError> {
    let mut all: Vec<Settings> = Vec::with_capacity(tables.len());
    for mut table in tables {
        let name = table.name.clone();
        let refused = |message: String| wrong(&name, message);
        if all.iter().any(|one| one.table.name == name) {
            let message = "there is a webhook of this name already; names must differ";
            return Err(refused(message.into()));
        }
        let events = kinds(&table.events).map_err(refused)?;
        let new = secret("secret", table.secret.take(), table.secret_file.take(), environment).map_err(refused)?;
        let old = secret(
            "old_secret",
            table.old_secret.take(),
            table.old_secret_file.take(),
            environment,
        )
        .map_err(refused)?;
        let Some(new) = new else {
            let message = "it needs `secret` or `secret_file`; without one nobody could tell our calls from others";
            return Err(refused(message.into()));
        };
        all.push(Settings {
            table,
            events,
            secrets: std::iter::once(new).chain(old).collect(),
        });
    }
    Ok(all)
}

impl Settings {
    fn subscription(&self) -> Result<Subscription, ConfigError> {
        let table = self.table.clone();
        let refused = |message: String| wrong(&table.name, message);
        let mut secrets = Vec::with_capacity(self.secrets.len());
        for secret in &self.secrets {
            secrets.push(sign::Secret::new(secret.reveal().map_err(refused)?));
        }
        let subscription = Subscription {
            name: table.name.clone(),
            url: table.url.clone(),
            secrets,
            events: self.events.clone(),
            agents: table.agents.clone(),
            profile: table.profile,
            allow: table.allow.clone(),
            heartbeat: table.heartbeat,
            paused: false,
        };
        subscription.check().map_err(refused)?;
        Ok(subscription)
    }
}

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
    webhooks: Webhooks,
    /// Until it is started.
    service: Mutex<Option<Service>>,
}

impl Told {
    /// Of the configuration. Nothing is started.
    ///
    /// # Errors
    /// The first entry that cannot be used, with the mend.
    pub(super) fn build(
        settings: &[Settings],
        outbox: Option<&Outbox>,
        state: &Path,
        instance: &str,
    ) -> Result<Self, ConfigError> {
        let Some(outbox) = outbox.filter(|_| !settings.is_empty()) else {
            return Ok(Self::default());
        };
        let all: Result<Vec<_>, _> = settings.iter().map(Settings::subscription).collect();
        let file = state.join(FILE);
        let subscriptions = Subscriptions::open(&file, all?).map_err(|error| ConfigError::Wrong {
            origin: "[[webhook]]".into(),
            message: error.to_string(),
        })?;
        let (webhooks, service) = Options::new(outbox.clone(), subscriptions, instance, Arc::new(tls)).build();
        Ok(Self(Some(Arc::new(Inner {
            webhooks,
            service: Mutex::new(Some(service)),
        }))))
    }

    /// What sends; `None` without webhooks, and when it was taken already.
    pub(super) fn service(&self, drain: &CancellationToken) -> Option<impl Future<Output = ()> + Send + 'static> {
        let inner = self.0.as_ref()?;
        let service = inner.service.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(service.run(drain.clone()))
    }

    fn webhooks(&self) -> Option<&Webhooks> {
        self.0.as_ref().map(|inner| &inner.webhooks)
    }

    /// Whether anybody is told.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
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

    /// A turn begins. `epoch` is another one each time.
    pub(crate) async fn started(&self, subject: &Subject, attempt: u32, epoch: u64) {
        let Some(webhooks) = self.webhooks() else { return };
        let id = format!("started_{}_{epoch}", subject.turn);
        let body = Body::Started { attempt };
        logged(subject, publish(webhooks, id, subject, Timestamp::now(), body).await);
    }

    /// A running turn tells something: a live event as JSON. Never waits.
    pub(crate) fn event(&self, subject: &Subject, event: &Bytes) {
        let Some(webhooks) = self.webhooks() else { return };
        let text = String::from_utf8_lossy(event).into_owned();
        match RawValue::from_string(text) {
            Ok(event) => webhooks.live(&subject.channel, &turn_of(subject), event),
            Err(error) => {
                tracing::error!(%error, turn = %subject.turn, "a live event is no JSON, and is not told by webhooks");
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
        let end = end.clone();
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
        webhooks.publish(event).await.map_err(|error| HandOver::Later {
            bridge: "webhook".into(),
            reason: error.to_string(),
        })
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
            state: state_of(figures.subscriptions.get(&one.name)),
            outbox: Some(bridge(&one.name)),
            added: false,
        });
        views.collect()
    }

    /// Sends again to the webhook with these entries, if it had refused.
    ///
    /// # Errors
    /// [`OutboxError`]; then it stays refused.
    pub(crate) async fn resume(&self, name: &str) -> Result<(), OutboxError> {
        let Some(webhooks) = self.webhooks() else { return Ok(()) };
        let all = webhooks.subscriptions().list();
        match all.iter().find(|one| bridge(&one.name) == name) {
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
