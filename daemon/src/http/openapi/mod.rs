//! The description of the HTTP interface, made from the types and annotations of the handlers, and a page that shows it.
//!
//! A new route needs four things, or a test fails: `#[utoipa::path]` on its handler with an `operation_id` and its own
//! answers, its line in one of the lists here, and types with `ToSchema` for what goes in and out. What all routes
//! answer (who asks is not known, the address cannot be read, ...) is added by [`complete`].

mod complete;
mod reference;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderName, header};
use serde_json::Value;
use utoipa::OpenApi;

use super::{
    Api, agent_control, agent_defs, agent_env, agent_policy, agent_sandbox, agent_trust, agent_validate, agent_vaults,
    agents, attached, backups, bridge_calls, bridge_list, bridge_outbox, bridge_streams, channel_admin, channel_list,
    channels, connections, credentials, definition_hints, doctor, events, health, hooks, jobs, line, metrics, module,
    own_tokens, ready, resend, session, statistics, step_up, steps, threads, tickets, transcript, turns, undelivered,
    vault_api, vault_hints, vaults, webhooks,
};

/// The routes of the daemon itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Reveille",
        description = "Write a note; an agent wakes, does the work with Claude Code, and answers with a note.",
    ),
    components(schemas(super::error::Refused)),
    paths(
        agent_control::edit,
        agent_control::pause,
        agent_control::reset,
        agent_control::resume,
        agent_trust::trust,
        agent_validate::validate,
        agent_defs::create,
        agent_defs::edit,
        agent_defs::list,
        agent_defs::remove,
        agent_defs::show,
        agent_env::show,
        agent_policy::show,
        agent_vaults::add,
        agent_vaults::list,
        agent_vaults::remove,
        agents::create,
        agents::list,
        agents::remove,
        agent_sandbox::show,
        agents::show,
        attached::next,
        attached::pending,
        attached::release,
        attached::renew,
        attached::reply,
        backups::make,
        bridge_calls::download,
        bridge_calls::edit,
        bridge_calls::permission,
        bridge_calls::react,
        bridge_calls::reply,
        bridge_list::list,
        bridge_outbox::list,
        bridge_outbox::redrive,
        bridge_streams::events,
        bridge_streams::page,
        channel_admin::add,
        channel_admin::remove,
        channel_list::list,
        channels::send,
        channels::threads,
        connections::approve,
        connections::list,
        connections::revoke,
        credentials::claude,
        credentials::env,
        credentials::remove_claude,
        credentials::remove_claude_of,
        credentials::remove_env,
        credentials::set_claude,
        credentials::set_claude_of,
        credentials::set_env,
        definition_hints::definition,
        definition_hints::role_note,
        definition_hints::thread,
        doctor::show,
        document,
        events::all,
        events::turn_events,
        health::health,
        hooks::receive,
        jobs::check::validate,
        jobs::edit,
        jobs::list,
        jobs::pause,
        jobs::put,
        jobs::remove,
        jobs::resume,
        jobs::run,
        jobs::runs,
        jobs::show,
        line::cancel,
        line::edit,
        line::hold,
        line::list,
        line::release,
        line::reposition,
        metrics::show,
        module::config,
        module::icon,
        module::info,
        module::schema,
        own_tokens::list,
        own_tokens::make,
        own_tokens::revoke,
        ready::ready,
        reference,
        resend::resend,
        session::make_link,
        session::show,
        session::sign_in,
        session::sign_out,
        statistics::show,
        step_up::clear,
        step_up::exchange,
        step_up::lock,
        step_up::set,
        step_up::show,
        steps::list,
        steps::show,
        threads::edit,
        threads::list,
        tickets::make,
        transcript::messages,
        turns::list,
        turns::show,
        turns::stop,
        undelivered::list,
        undelivered::retry,
        vault_hints::take,
        vaults::list,
        vaults::show,
        vaults::status,
        webhooks::create,
        webhooks::edit,
        webhooks::list,
        webhooks::pause,
        webhooks::remove,
        webhooks::resume,
        webhooks::rotate,
        webhooks::show,
        webhooks::test,
    )
)]
struct Own;

/// The document and its page, made once: strangers may ask for them as often as they like.
static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
static PAGE: OnceLock<Bytes> = OnceLock::new();

/// The whole document. `cookie`: the name of the one that a browser has.
fn whole(cookie: &str) -> serde_json::Result<Value> {
    let mut all = Own::openapi();
    all.merge(vault_api::NotesApi::openapi());
    complete::complete(all, cookie)
}

/// The description of this interface, as OpenAPI 3.1.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "getOpenApi", tag = "about", security(()),
    responses((status = 200, description = "The document.", body = Value)),
)]
pub(super) async fn document(State(api): State<Api>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    if let Some(made) = DOCUMENT.get() {
        return (json, made.clone()).into_response();
    }
    match whole(api.auth.cookie_name()).and_then(|document| serde_json::to_vec(&document)) {
        Ok(document) => (json, DOCUMENT.get_or_init(|| document.into()).clone()).into_response(),
        Err(error) => unmade(&error),
    }
}

/// The same for people.
#[utoipa::path(
    get, path = "/api/docs", operation_id = "getReference", tag = "about", security(()),
    responses((status = 200, description = "A page.", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn reference(State(api): State<Api>) -> Response {
    let page = match PAGE.get() {
        Some(made) => made.clone(),
        None => match whole(api.auth.cookie_name()) {
            Ok(document) => PAGE.get_or_init(|| reference::page(&document).into()).clone(),
            Err(error) => return unmade(&error),
        },
    };
    let headers: [(HeaderName, String); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, reference::security()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, page).into_response()
}

fn unmade(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "the description of the interface cannot be made");
    super::error::ApiError::internal().into_response()
}
