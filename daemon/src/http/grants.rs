//! What a named token may ask for, decided by method and route before a handler sees the request. What is not named here is
//! closed to every token but those with `admin` (below `/vault/{name}`) or to all (elsewhere).

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request};
use http::Method;

use super::refusal::Refusal;
use crate::tokens::{Grant, Scope, Verb};

/// How the verb that a route needs comes from the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// `GET` and `HEAD` read, everything else writes.
    Usual,
    /// The same, but a tag is renamed, merged and removed by an admin only.
    Tags,
    /// The same; who sees some notes only may read here and no more, and is told what it sees.
    Whole,
    /// Everything comes by one method; the vault in the hands of the token holds it back from writing.
    Read,
}

/// What tokens may ask a vault. The last part: whether also those that are limited to tags, because the route answers
/// nothing but notes that they see.
const OF_VAULTS: [(&str, Ask, bool); 9] = [
    ("/vault/{name}/api/health", Ask::Usual, true),
    ("/vault/{name}/api/notes", Ask::Usual, true),
    ("/vault/{name}/api/storage", Ask::Usual, true),
    ("/vault/{name}/mcp", Ask::Read, true),
    ("/vault/{name}/api/tags", Ask::Tags, false),
    ("/vault/{name}/api/vault", Ask::Whole, false),
    ("/vault/{name}/api/find-path", Ask::Usual, false),
    ("/vault/{name}/api/unresolved-wikilinks", Ask::Usual, false),
    // Nothing is there; that may be said to everybody who is let in.
    ("/vault/{name}/{*rest}", Ask::Usual, true),
];

/// Names of vaults: each token sees its own. Of tools, each token has those that it may use.
const OF_ALL: [&str; 3] = ["/vaults", "/vaults/list", "/mcp"];

/// What the daemon itself gives to admins only.
const OF_ADMINS: [&str; 24] = [
    "/.parachute/config",
    "/api/sign-in-links",
    "/api/tokens",
    "/api/tokens/{id}",
    "/api/step-up",
    "/api/step-up/pin",
    "/api/connections",
    "/api/connections/approve",
    "/api/connections/revoke",
    "/api/credentials/claude",
    "/api/credentials/claude/{channel}",
    "/api/credentials/env",
    "/api/agents/{name}/env",
    // It names everything that is hidden.
    "/api/agents/{name}/sandbox/policy",
    "/api/agents/{name}/trust",
    // What they tell is everything, and their addresses may let somebody in.
    "/api/webhooks",
    "/api/webhooks/{name}",
    "/api/webhooks/{name}/pause",
    "/api/webhooks/{name}/resume",
    "/api/webhooks/{name}/test",
    "/api/webhooks/{name}/rotate",
    // It writes a copy of all notes wherever it is told to.
    "/api/vaults/{name}/backup",
    // It starts programs.
    "/api/doctor",
    // Every agent and every vault is named in it.
    "/metrics",
];

/// What everybody reads who may read, and only admins change: what an agent is, by whichever address, and where it lives.
/// What it does (pause, reset, its line and its jobs) is not among it.
const CHANGED_BY_ADMINS: [&str; 9] = [
    "/api/agents",
    "/api/agents/{name}",
    // Also an agent that is called so. What may be asked of the disk is for those alone who may define agents.
    "/api/agents/validate",
    "/api/agent-defs",
    "/api/agent-defs/{*id}",
    "/api/agent-vaults",
    "/api/agent-vaults/{name}",
    // A bridge lets people in from elsewhere.
    "/api/channels",
    "/api/channels/{channel}",
];

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    /// `None`: any token will do.
    scope: Option<Scope>,
    /// Also of a token that is limited to tags.
    tagged: bool,
}

impl Need {
    /// `vault`: the variable part of an address below `/vault/{name}`.
    fn of(method: &Method, route: &str, vault: Option<&str>) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let usual = if reads { Verb::Read } else { Verb::Write };
        if OF_ALL.contains(&route) {
            return Self {
                scope: None,
                tagged: true,
            };
        }
        let Some(name) = vault.filter(|_| route.starts_with("/vault/{name}")) else {
            let verb = match route {
                "/api/channels/{channel}/send" => Verb::Send,
                // Everything comes by one method; what writes is asked for each tool.
                "/mcp/{channel}" => Verb::Read,
                // A ticket opens what is read.
                "/api/ui/sse-ticket" => Verb::Read,
                // The page asks who it is for. Signing out goes for every browser.
                "/api/session" if reads => Verb::Read,
                "/api/session" => Verb::Admin,
                _ if OF_ADMINS.contains(&route) => Verb::Admin,
                _ if !reads && CHANGED_BY_ADMINS.contains(&route) => Verb::Admin,
                _ => usual,
            };
            return Self {
                scope: Some(Scope::daemon(verb)),
                tagged: true,
            };
        };
        let under = |known: &&(&str, Ask, bool)| {
            let rest = route.strip_prefix(known.0);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (verb, tagged) = match OF_VAULTS.iter().find(under) {
            Some((_, Ask::Read, tagged)) => (Verb::Read, *tagged),
            Some((_, Ask::Tags, tagged)) if !reads && method != Method::PUT => (Verb::Admin, *tagged),
            Some((_, Ask::Tags | Ask::Whole, tagged)) => (usual, *tagged || reads),
            Some((_, _, tagged)) => (usual, *tagged),
            None if route == "/vault/{name}" => (usual, true),
            None => (Verb::Admin, false),
        };
        Self {
            scope: Some(Scope::vault(name, verb)),
            tagged,
        }
    }

    fn check(self, grant: &Grant) -> Result<(), Refusal> {
        if let Some(needed) = self.scope
            && !grant.covers(&needed)
        {
            return Err(Refusal::Scope {
                needed,
                granted: grant.new.scopes.clone(),
            });
        }
        if !self.tagged && !grant.new.tags.is_empty() {
            return Err(Refusal::Tags {
                tags: grant.new.tags.clone(),
            });
        }
        Ok(())
    }
}

/// Whether a token reaches as far as a request of that kind in a vault.
pub(super) fn may(grant: &Grant, method: &Method, route: &str, vault: &str) -> bool {
    Need::of(method, route, Some(vault)).check(grant).is_ok()
}

/// What a token must have for a request of that kind outside of vaults.
pub(super) fn scope_of(method: &Method, route: &str) -> Option<Scope> {
    Need::of(method, route, None).scope
}

/// Lets the request of a token pass if the token reaches that far, and gives it back. Whether there is such a vault is not
/// looked at: who may not ask it is not told.
///
/// # Errors
/// 403 otherwise.
pub(super) async fn check_grant(grant: &Grant, request: Request) -> Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    // silent-ok: an address without a readable variable is none of those with one.
    let variables = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let mut pairs = variables.iter().flatten();
    let vault = pairs.find(|(name, _)| *name == "name").map(|(_, value)| value);
    Need::of(&parts.method, route, vault).check(grant)?;
    Ok(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn need(method: &str, route: &str) -> (String, bool) {
        let need = Need::of(&method.parse().unwrap(), route, Some("v"));
        let scope = need.scope.map_or_else(|| "any".to_owned(), |scope| scope.to_string());
        (scope, need.tagged)
    }

    #[test]
    fn a_vault_is_read_by_get_and_written_by_the_rest() {
        for route in [
            "/vault/{name}",
            "/vault/{name}/api/health",
            "/vault/{name}/api/notes",
            "/vault/{name}/api/notes/{*key}",
            "/vault/{name}/api/storage/upload",
            "/vault/{name}/api/storage/{*key}",
            "/vault/{name}/{*rest}",
        ] {
            for (method, verb) in [
                ("GET", "read"),
                ("HEAD", "read"),
                ("OPTIONS", "read"),
                ("POST", "write"),
                ("PATCH", "write"),
                ("PUT", "write"),
                ("DELETE", "write"),
                ("PROPFIND", "write"),
            ] {
                assert_eq!(
                    need(method, route),
                    (format!("vault:v:{verb}"), true),
                    "{method} {route}"
                );
            }
        }
    }

    #[test]
    fn what_reaches_over_single_notes_is_for_admins_and_not_for_tags() {
        for (method, route, expected) in [
            ("GET", "/vault/{name}/tokens", ("vault:v:admin", false)),
            ("POST", "/vault/{name}/tokens", ("vault:v:admin", false)),
            ("DELETE", "/vault/{name}/tokens/{id}", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/api/triggers", ("vault:v:admin", false)),
            ("POST", "/vault/{name}/api/triggers", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/.parachute/config", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/new/route", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/api/notesx", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/api/tags", ("vault:v:read", true)),
            ("PUT", "/vault/{name}/api/tags/{*key}", ("vault:v:write", false)),
            ("POST", "/vault/{name}/api/tags/{*key}", ("vault:v:admin", false)),
            ("DELETE", "/vault/{name}/api/tags/{*key}", ("vault:v:admin", false)),
            ("GET", "/vault/{name}/api/vault", ("vault:v:read", true)),
            ("GET", "/vault/{name}/api/find-path", ("vault:v:read", false)),
            ("GET", "/vault/{name}/api/unresolved-wikilinks", ("vault:v:read", false)),
            ("PATCH", "/vault/{name}/api/vault", ("vault:v:write", false)),
            ("POST", "/vault/{name}/mcp", ("vault:v:read", true)),
        ] {
            let (scope, tagged) = expected;
            assert_eq!(need(method, route), (scope.to_owned(), tagged), "{method} {route}");
        }
    }

    #[test]
    fn the_daemon_has_scopes_of_its_own() {
        for (method, route, scope) in [
            ("GET", "/api/agents", "reveille:read"),
            ("POST", "/api/agents", "reveille:admin"),
            ("GET", "/api/agents/{name}", "reveille:read"),
            ("PATCH", "/api/agents/{name}", "reveille:admin"),
            ("GET", "/api/agents/validate", "reveille:read"),
            ("POST", "/api/agents/validate", "reveille:admin"),
            ("DELETE", "/api/agents/validate", "reveille:admin"),
            ("POST", "/api/jobs/validate", "reveille:write"),
            ("POST", "/api/channels/{channel}/send", "reveille:send"),
            ("DELETE", "/api/agents/{name}", "reveille:admin"),
            ("POST", "/api/agents/{name}/pause", "reveille:write"),
            ("POST", "/api/agents/{name}/resume", "reveille:write"),
            ("POST", "/api/agents/{name}/trust", "reveille:admin"),
            ("POST", "/api/agents/{name}/reset", "reveille:write"),
            ("GET", "/api/threads", "reveille:read"),
            ("PATCH", "/api/threads/{thread}", "reveille:write"),
            ("GET", "/api/turns/{turn}/steps", "reveille:read"),
            ("GET", "/api/turns/{turn}/steps/{step}", "reveille:read"),
            ("GET", "/api/jobs", "reveille:read"),
            ("POST", "/api/jobs", "reveille:write"),
            ("POST", "/api/jobs/{id}/run", "reveille:write"),
            ("GET", "/api/agent-defs", "reveille:read"),
            ("POST", "/api/agent-defs", "reveille:admin"),
            ("GET", "/api/agent-defs/{*id}", "reveille:read"),
            ("PATCH", "/api/agent-defs/{*id}", "reveille:admin"),
            ("DELETE", "/api/agent-defs/{*id}", "reveille:admin"),
            ("POST", "/api/sign-in-links", "reveille:admin"),
            ("GET", "/api/session", "reveille:read"),
            ("DELETE", "/api/session", "reveille:admin"),
            ("GET", "/api/tokens", "reveille:admin"),
            ("POST", "/api/tokens", "reveille:admin"),
            ("DELETE", "/api/tokens/{id}", "reveille:admin"),
            ("GET", "/api/step-up", "reveille:admin"),
            ("DELETE", "/api/step-up/pin", "reveille:admin"),
            ("POST", "/api/ui/sse-ticket", "reveille:read"),
            ("GET", "/.parachute/config", "reveille:admin"),
            ("GET", "/api/connections", "reveille:admin"),
            ("POST", "/api/connections/approve", "reveille:admin"),
            ("POST", "/api/connections/revoke", "reveille:admin"),
            ("GET", "/api/credentials/claude", "reveille:admin"),
            ("POST", "/api/credentials/claude", "reveille:admin"),
            ("DELETE", "/api/credentials/claude/{channel}", "reveille:admin"),
            ("GET", "/api/credentials/env", "reveille:admin"),
            ("DELETE", "/api/credentials/env", "reveille:admin"),
            ("GET", "/api/agents/{name}/env", "reveille:admin"),
            ("GET", "/api/agents/{name}/sandbox/policy", "reveille:admin"),
            ("GET", "/api/webhooks", "reveille:admin"),
            ("POST", "/api/webhooks", "reveille:admin"),
            ("PATCH", "/api/webhooks/{name}", "reveille:admin"),
            ("POST", "/api/webhooks/{name}/test", "reveille:admin"),
            ("GET", "/api/doctor", "reveille:admin"),
            ("GET", "/metrics", "reveille:admin"),
            ("GET", "/api/statistics", "reveille:read"),
            ("GET", "/api/agent-vaults", "reveille:read"),
            ("POST", "/api/agent-vaults", "reveille:admin"),
            ("DELETE", "/api/agent-vaults/{name}", "reveille:admin"),
            ("GET", "", "reveille:read"),
            ("POST", "/mcp", "any"),
            ("GET", "/mcp/{channel}", "reveille:read"),
            ("POST", "/mcp/{channel}", "reveille:read"),
            ("DELETE", "/mcp/{channel}", "reveille:read"),
            ("GET", "/vaults", "any"),
            ("GET", "/vaults/list", "any"),
        ] {
            assert_eq!(need(method, route), (scope.to_owned(), true), "{method} {route}");
        }
    }
}
