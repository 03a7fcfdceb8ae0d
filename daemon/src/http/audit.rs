//! Who has changed what it takes a person to change: lines of the log with the target `audit`. They hold who, from where, and
//! what became of it, and never a secret: no header, no query, no body.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{Extensions, Method, StatusCode};

use super::Caller;

/// Longest address that a line shows, in characters.
const PATH_CHARS: usize = 200;

/// What is written down, by the addresses of the router.
const ACTIONS: [(Method, &str, &str); 41] = [
    (Method::POST, "/api/session", "sign_in"),
    (Method::DELETE, "/api/session", "sign_out"),
    (Method::POST, "/api/sign-in-links", "sign_in_link.made"),
    (Method::POST, "/api/tokens", "token.made"),
    (Method::DELETE, "/api/tokens/{id}", "token.revoked"),
    (Method::POST, "/vault/{name}/tokens", "token.made"),
    (Method::DELETE, "/vault/{name}/tokens/{*key}", "token.revoked"),
    (Method::POST, "/api/step-up", "pin.shown"),
    (Method::DELETE, "/api/step-up", "pin.locked"),
    (Method::POST, "/api/step-up/pin", "pin.set"),
    (Method::DELETE, "/api/step-up/pin", "pin.cleared"),
    (Method::POST, "/api/connections/approve", "connection.approved"),
    (Method::POST, "/api/connections/revoke", "connection.revoked"),
    (Method::POST, "/api/credentials/claude", "credential.set"),
    (Method::DELETE, "/api/credentials/claude", "credential.removed"),
    (Method::POST, "/api/credentials/claude/{channel}", "credential.set"),
    (
        Method::DELETE,
        "/api/credentials/claude/{channel}",
        "credential.removed",
    ),
    (Method::POST, "/api/credentials/env", "secret.set"),
    (Method::DELETE, "/api/credentials/env", "secret.removed"),
    (Method::POST, "/api/webhooks", "webhook.made"),
    (Method::PATCH, "/api/webhooks/{name}", "webhook.changed"),
    (Method::DELETE, "/api/webhooks/{name}", "webhook.removed"),
    (Method::POST, "/api/webhooks/{name}/pause", "webhook.paused"),
    (Method::POST, "/api/webhooks/{name}/resume", "webhook.resumed"),
    (Method::POST, "/api/webhooks/{name}/rotate", "webhook.rotated"),
    (Method::POST, "/api/agents", "agent.defined"),
    (Method::PATCH, "/api/agents/{name}", "agent.changed"),
    (Method::DELETE, "/api/agents/{name}", "agent.removed"),
    (Method::POST, "/api/agents/{name}/pause", "agent.paused"),
    (Method::POST, "/api/agents/{name}/resume", "agent.resumed"),
    (Method::POST, "/api/agents/{name}/reset", "agent.reset"),
    (Method::POST, "/api/agents/{name}/trust", "agent.trusted"),
    (Method::POST, "/api/turns/{turn}/stop", "turn.stopped"),
    (Method::POST, "/api/agent-defs", "agent.defined"),
    (Method::PATCH, "/api/agent-defs/{*id}", "agent.changed"),
    (Method::DELETE, "/api/agent-defs/{*id}", "agent.removed"),
    (Method::POST, "/api/agent-vaults", "vault.added"),
    (Method::DELETE, "/api/agent-vaults/{name}", "vault.removed"),
    (Method::POST, "/api/channels", "bridge.added"),
    (Method::DELETE, "/api/channels/{channel}", "bridge.removed"),
    (Method::POST, "/api/vaults/{name}/backup", "vault.backed_up"),
];

/// Where a request came from. Without that knowledge all of them count together.
pub(super) fn peer(request: &Request) -> IpAddr {
    peer_of(request.extensions())
}

fn peer_of(extensions: &Extensions) -> IpAddr {
    let connection = extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}

/// What a request to do that is called.
fn action_of(method: &Method, route: &str) -> Option<&'static str> {
    let mut known = ACTIONS.iter();
    let found = known.find(|(its, path, _)| its == method && *path == route);
    found.map(|(_, _, action)| *action)
}

fn bounded(path: &str) -> String {
    path.chars().take(PATH_CHARS).collect()
}

/// Writes down what became of a tool that changes something, called at a door of MCP. `route`: what does the same. The work of
/// agents is no audit's matter.
pub(super) fn tool_called(parts: &Parts, tool: &str, route: (&Method, &str), done: bool) {
    let subject = match parts.extensions.get::<Caller>() {
        Some(Caller::Turn(_)) => return,
        Some(caller) => caller.subject(),
        None => "nobody".to_owned(),
    };
    let action = action_of(route.0, route.1).unwrap_or("tool.called");
    let outcome = if done { "done" } else { "refused" };
    let (peer, path) = (peer_of(&parts.extensions), bounded(parts.uri.path()));
    tracing::info!(target: "audit", action, tool, outcome, subject, %peer, path, "{action} {outcome}");
}

/// Writes down what became of a request that is one of [`ACTIONS`].
pub(super) async fn note(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let Some(action) = action_of(request.method(), route) else {
        return next.run(request).await;
    };
    let caller = request.extensions().get::<Caller>();
    let caller_is_unknown = caller.is_none();
    let subject = caller.map_or_else(|| "nobody".to_owned(), Caller::subject);
    let (peer, path) = (peer(&request), bounded(request.uri().path()));
    let response = next.run(request).await;
    let status = response.status();
    // The log has the first of them; very many would only fill it.
    if caller_is_unknown && status == StatusCode::TOO_MANY_REQUESTS {
        return response;
    }
    let outcome = if status.is_success() { "done" } else { "refused" };
    tracing::info!(
        target: "audit",
        action,
        outcome,
        status = status.as_u16(),
        subject,
        %peer,
        path,
        "{action} {outcome}"
    );
    response
}

/// Writes down that somebody was not let in.
pub(super) fn turned_away(peer: IpAddr, reason: &str, path: &str) {
    let path = bounded(path);
    let status = StatusCode::UNAUTHORIZED.as_u16();
    tracing::info!(target: "audit", action = "let_in", outcome = "refused", status, subject = "nobody", %peer, path, reason);
}
