//! Who asks, and what a turn may ask for.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request};
use http::{Method, StatusCode};

use super::error::ApiError;
use super::grants;
use crate::delegation::Origin;
use crate::tokens::{Grant, Scope, Verb};

/// Who sent a request that was let in.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// The operator: by the admin token, or in a browser that signed in.
    Operator,
    /// An agent, while its turn runs.
    Turn(Arc<Origin>),
    /// Who holds a named token.
    Token(Arc<Grant>),
}

impl Caller {
    /// Who it is, by a name that is no secret and the same for each request: `operator`, `turn:<id>`, `token:<id>`.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Turn(origin) => format!("turn:{}", origin.turn),
            Self::Token(grant) => grant.subject(),
        }
    }

    /// Whether this caller may see which agents there are.
    pub(crate) fn sees_agents(&self) -> bool {
        match self {
            Self::Operator | Self::Turn(_) => true,
            Self::Token(grant) => grant.covers(&Scope::daemon(Verb::Read)),
        }
    }

    /// Whether this caller may do what `method` does at a route of the router, in a vault. The doors that are no routes of
    /// their own, such as tools, ask here, so that everybody may do the same by whichever door.
    pub(crate) fn may(&self, method: &Method, route: &str, vault: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Turn(origin) => may(origin, method, route, |name| (name == "name").then_some(vault)),
            Self::Token(grant) => grants::may(grant, method, route, vault),
        }
    }
}

/// A condition on the variable part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// None.
    Any,
    /// The vault of the turn's message.
    OwnVault,
    /// The turn itself.
    OwnTurn,
}

/// Everything that a turn may do, by the addresses of the router. `GET` stands for `HEAD` too. What is not here is refused.
const MAY: [(Method, &str, Whose); 25] = [
    (Method::GET, "/api/agents", Whose::Any),
    (Method::GET, "/api/jobs", Whose::Any),
    (Method::GET, "/api/jobs/{id}", Whose::Any),
    // A job may be called so.
    (Method::GET, "/api/jobs/validate", Whose::Any),
    (Method::GET, "/api/jobs/{id}/runs", Whose::Any),
    (Method::POST, "/api/channels/{channel}/send", Whose::Any),
    (Method::GET, "/api/turns/{turn}", Whose::OwnTurn),
    (Method::GET, "/vault/{name}/api/notes", Whose::OwnVault),
    (Method::POST, "/vault/{name}/api/notes", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/notes/{*key}", Whose::OwnVault),
    (Method::PATCH, "/vault/{name}/api/notes/{*key}", Whose::OwnVault),
    (Method::GET, "/vault/{name}", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/vault", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/tags", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/tags/{*key}", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/find-path", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/unresolved-wikilinks", Whose::OwnVault),
    (Method::GET, "/vault/{name}/api/storage/{*key}", Whose::OwnVault),
    (Method::POST, "/vault/{name}/api/storage/upload", Whose::OwnVault),
    // What its tools do is asked for each of them, by the route that does the same.
    (Method::GET, "/mcp", Whose::Any),
    (Method::POST, "/mcp", Whose::Any),
    (Method::DELETE, "/mcp", Whose::Any),
    (Method::GET, "/vault/{name}/mcp", Whose::OwnVault),
    (Method::POST, "/vault/{name}/mcp", Whose::OwnVault),
    (Method::DELETE, "/vault/{name}/mcp", Whose::OwnVault),
];

impl Whose {
    fn holds<'a>(self, origin: &Origin, variable: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Any => true,
            Self::OwnVault => variable("name") == Some(origin.vault.as_str()),
            Self::OwnTurn => variable("turn").and_then(|turn| turn.parse().ok()) == Some(origin.turn), // silent-ok: no turn
        }
    }
}

fn may<'a>(origin: &Origin, method: &Method, route: &str, variable: impl Fn(&str) -> Option<&'a str>) -> bool {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    MAY.iter()
        .filter(|(allowed, path, _)| allowed == method && *path == route)
        .any(|(_, _, whose)| whose.holds(origin, &variable))
}

/// Lets the request of a turn pass if it is one of [`MAY`], and gives it back.
///
/// # Errors
/// 403 otherwise.
pub(super) async fn check_turn(origin: &Origin, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().cloned();
    // silent-ok: an address without a readable variable is none of those with one.
    let variables = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let variable = |wanted: &str| {
        let mut pairs = variables.iter().flatten();
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    if may(origin, &parts.method, route, variable) {
        return Ok(Request::from_parts(parts, body));
    }
    let message = format!(
        "A turn may not do this ({} {}): its token is good for sending messages, for listing agents and jobs, for reading and \
         writing notes and files of its own vault, and for reading its own turn",
        parts.method,
        parts.uri.path(),
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, "turn_may_not", message)
        .then("Nothing was done. Ask the operator to do it; the outcome of another agent's work comes by `reply_to`."))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use uuid::Uuid;

    use super::*;

    const OWN: Uuid = Uuid::from_u128(7);

    fn allowed(method: &str, route: &str, variables: &[(&str, &str)]) -> bool {
        let origin = Origin {
            turn: OWN,
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        };
        let variable = |wanted: &str| {
            let mut pairs = variables.iter();
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| *value)
        };
        may(&origin, &method.parse().unwrap(), route, variable)
    }

    #[test]
    fn a_turn_may_do_what_the_table_says() {
        let (own, other) = (OWN.to_string(), Uuid::from_u128(8).to_string());
        let notes = "/vault/{name}/api/notes";
        let note = "/vault/{name}/api/notes/{*key}";
        let file = "/vault/{name}/api/storage/{*key}";
        let tag = "/vault/{name}/api/tags/{*key}";
        let upload = "/vault/{name}/api/storage/upload";
        let mcp = "/vault/{name}/mcp";
        for (method, route, variables, expected) in [
            ("GET", "/api/agents", &[][..], true),
            ("HEAD", "/api/agents", &[], true),
            ("POST", "/api/channels/{channel}/send", &[("channel", "beta")], true),
            ("GET", "/api/jobs", &[], true),
            ("POST", "/api/jobs", &[], false),
            ("GET", "/api/jobs/{id}", &[("id", "j")], true),
            ("PATCH", "/api/jobs/{id}", &[("id", "j")], false),
            ("DELETE", "/api/jobs/{id}", &[("id", "j")], false),
            ("GET", "/api/jobs/{id}/runs", &[("id", "j")], true),
            ("POST", "/api/jobs/{id}/run", &[("id", "j")], false),
            ("GET", "/api/turns/{turn}", &[("turn", own.as_str())], true),
            ("GET", "/api/turns/{turn}", &[("turn", other.as_str())], false),
            ("GET", "/api/turns/{turn}", &[("turn", "x")], false),
            ("GET", "/api/turns/{turn}", &[], false),
            ("GET", notes, &[("name", "default")], true),
            ("POST", notes, &[("name", "default")], true),
            ("GET", notes, &[("name", "other")], false),
            ("POST", notes, &[("name", "other")], false),
            ("GET", note, &[("name", "default"), ("key", "a/b")], true),
            ("PATCH", note, &[("name", "default"), ("key", "a/b")], true),
            ("PATCH", note, &[("name", "other"), ("key", "a/b")], false),
            ("DELETE", note, &[("name", "default"), ("key", "a/b")], false),
            // The same address, with `/attachments` behind it, adds a file to a note that is there.
            ("POST", note, &[("name", "default"), ("key", "a/b/attachments")], false),
            ("GET", "/vault/{name}", &[("name", "default")], true),
            ("GET", "/vault/{name}/api/tags", &[("name", "default")], true),
            ("GET", "/vault/{name}/api/tags", &[("name", "other")], false),
            ("GET", tag, &[("name", "default"), ("key", "t")], true),
            ("PUT", tag, &[("name", "default"), ("key", "t")], false),
            ("POST", tag, &[("name", "default"), ("key", "merge")], false),
            ("DELETE", tag, &[("name", "default"), ("key", "t")], false),
            ("GET", "/vault/{name}/api/vault", &[("name", "default")], true),
            ("PATCH", "/vault/{name}/api/vault", &[("name", "default")], false),
            ("GET", "/vault/{name}/api/find-path", &[("name", "default")], true),
            (
                "GET",
                "/vault/{name}/api/unresolved-wikilinks",
                &[("name", "default")],
                true,
            ),
            ("GET", file, &[("name", "default"), ("key", "d/f")], true),
            ("GET", file, &[("name", "other"), ("key", "d/f")], false),
            ("POST", upload, &[("name", "default")], true),
            ("POST", upload, &[("name", "other")], false),
            ("POST", mcp, &[("name", "default")], true),
            ("GET", mcp, &[("name", "default")], true),
            ("DELETE", mcp, &[("name", "default")], true),
            ("POST", mcp, &[("name", "other")], false),
        ] {
            assert_eq!(
                allowed(method, route, variables),
                expected,
                "{method} {route} {variables:?}"
            );
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let own = OWN.to_string();
        for (method, route) in [
            ("POST", "/api/sign-in-links"),
            ("POST", "/api/agents"),
            ("GET", "/api/agents/{name}"),
            ("DELETE", "/api/agents/{name}"),
            ("GET", "/api/channels/{channel}/messages"),
            ("GET", "/api/channels/{channel}/turn-events"),
            ("GET", "/api/events"),
            ("GET", "/api/threads"),
            ("PATCH", "/api/threads/{thread}"),
            ("GET", "/api/turns/{turn}/steps"),
            ("GET", "/api/turns/{turn}/steps/{step}"),
            ("POST", "/api/turns/{turn}/stop"),
            ("POST", "/api/turns/{turn}/cancel"),
            ("POST", "/api/turns/{turn}/resend"),
            ("PATCH", "/api/turns/{turn}"),
            ("GET", "/api/turns"),
            ("GET", "/api/channels/{channel}/queue"),
            ("PATCH", "/api/agents/{name}"),
            ("POST", "/api/agents/{name}/resume"),
            ("POST", "/api/agents/{name}/trust"),
            ("GET", "/api/session"),
            ("GET", "/api/connections"),
            ("POST", "/api/connections/approve"),
            ("POST", "/api/connections/revoke"),
            ("GET", "/api/credentials/claude"),
            ("POST", "/api/credentials/claude"),
            ("POST", "/api/credentials/claude/{channel}"),
            ("GET", "/api/credentials/env"),
            ("POST", "/api/credentials/env"),
            ("GET", "/api/agents/{name}/env"),
            ("GET", "/api/agents/{name}/sandbox/policy"),
            ("GET", "/vault/{name}/{*rest}"),
            ("GET", "/vault/{name}/api/triggers"),
            ("POST", "/vault/{name}/api/triggers"),
            ("PATCH", "/vault/{name}/api/triggers/{key}"),
            ("POST", "/vault/{name}/api/triggers/{key}/redrive"),
            ("GET", "/new/route"),
            ("GET", ""),
        ] {
            let variables = [("turn", own.as_str()), ("name", "default"), ("channel", "alpha")];
            assert!(!allowed(method, route, &variables), "{method} {route}");
        }
    }
}
