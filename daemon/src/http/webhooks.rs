//! `/api/webhooks`: who is told what happens, made and changed while the daemon runs. Where calls go, an address may let somebody
//! in, and what they tell is what all agents read and write: all of it is for admins, and what makes the daemon call somewhere, or
//! sign otherwise, needs the PIN where one is set.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use reveille_transports::outbox::Count;
use reveille_transports::sign;
use reveille_transports::webhooks::{self as transports, Subscription, SubscriptionError, bridge};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Body, OptionalBody, Segment};
use super::step_up::Sure;
use crate::bridges::webhooks::{Seen, kinds, word};
use crate::state_dir::{random_bytes, secret_bytes};

/// How calls are signed and shaped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WebhookProfile)]
pub(super) enum Profile {
    /// Standard Webhooks 1.0.
    #[default]
    Standard,
    /// The reports of a supervisor. Events of turns alone.
    Supervisor,
}

impl From<Profile> for transports::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Standard => Self::Standard,
            Profile::Supervisor => Self::Supervisor,
        }
    }
}

impl From<transports::Profile> for Profile {
    fn from(profile: transports::Profile) -> Self {
        match profile {
            transports::Profile::Standard => Self::Standard,
            transports::Profile::Supervisor => Self::Supervisor,
        }
    }
}

/// Where else than to public addresses with https.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = WebhookAllow)]
pub(super) struct Allow {
    /// This machine and private networks, also without TLS; not link-local ones.
    private: bool,
    /// These networks, whatever they are, such as `100.64.0.0/10`.
    networks: Vec<String>,
    /// Public addresses without TLS.
    plain: bool,
}

impl Allow {
    fn read(self) -> Result<reveille_transports::net_guard::Allow, ApiError> {
        let mut networks = Vec::with_capacity(self.networks.len());
        for text in &self.networks {
            let network = text.trim().parse();
            networks
                .push(network.map_err(|_| bad(format!("allow.networks: {text:?} is no network; write 10.1.0.0/16")))?);
        }
        Ok(reveille_transports::net_guard::Allow {
            private: self.private,
            networks,
            plain: self.plain,
        })
    }

    fn of(allow: &reveille_transports::net_guard::Allow) -> Self {
        Self {
            private: allow.private,
            networks: allow.networks.iter().map(ToString::to_string).collect(),
            plain: allow.plain,
        }
    }
}

/// A webhook, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct View {
    name: String,
    url: String,
    /// What is told; empty: everything that the profile has.
    events: Vec<&'static str>,
    /// Of which agents; empty: of all.
    agents: Vec<String>,
    profile: Profile,
    allow: Allow,
    /// Seconds between heartbeats of a running turn, 0 for none; null: 15 for `supervisor`, else none.
    #[schema(required)]
    heartbeat: Option<u32>,
    /// It stands in the configuration file, and is changed there alone.
    configured: bool,
    /// How many secrets it has: 2 while one replaces another.
    secrets: usize,
    /// `starting`, `up`, `retrying`, `refused` (nothing is sent until somebody looks) or `paused`.
    state: &'static str,
    /// Why it does not work.
    #[schema(required)]
    error: Option<String>,
    /// When it tries again.
    #[schema(required)]
    next_try_at: Option<Timestamp>,
    /// When a call last succeeded, since the start of the daemon.
    #[schema(required)]
    success_at: Option<Timestamp>,
    /// Calls that succeeded since the start.
    sent: u64,
    /// Calls that failed since the start.
    failed: u64,
    /// What was given up for room since the start: batches of live events, and what waited too long for one that is paused.
    dropped: u64,
    /// What it has to tell; null when it cannot be counted.
    #[schema(required)]
    waiting: Option<u64>,
    /// What was given up and is kept: `GET /api/bridges/webhook%2FNAME/undelivered`.
    #[schema(required)]
    undelivered: Option<u64>,
}

impl View {
    fn of(seen: Seen, counts: Option<&[Count]>) -> Self {
        let Seen {
            subscription: one,
            configured,
            status,
        } = seen;
        let bridge = bridge(&one.name);
        let count = counts.map(|all| all.iter().find(|count| count.bridge == bridge));
        let state = match () {
            () if one.paused => "paused",
            () if status.refused.is_some() => "refused",
            () if status.failures > 0 => "retrying",
            () if status.success_at.is_some() => "up",
            () => "starting",
        };
        Self {
            waiting: count.map(|count| count.map_or(0, |count| count.waiting)),
            undelivered: count.map(|count| count.map_or(0, |count| count.undelivered)),
            events: one.events.iter().map(|kind| word(*kind)).collect(),
            profile: one.profile.into(),
            allow: Allow::of(&one.allow),
            secrets: one.secrets.len(),
            name: one.name,
            url: one.url,
            agents: one.agents,
            heartbeat: one.heartbeat,
            configured,
            state,
            error: status.refused.or(status.error),
            next_try_at: status.next_at,
            success_at: status.success_at,
            sent: status.sent,
            failed: status.failed,
            dropped: status.dropped,
        }
    }

    async fn one(api: &Api, name: &str) -> Result<Self, ApiError> {
        let seen = api.bridges.told().one(name).map_err(|error| failed(&error))?;
        Ok(Self::of(seen, counts(api).await.as_deref()))
    }
}

/// `None`: they cannot be counted.
async fn counts(api: &Api) -> Option<Vec<Count>> {
    match api.bridges.outbox() {
        Some(_) => api.bridges.counts().await,
        None => Some(Vec::new()),
    }
}

fn bad(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_webhook", message).then("Nothing was changed.")
}

fn failed(error: &SubscriptionError) -> ApiError {
    let of = |status, code| ApiError::new(status, code, error.to_string());
    match error {
        SubscriptionError::Unknown(_) => of(StatusCode::NOT_FOUND, "unknown_webhook")
            .then("Nothing was done. `GET /api/webhooks` lists those that there are."),
        SubscriptionError::Exists(_) => of(StatusCode::CONFLICT, "webhook_exists")
            .then("Nothing was made. Choose another name, or change the one that is there."),
        SubscriptionError::Configured(_) => of(StatusCode::CONFLICT, "configured_webhook")
            .then("Nothing was changed. Edit its `[[webhook]]` there, then start the daemon again."),
        SubscriptionError::Invalid(_) => bad(error.to_string()),
        SubscriptionError::Unavailable(_) => of(StatusCode::SERVICE_UNAVAILABLE, "webhooks_unavailable")
            .then("What was there is kept. See `reveille doctor`, then try again."),
    }
}

/// Webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookList)]
pub(super) struct Listing {
    webhooks: Vec<View>,
}

/// Who is told what happens, and how each does.
#[utoipa::path(
    get, path = "/api/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, description = "Those of the configuration first.", body = Listing)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<Listing> {
    let counts = counts(&api).await;
    let all = api.bridges.told().all();
    Json(Listing {
        webhooks: all.into_iter().map(|one| View::of(one, counts.as_deref())).collect(),
    })
}

/// One webhook.
#[utoipa::path(
    get, path = "/api/webhooks/{name}", operation_id = "getWebhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "The webhook, without its secrets.", body = View),
        (status = 404, description = "There is none: `unknown_webhook`."),
    ),
)]
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<View>, ApiError> {
    View::one(&api, &name).await.map(Json)
}

/// A webhook that is to be.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewWebhook, example = json!({ "name": "ci", "url": "https://ci.example.com/reveille", "events": ["turn.settled"] }))]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// `a-z`, `0-9`, `-`, `_`; at most 63.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: String,
    url: String,
    /// What is told; everything unless said.
    #[serde(default)]
    events: Vec<String>,
    /// Of which agents; all unless said.
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    allow: Allow,
    /// Seconds between heartbeats of a running turn, 0 to 300.
    heartbeat: Option<u32>,
    /// Made, and shown once, unless given. Standard Webhooks: `whsec_` and base64.
    secret: Option<String>,
    /// What it is told waits until it is resumed.
    #[serde(default)]
    paused: bool,
}

/// The secret that is given, or a new one; and the latter, to be shown.
fn secret_of(given: Option<&str>, profile: Profile) -> Result<(sign::Secret, Option<String>), ApiError> {
    match given.map(str::trim) {
        Some("") => Err(bad("secret: it is blank; leave it out, and one is made".into())),
        Some(given) => Ok((sign::Secret::new(given), None)),
        None => {
            let made = match profile {
                Profile::Standard => sign::Secret::fresh(random_bytes()),
                Profile::Supervisor => sign::Secret::new(secret_bytes()),
            };
            let shown = made.expose().to_owned();
            Ok((made, Some(shown)))
        }
    }
}

fn events_of(words: &[String]) -> Result<Vec<transports::Kind>, ApiError> {
    kinds(words).map_err(bad)
}

/// A webhook that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookMade)]
pub(super) struct Made {
    #[serde(flatten)]
    view: View,
    /// The secret that was made for it. This is the only time that it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Makes a webhook, which is told of everything from now on.
#[utoipa::path(
    post, path = "/api/webhooks", operation_id = "createWebhook", tag = "webhooks", request_body = New,
    responses(
        (status = 201, description = "It is made.", body = Made),
        (status = 400, description = "It makes no sense, or its address may not be called: `invalid_webhook`."),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 409, description = "There is one of that name: `webhook_exists`."),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    _: Sure,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let (secret, shown) = secret_of(new.secret.as_deref(), new.profile)?;
    let name = new.name.clone();
    let subscription = Subscription {
        name: new.name,
        url: new.url,
        secrets: vec![secret],
        events: events_of(&new.events)?,
        agents: new.agents,
        profile: new.profile.into(),
        allow: new.allow.read()?,
        heartbeat: new.heartbeat,
        paused: new.paused,
    };
    let made = api.bridges.told().create(subscription).await;
    made.map_err(|error| failed(&error))?;
    tracing::info!(webhook = name, "a webhook was made");
    let view = View::one(&api, &name).await?;
    Ok((StatusCode::CREATED, Json(Made { view, secret: shown })))
}

/// What is to be another of a webhook; the rest stays. Its profile stays: what waits has that shape.
#[derive(Deserialize, ToSchema)]
#[schema(as = WebhookChange, example = json!({ "events": ["turn.settled"] }))]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    url: Option<String>,
    events: Option<Vec<String>>,
    agents: Option<Vec<String>>,
    allow: Option<Allow>,
    /// Null: as the profile has it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    heartbeat: Option<Option<u32>>,
}

/// Null is something else than nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes a webhook. What waits for it is told as it is then. A receiver that had refused is tried again at another address.
#[utoipa::path(
    patch, path = "/api/webhooks/{name}", operation_id = "editWebhook", tag = "webhooks", request_body = Change,
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "The webhook as it is now.", body = View),
        (status = 400, description = "It makes no sense, or its address may not be called: `invalid_webhook`."),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 404, description = "There is none: `unknown_webhook`."),
        (status = 409, description = "It stands in the configuration: `configured_webhook`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(name): Segment,
    _: Sure,
    Body(asked): Body<Change>,
) -> Result<Json<View>, ApiError> {
    let events = asked.events.as_deref().map(events_of).transpose()?;
    let allow = asked.allow.map(Allow::read).transpose()?;
    let change = move |one: &mut Subscription| {
        one.url = asked.url.unwrap_or_else(|| one.url.clone());
        one.events = events.unwrap_or_else(|| one.events.clone());
        one.agents = asked.agents.unwrap_or_else(|| one.agents.clone());
        one.allow = allow.unwrap_or_else(|| one.allow.clone());
        one.heartbeat = asked.heartbeat.unwrap_or(one.heartbeat);
    };
    let changed = api.bridges.told().change(&name, change).await;
    changed.map_err(|error| failed(&error))?;
    tracing::info!(webhook = name, "a webhook was changed");
    View::one(&api, &name).await.map(Json)
}

/// A webhook that is no more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookRemoved)]
pub(super) struct Removed {
    removed: bool,
    name: String,
    /// Events that it had not been told of; null: they could not be removed yet, and are at the next start.
    #[schema(required)]
    dropped: Option<u64>,
}

/// Removes a webhook, with what it has to tell.
#[utoipa::path(
    delete, path = "/api/webhooks/{name}", operation_id = "removeWebhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "Nothing more is told.", body = Removed),
        (status = 404, description = "There is none: `unknown_webhook`."),
        (status = 409, description = "It stands in the configuration: `configured_webhook`."),
    ),
)]
pub(super) async fn remove(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Removed>, ApiError> {
    let removed = api.bridges.told().remove(&name).await;
    let dropped = removed.map_err(|error| failed(&error))?.dropped;
    tracing::info!(webhook = name, dropped, "a webhook was removed");
    Ok(Json(Removed {
        removed: true,
        name,
        dropped,
    }))
}

/// Lets what a webhook has to tell wait: 30 days, at most 100 000 events.
#[utoipa::path(
    post, path = "/api/webhooks/{name}/pause", operation_id = "pauseWebhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "Nothing is sent.", body = View),
        (status = 404, description = "There is none: `unknown_webhook`."),
        (status = 409, description = "It stands in the configuration: `configured_webhook`."),
    ),
)]
pub(super) async fn pause(State(api): State<Api>, Segment(name): Segment) -> Result<Json<View>, ApiError> {
    let paused = api.bridges.told().pause(&name).await;
    paused.map_err(|error| failed(&error))?;
    View::one(&api, &name).await.map(Json)
}

/// Sends again, after a pause or to a receiver that had refused.
#[utoipa::path(
    post, path = "/api/webhooks/{name}/resume", operation_id = "resumeWebhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "What waits goes out.", body = View),
        (status = 404, description = "There is none: `unknown_webhook`."),
    ),
)]
pub(super) async fn resume(State(api): State<Api>, Segment(name): Segment) -> Result<Json<View>, ApiError> {
    let resumed = api.bridges.told().resume(&name).await;
    resumed.map_err(|error| failed(&error))?;
    View::one(&api, &name).await.map(Json)
}

/// What a receiver made of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTested)]
pub(super) struct Tested {
    /// Its `webhook-id`.
    id: String,
    /// The receiver has taken it.
    delivered: bool,
    /// The status that it answered; null: it did not.
    #[schema(required)]
    status: Option<u16>,
    /// What it said, or why it could not be asked.
    said: String,
    took_ms: u64,
}

/// Calls the receiver now, past everything that waits, and answers what it said. Nothing else depends on it: one that is paused or
/// has refused stays so.
#[utoipa::path(
    post, path = "/api/webhooks/{name}/test", operation_id = "testWebhook", tag = "webhooks",
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "What the receiver said, also when it refused.", body = Tested),
        (status = 404, description = "There is none: `unknown_webhook`."),
    ),
)]
pub(super) async fn test(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Tested>, ApiError> {
    let tested = api.bridges.told().test(&name).await.map_err(|error| failed(&error))?;
    Ok(Json(Tested {
        id: tested.id,
        delivered: tested.delivered,
        status: tested.status,
        said: tested.said,
        took_ms: u64::try_from(tested.took.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Another secret.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = WebhookRotation)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rotation {
    /// Made, and shown once, unless given.
    secret: Option<String>,
    /// Makes none: the one before the present one signs no longer.
    end_old: bool,
}

/// Puts another secret in place of the present one. With Standard Webhooks the old one signs along until it is ended.
#[utoipa::path(
    post, path = "/api/webhooks/{name}/rotate", operation_id = "rotateWebhook", tag = "webhooks",
    request_body(content = Option<Rotation>),
    params(("name" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "It signs from the next call on.", body = Made),
        (status = 400, description = "The secret will not do: `invalid_webhook`."),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 404, description = "There is none: `unknown_webhook`."),
        (status = 409, description = "It stands in the configuration: `configured_webhook`."),
    ),
)]
pub(super) async fn rotate(
    State(api): State<Api>,
    Segment(name): Segment,
    _: Sure,
    OptionalBody(asked): OptionalBody<Rotation>,
) -> Result<Json<Made>, ApiError> {
    let told = api.bridges.told();
    if asked.end_old {
        if asked.secret.is_some() {
            return Err(bad("end_old: it goes with no `secret`; ask twice".into()));
        }
        let ended = told.change(&name, |one| one.secrets.truncate(1)).await;
        ended.map_err(|error| failed(&error))?;
        tracing::info!(webhook = name, "the old secret of a webhook has ended");
        let view = View::one(&api, &name).await?;
        return Ok(Json(Made { view, secret: None }));
    }
    let seen = told.one(&name).map_err(|error| failed(&error))?;
    let (secret, shown) = secret_of(asked.secret.as_deref(), seen.subscription.profile.into())?;
    let rotated = told.change(&name, |one| {
        one.secrets.insert(0, secret);
        one.secrets.truncate(2);
    });
    rotated.await.map_err(|error| failed(&error))?;
    tracing::info!(webhook = name, "a webhook has another secret");
    let view = View::one(&api, &name).await?;
    Ok(Json(Made { view, secret: shown }))
}
