//! What a hub asks a module: what it is, its picture, and how it is set up.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Uri, header};
use serde_json::{Value, json};

use super::{Api, page};
use crate::module::manifest;

/// For pages of every origin: there is nothing in it that is not in the manifest.
const OPEN: [(HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

/// What this module of a hub is. For everybody, so without names.
#[utoipa::path(
    get, path = "/.parachute/info", operation_id = "getModule", tag = "about", security(()),
    responses((status = 200, description = "What the manifest says, and the version.", body = Value)),
)]
pub(super) async fn info() -> Response {
    let mut info = json!({ "version": env!("CARGO_PKG_VERSION"), "iconUrl": "icon.svg" });
    let manifest = manifest();
    for key in [
        "name",
        "manifestName",
        "displayName",
        "tagline",
        "health",
        "focus",
        "scopes",
        "events",
        "actions",
    ] {
        info[key] = manifest[key].clone();
    }
    (OPEN, Json(info)).into_response()
}

/// The picture of this module.
#[utoipa::path(
    get, path = "/.parachute/icon.svg", operation_id = "getModuleIcon", tag = "about", security(()),
    responses(
        (status = 200, description = "The picture.", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The one that the client has is the same."),
        (status = 404, description = "This daemon was built without its page: `not_found`."),
    ),
)]
pub(super) async fn icon(headers: HeaderMap) -> Response {
    let uri = Uri::from_static("/favicon.svg");
    (OPEN, page::asset(uri, headers).await).into_response()
}

/// How this module is set up: its channels, and a template for the triggers of vaults. For admins, since it has names.
#[utoipa::path(
    get, path = "/.parachute/config", operation_id = "getModuleConfig", tag = "about",
    responses((status = 200, description = "The channels, and the template.", body = Value)),
)]
pub(super) async fn config(State(api): State<Api>) -> Json<Value> {
    let channels = api.registry.names().into_iter();
    let channels: Vec<Value> = channels
        .map(|name| json!({ "name": name, "transport": "vault" }))
        .collect();
    let mount = api.front.mount();
    Json(json!({
        "channels": channels,
        // What stands in angle brackets is for the hub to fill in.
        "triggerTemplate": {
            "name": "channel_inbound_<channel>",
            "events": ["created"],
            "when": {
                "tags": ["agent/message/inbound"],
                "has_metadata": ["agent"],
                "missing_metadata": ["channel_inbound_rendered_at"],
            },
            "action": { "webhook": format!("<hub-origin>{mount}/api/vault/inbound"), "send": "json" },
        },
    }))
}

/// The form of what the module tells of its configuration, as a JSON Schema.
#[utoipa::path(
    get, path = "/.parachute/config/schema", operation_id = "getModuleConfigSchema", tag = "about", security(()),
    responses((status = 200, description = "The schema.", body = Value)),
)]
pub(super) async fn schema() -> Response {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reveille",
        "description": "The channels of the daemon. Each agent is a note in a vault and has a channel of its name; to change them, change the notes.",
        "type": "object",
        "properties": {
            "channels": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "transport": { "enum": ["vault"] },
                        "config": { "type": "object" },
                    },
                    "required": ["name", "transport"],
                },
            },
        },
        "required": ["channels"],
    });
    (OPEN, Json(schema)).into_response()
}
