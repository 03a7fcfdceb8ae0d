//! `GET /api/bridges`: which bridges there are, and how they do.

use axum::Json;
use axum::extract::State;
use reveille_transports as transports;
use reveille_transports::outbox::Count;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// How a bridge does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bridge)]
pub(super) struct View {
    pub(super) name: String,
    /// What it bridges to.
    kind: &'static str,
    /// The agent that its messages are for.
    agent: String,
    /// `starting`, `up`, `retrying`, `stopped`, `refused`; or `removed`, when nothing is left but what it has not sent.
    pub(super) state: &'static str,
    /// Why it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<jiff::Timestamp>,
    /// Sessions that listen to its channel.
    sessions: usize,
    /// What waits in its outbox; null when it keeps none, or it cannot be counted.
    #[schema(required)]
    pub(super) waiting: Option<u64>,
    /// What was given up.
    #[schema(required)]
    pub(super) undelivered: Option<u64>,
    /// Whether it may be removed while the daemon runs; what the configuration has is changed there.
    removable: bool,
    /// Its name in the outbox.
    #[serde(skip)]
    pub(super) outbox: Option<String>,
}

impl View {
    /// All of them, in the order of their names; then what is left of those that are no more.
    pub(super) async fn all(api: &Api) -> Vec<Self> {
        let counts = api.bridges.counts().await;
        let webhooks = api.bridges.told().views();
        let views = api.bridges.views().into_iter().chain(webhooks);
        let views = views.map(|one| {
            let (state, error, next_try_at) = match one.state {
                transports::State::Starting => ("starting", None, None),
                transports::State::Up => ("up", None, None),
                transports::State::Retrying { error, at } => ("retrying", Some(error), Some(at)),
                transports::State::Stopped => ("stopped", None, None),
                transports::State::Refused { error } => ("refused", Some(error), None),
            };
            let count = counts.as_ref().zip(one.outbox.as_ref());
            let count = count.map(|(all, outbox)| all.iter().find(|count| count.bridge == *outbox));
            Self {
                waiting: count.map(|count| count.map_or(0, |count| count.waiting)),
                undelivered: count.map(|count| count.map_or(0, |count| count.undelivered)),
                sessions: api.bridges.sessions().count(&one.name),
                removable: one.added,
                outbox: one.outbox,
                name: one.name,
                kind: one.kind,
                agent: one.agent,
                state,
                error,
                next_try_at,
            }
        });
        let mut views: Vec<Self> = views.collect();
        let left = counts.unwrap_or_default().into_iter().filter(|count| {
            let is_known = views.iter().any(|one| one.outbox.as_ref() == Some(&count.bridge));
            !is_known && count.waiting + count.undelivered > 0
        });
        let left: Vec<Self> = left.map(Self::left).collect();
        views.extend(left);
        views
    }

    /// What one that is no more has left.
    fn left(count: Count) -> Self {
        Self {
            kind: match count.bridge.starts_with("telegram/") {
                true => "telegram",
                false => "webhook",
            },
            // Another kind of bridge may have its name now.
            name: count.bridge.clone(),
            agent: String::new(),
            state: "removed",
            error: None,
            next_try_at: None,
            sessions: 0,
            waiting: Some(count.waiting),
            undelivered: Some(count.undelivered),
            removable: false,
            outbox: Some(count.bridge),
        }
    }
}

/// The bridges.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeList)]
pub(super) struct Listing {
    bridges: Vec<View>,
}

/// The bridges, and how they do.
#[utoipa::path(
    get, path = "/api/bridges", operation_id = "listBridges", tag = "bridges",
    responses((status = 200, description = "By name.", body = Listing)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<Listing> {
    Json(Listing {
        bridges: View::all(&api).await,
    })
}
