//! The HTTP surface: routes, who may use them, and the page.

mod agent_control;
mod agent_defs;
mod agent_env;
mod agent_policy;
mod agent_sandbox;
mod agent_settings;
mod agent_trust;
mod agent_validate;
mod agent_vaults;
mod agent_view;
mod agents;
mod attached;
mod audit;
mod auth;
mod backups;
mod base;
mod bridge_calls;
mod bridge_list;
mod bridge_outbox;
mod bridge_streams;
mod caller;
mod channel_admin;
mod channel_list;
mod channels;
mod client;
mod compress;
mod connections;
mod cors;
mod credentials;
mod crowd;
mod definition_hints;
mod discovery;
mod doctor;
mod error;
mod events;
mod found_words;
pub(crate) mod fuzzing;
mod grants;
mod head;
mod health;
mod health_credential;
mod health_lines;
mod health_watch;
mod hooks;
mod jobs;
mod leave;
mod line;
pub(crate) mod mcp;
mod message_more;
mod metrics;
mod module;
mod openapi;
mod own_tokens;
mod page;
mod pauses;
mod ready;
mod refusal;
mod request_id;
mod resend;
mod secure;
mod serve;
pub(crate) mod session;
mod slow;
mod socket;
mod sse;
mod standing;
mod statistics;
mod step_up;
mod steps;
mod streams;
mod thread_search;
mod threads;
mod tickets;
mod transcript;
mod turn_links;
mod turns;
mod ui_send;
mod undelivered;
mod vault_api;
mod vault_hints;
mod vaults;
mod webhooks;
mod wire;
mod wrong;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, patch, post};
use axum::{Extension, Router};
use http::StatusCode;
use reveille_queue::{ChannelName, Queue};
use reveille_sandbox::Summary;
use tokio_util::sync::CancellationToken;

pub(crate) use auth::Auth;
pub(crate) use base::Front;
pub(crate) use caller::Caller;
pub(crate) use cors::Origins;
pub(crate) use error::ApiError;
pub(crate) use health_watch::watch as watch_health;
pub(crate) use serve::{Bounds, serve};
pub(crate) use vault_hints::Webhooks;

use crate::attached::Desk;
use crate::bridges::Bridges;
use crate::bridges::hooks::Hooks;
use crate::claude::Claude;
use crate::config::FileLimits;
use crate::credentials::Credentials;
use crate::doctor::Doctor;
use crate::grants::Grants;
use crate::hub::Place;
use crate::inbox::Inbox;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::registry::Registry;
use crate::sandboxing::Sandboxing;
use crate::step_up::StepUp;
use crate::steps::Steps;
use crate::tokens::Tokens;
use crate::vaults::{Roster, Vaults};
use crate::worker::Workers;

/// What the handlers need.
pub(crate) struct Parts {
    pub(crate) auth: Auth,
    pub(crate) front: Front,
    pub(crate) place: Place,
    pub(crate) origins: Origins,
    pub(crate) step_up: StepUp,
    pub(crate) tokens: Tokens,
    pub(crate) grants: Grants,
    pub(crate) vaults: Vaults,
    pub(crate) roster: Roster,
    pub(crate) webhooks: Webhooks,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) registry: Registry,
    pub(crate) inbox: Inbox,
    pub(crate) workers: Workers,
    pub(crate) outbox: Outbox,
    pub(crate) hub: Hub,
    pub(crate) bridges: Bridges,
    pub(crate) hooks: Hooks,
    pub(crate) steps: Steps,
    pub(crate) attached: Desk,
    pub(crate) mcp: mcp::Sessions,
    pub(crate) claude: Arc<Claude>,
    pub(crate) credentials: Credentials,
    pub(crate) sandbox: Arc<Summary>,
    pub(crate) sandboxing: Sandboxing,
    pub(crate) doctor: Doctor,
    pub(crate) metrics: Metrics,
    pub(crate) url: Arc<str>,
    pub(crate) max_body: usize,
    pub(crate) arrival: Duration,
    pub(crate) file_limits: FileLimits,
    pub(crate) drain: CancellationToken,
}

/// The same, shared: every route keeps one, and every request takes one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Parts>);

impl From<Parts> for Api {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Api {
    /// That nobody knows an agent; while a vault has not been read yet it may be there.
    fn no_agent(&self, name: &str) -> ApiError {
        ApiError::no_agent(name, &self.inbox.progress)
    }

    /// Whether there is such an agent, or was one or a message for one. To be asked before what there is of it is read: a first
    /// message that comes in between would make a known agent of which there is nothing.
    async fn knows(&self, channel: &ChannelName) -> Result<bool, ApiError> {
        Ok(self.registry.get(channel.as_str()).is_some() || self.queue.is_known(channel).await?)
    }
}

async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take that method.",
    )
}

fn attached_routes() -> Router<Api> {
    Router::new()
        .route("/api/channels/{channel}/pending", get(attached::pending))
        .route("/api/channels/{channel}/next", post(attached::next))
        .route("/api/channels/{channel}/reply", post(attached::reply))
        .route("/api/channels/{channel}/release", post(attached::release))
        .route("/api/channels/{channel}/renew", post(attached::renew))
}

/// What sessions of Claude Code and pages use that stand behind a bridge.
fn bridge_routes() -> Router<Api> {
    Router::new()
        .route("/api/reply", post(bridge_calls::reply))
        .route("/api/react", post(bridge_calls::react))
        .route("/api/edit", post(bridge_calls::edit))
        .route("/api/permission", post(bridge_calls::permission))
        .route("/api/download", post(bridge_calls::download))
        .route("/api/bridges", get(bridge_list::list))
        .route("/api/bridges/{bridge}/undelivered", get(bridge_outbox::list))
        .route("/api/bridges/{bridge}/redrive", post(bridge_outbox::redrive))
        .route("/events", get(bridge_streams::events))
        .route("/ui/events", get(bridge_streams::page))
}

/// Who is told what happens.
fn webhook_routes() -> Router<Api> {
    Router::new()
        .route("/api/webhooks", get(webhooks::list).post(webhooks::create))
        .route(
            "/api/webhooks/{name}",
            get(webhooks::show).patch(webhooks::edit).delete(webhooks::remove),
        )
        .route("/api/webhooks/{name}/pause", post(webhooks::pause))
        .route("/api/webhooks/{name}/resume", post(webhooks::resume))
        .route("/api/webhooks/{name}/test", post(webhooks::test))
        .route("/api/webhooks/{name}/rotate", post(webhooks::rotate))
}

fn turn_routes() -> Router<Api> {
    Router::new()
        .route("/api/turns", get(turns::list))
        .route("/api/turns/{turn}", get(turns::show).patch(line::edit))
        .route("/api/turns/{turn}/steps", get(steps::list))
        .route("/api/turns/{turn}/steps/{step}", get(steps::show))
        .route("/api/turns/{turn}/stop", post(turns::stop))
        .route("/api/turns/{turn}/cancel", post(line::cancel))
        .route("/api/turns/{turn}/hold", post(line::hold))
        .route("/api/turns/{turn}/release", post(line::release))
        .route("/api/turns/{turn}/move", post(line::reposition))
        .route("/api/turns/{turn}/resend", post(resend::resend))
}

fn job_routes() -> Router<Api> {
    Router::new()
        .route("/api/jobs", get(jobs::list).post(jobs::put))
        .route("/api/jobs/{id}", get(jobs::show).patch(jobs::edit).delete(jobs::remove))
        // A job may be called so.
        .route(
            "/api/jobs/validate",
            get(jobs::show)
                .post(jobs::check::validate)
                .patch(jobs::edit)
                .delete(jobs::remove),
        )
        .route("/api/jobs/{id}/run", post(jobs::run))
        .route("/api/jobs/{id}/pause", post(jobs::pause))
        .route("/api/jobs/{id}/resume", post(jobs::resume))
        .route("/api/jobs/{id}/runs", get(jobs::runs))
}

/// Tokens, the PIN, and tickets for streams.
fn key_routes() -> Router<Api> {
    Router::new()
        .route("/api/tokens", get(own_tokens::list).post(own_tokens::make))
        .route("/api/tokens/{id}", delete(own_tokens::revoke))
        .route(
            "/api/step-up",
            get(step_up::show).post(step_up::exchange).delete(step_up::lock),
        )
        .route("/api/step-up/pin", post(step_up::set).delete(step_up::clear))
        .route("/api/ui/sse-ticket", post(tickets::make))
}

/// What signs agents in, and the secrets of their turns.
fn credential_routes() -> Router<Api> {
    Router::new()
        .route(
            "/api/credentials/claude",
            get(credentials::claude)
                .post(credentials::set_claude)
                .delete(credentials::remove_claude),
        )
        .route(
            "/api/credentials/claude/{channel}",
            post(credentials::set_claude_of).delete(credentials::remove_claude_of),
        )
        .route(
            "/api/credentials/env",
            get(credentials::env)
                .post(credentials::set_env)
                .delete(credentials::remove_env),
        )
        .route("/api/agents/{name}/env", get(agent_env::show))
}

/// Routes for those who are let in.
fn guarded_routes() -> Router<Api> {
    Router::new()
        .route("/api/sign-in-links", post(session::make_link))
        .route("/api/agents", get(agents::list).post(agents::create))
        .route(
            "/api/agents/{name}",
            get(agents::show).patch(agent_control::edit).delete(agents::remove),
        )
        // An agent may be called so.
        .route(
            "/api/agents/validate",
            get(agents::show)
                .post(agent_validate::validate)
                .patch(agent_control::edit)
                .delete(agents::remove),
        )
        .route("/api/agents/{name}/sandbox", get(agent_sandbox::show))
        .route("/api/agents/{name}/sandbox/policy", get(agent_policy::show))
        .route("/api/agents/{name}/pause", post(agent_control::pause))
        .route("/api/agents/{name}/resume", post(agent_control::resume))
        .route("/api/agents/{name}/trust", post(agent_trust::trust))
        .route("/api/agents/{name}/reset", post(agent_control::reset))
        .route("/api/channels", get(channel_list::list).post(channel_admin::add))
        .route("/api/channels/{channel}", delete(channel_admin::remove))
        .route("/api/threads", get(threads::list))
        .route("/api/threads/{thread}", patch(threads::edit))
        .route("/api/channels/{channel}/send", post(channels::send))
        .route("/api/channels/{channel}/messages", get(transcript::messages))
        .route("/api/channels/{channel}/threads", get(channels::threads))
        .route("/api/channels/{channel}/turn-events", get(events::turn_events))
        .route("/api/events", get(events::all))
        .route("/api/channels/{channel}/queue", get(line::list))
        .route("/api/agent-defs", get(agent_defs::list).post(agent_defs::create))
        .route(
            "/api/agent-defs/{*id}",
            get(agent_defs::show).patch(agent_defs::edit).delete(agent_defs::remove),
        )
        .merge(turn_routes())
        .merge(attached_routes())
        .merge(bridge_routes())
        .merge(webhook_routes())
        .merge(job_routes())
        .merge(key_routes())
        .merge(credential_routes())
        .route("/api/connections", get(connections::list))
        .route("/api/connections/approve", post(connections::approve))
        .route("/api/connections/revoke", post(connections::revoke))
        .route("/api/undelivered", get(undelivered::list))
        .route("/api/undelivered/retry", post(undelivered::retry))
        .route("/api/agent-vaults", get(agent_vaults::list).post(agent_vaults::add))
        .route("/api/agent-vaults/{name}", delete(agent_vaults::remove))
        .route("/api/session", get(session::show).delete(session::sign_out))
        .route("/api/vaults/{name}/backup", post(backups::make))
        .route("/api/doctor", get(doctor::show))
        .route("/metrics", get(metrics::show))
        .route("/api/statistics", get(statistics::show))
        .route("/.parachute/config", get(module::config))
        .route("/vaults", get(vaults::show))
        .route("/vaults/list", get(vaults::list))
        .route("/vault/{name}/mcp", any(vault_api::mcp::answer))
        .route("/mcp", any(mcp::daemon))
        .route("/mcp/{channel}", any(mcp::channel))
}

/// Names that the page has in other daemons of this kind.
fn page_names() -> Router<Api> {
    let names = ["/home", "/agents", "/jobs", "/admin", "/ui", "/app"];
    let all = names
        .into_iter()
        .fold(Router::new(), |router, name| router.route(name, get(page::here)));
    all.route("/app/", get(page::above))
}

/// Routes for everybody.
fn open_routes() -> Router<Api> {
    Router::new()
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/docs", get(openapi::reference))
        .route("/api/session", post(session::sign_in))
        .route("/auth/status", get(vaults::status))
        // They have secrets of their own.
        .route("/hooks/{name}", post(hooks::receive))
        .route("/api/vault/inbound", post(vault_hints::take))
        .route("/api/vault/agent-def", post(definition_hints::definition))
        .route("/api/vault/agent-thread", post(definition_hints::thread))
        .route("/api/vault/role", post(definition_hints::role_note))
        .route("/.parachute/info", get(module::info))
        .route("/.parachute/icon.svg", get(module::icon))
        .route("/.parachute/config/schema", get(module::schema))
        .route("/health", get(health::health))
        .route("/ready", get(ready::ready))
        .route("/", get(page::index))
        .merge(page_names())
        .route("/favicon.svg", get(page::asset))
        .route("/assets/{*file}", get(page::asset))
}

/// All routes. They stand in the functions above, where the test of the document looks for them.
pub(crate) fn router(api: Api) -> Router {
    let guarded = guarded_routes()
        .with_state(api.clone())
        .method_not_allowed_fallback(wrong_method)
        .merge(vault_api::router(
            api.vaults.reachable().clone(),
            &api.tokens,
            api.file_limits.clone(),
        ))
        .layer(Extension(api.step_up.clone()))
        .route_layer(from_fn_with_state(api.max_body, client::check_length))
        .route_layer(from_fn(client::check_address))
        .route_layer(from_fn_with_state(streams::Streams::default(), streams::bound))
        .route_layer(from_fn(audit::note))
        .route_layer(from_fn(client::finish))
        .route_layer(from_fn_with_state(api.auth.clone(), auth::check_caller))
        .route_layer(from_fn_with_state(api.clone(), discovery::lead));
    let max_body = api.max_body;
    let arrival = api.arrival;
    let auth = api.auth.clone();
    let origins = api.origins.clone();
    let front = api.front.clone();
    let metrics = api.metrics.clone();
    let open = open_routes()
        .merge(discovery::router(front.mount()))
        .route_layer(from_fn(audit::note))
        .with_state(api);
    let routes = Router::new()
        .merge(guarded)
        .merge(open)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn(client::catch))
        .layer(from_fn(head::check))
        .layer(from_fn_with_state(origins, cors::share))
        .layer(from_fn_with_state(auth, auth::check_host))
        .layer(from_fn(secure::headers))
        .layer(from_fn_with_state(arrival, client::arrive))
        .layer(compress::layer())
        .layer(from_fn_with_state(metrics, request_id::name));
    front.serve(routes)
}
