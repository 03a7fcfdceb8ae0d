//! How a client that was not let in finds out whom to ask: the documents of OAuth for the MCP endpoints, and the header of the
//! 401 that leads to them.
//!
//! They are open, and the same for every name: they do not tell which channels there are.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::Api;
use super::base::Base;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
/// What a client of those endpoints asks the hub for.
const SCOPES: [&str; 3] = ["reveille:read", "reveille:send", "reveille:write"];
/// No secret is in them, whoever reads them, and they depend on the way of the request.
const OPEN: [(HeaderName, &str); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Both documents of `/mcp` and `/mcp/{channel}`, each in both forms: before the path of the resource, and behind it. The
/// first form is asked for at the root of the host, so it is answered with the mount in the path of the resource too.
pub(super) fn router(mount: &str) -> Router<Api> {
    let mut router = Router::new();
    let mut route = |path: String, which: Which| {
        let taken = std::mem::take(&mut router);
        router = taken.route(
            &path,
            get(move |State(api): State<Api>, parts: Parts| async move { which.answer(&api, &parts) }),
        );
    };
    for (document, which) in [(RESOURCE, Which::Resource), (SERVER, Which::Server)] {
        for resource in ["/mcp", "/mcp/{channel}"] {
            route(format!("{document}{resource}"), which);
            route(format!("{resource}{document}"), which);
            if !mount.is_empty() {
                route(format!("{document}{mount}{resource}"), which);
            }
        }
    }
    router
}

/// Leads whoever was not let in at an MCP endpoint to those documents.
pub(super) async fn lead(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/mcp" && !path.starts_with("/mcp/") {
        return next.run(request).await;
    }
    let path = path.to_owned();
    let (parts, body) = request.into_parts();
    let base = Base::of(&api, &parts);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = challenge(&base, &path);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The header of the answer to a request for `resource_path`, such as `/mcp/eng`, that was not let in.
#[must_use]
pub(crate) fn challenge(base: &Base, resource_path: &str) -> HeaderValue {
    let metadata = base.url(&format!("{RESOURCE}{}", encoded(resource_path)));
    let value = HeaderValue::try_from(format!("Bearer resource_metadata=\"{metadata}\""));
    value.unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// A path that may stand in quotes: whatever ends them is encoded.
fn encoded(path: &str) -> String {
    const ENDS: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b'"')
        .add(b'\\')
        .add(b' ')
        .add(b'<')
        .add(b'>');
    percent_encoding::utf8_percent_encode(path, ENDS).to_string()
}

#[derive(Clone, Copy)]
enum Which {
    Resource,
    Server,
}

impl Which {
    fn answer(self, api: &Api, parts: &Parts) -> Response {
        let hub = api.place.origin();
        let document = match self {
            Self::Resource => {
                let path = parts.uri.path();
                json!({
                    "resource": Base::of(api, parts).url(&encoded(resource(path, api.front.mount()))),
                    "authorization_servers": [hub],
                    "scopes_supported": SCOPES,
                    "bearer_methods_supported": ["header"],
                })
            }
            Self::Server => server(&hub),
        };
        (OPEN, axum::Json(document)).into_response()
    }
}

/// The path of the resource, of either form of the address of a document.
fn resource<'a>(path: &'a str, mount: &str) -> &'a str {
    let rest = path.strip_prefix(RESOURCE).or_else(|| path.strip_suffix(RESOURCE));
    let rest = rest.unwrap_or(path);
    let own = rest.strip_prefix(mount).filter(|own| own.starts_with("/mcp"));
    own.unwrap_or(rest)
}

fn server(hub: &str) -> Value {
    json!({
        "issuer": hub,
        "authorization_endpoint": format!("{hub}/oauth/authorize"),
        "token_endpoint": format!("{hub}/oauth/token"),
        "registration_endpoint": format!("{hub}/oauth/register"),
        "jwks_uri": format!("{hub}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
        "scopes_supported": SCOPES,
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_challenge_leads_to_the_document_and_stays_in_its_quotes() {
        let base = Base {
            origin: "https://hub.example".into(),
            prefix: "/reveille".into(),
            secure: true,
        };
        let told = |path| challenge(&base, path).to_str().unwrap().to_owned();
        let at = "https://hub.example/reveille/.well-known/oauth-protected-resource/mcp/";
        assert_eq!(told("/mcp/eng"), format!("Bearer resource_metadata=\"{at}eng\""));
        assert_eq!(told("/mcp/a\"b"), format!("Bearer resource_metadata=\"{at}a%22b\""));
    }

    #[test]
    fn both_forms_name_the_same_resource() {
        for path in [
            "/.well-known/oauth-protected-resource/mcp/eng",
            "/mcp/eng/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcps/mcp/eng",
        ] {
            assert_eq!(resource(path, "/mcps"), "/mcp/eng", "{path}");
        }
        assert_eq!(resource("/.well-known/oauth-protected-resource/mcp", ""), "/mcp");
    }
}
