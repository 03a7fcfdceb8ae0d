//! What all routes have in common, added to what each of them says of itself.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// Answers that every address has.
const EVERYWHERE: [(&str, &str); 6] = [
    (
        "400",
        "The request cannot be read: `invalid_address`, `invalid_parameter`, `invalid_json`, `invalid_body`.",
    ),
    ("414", "The address is too long: `address_too_long`."),
    (
        "421",
        "The daemon does not answer under that host name: `unknown_host`.",
    ),
    (
        "431",
        "The header fields are too many or too long: `headers_too_large`.",
    ),
    (
        "500",
        "The daemon failed on this request: `internal`, and `damaged_note` and the like where something stored is.",
    ),
    (
        "503",
        "Something that is needed is not there now, such as a vault; `Retry-After` says when to try again.",
    ),
];

/// Answers to whoever may not ask.
const GUARDED: [(&str, &str); 3] = [
    (
        "401",
        "It is not known who asks: `unauthorized`, `token_expired`, `key_in_url`, `turn_is_over`.",
    ),
    (
        "403",
        "The caller may not do this: `insufficient_scope`, `tag_scope_violation`, `not_for_turns`, `cross_site`; or it is dangerous and needs the PIN: `step_up_required`.",
    ),
    (
        "429",
        "Too much of something, such as wrong tokens; `Retry-After` says when to try again.",
    ),
];

/// Of a route that takes a body.
const WITH_BODY: [(&str, &str); 1] = [("413", "The body is too large: `too_large`.")];

/// Methods of a path that are operations.
pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document with the common answers, how callers show who they are, and a schema for every error.
pub(super) fn complete(own: OpenApi, cookie: &str) -> serde_json::Result<Value> {
    let mut document = serde_json::to_value(own)?;
    document["servers"] = json!([{ "url": "/" }]);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer",
            "description": "The admin token of the state directory, or one of `reveille token create`." },
        "api_key": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same." },
        "cookie": { "type": "apiKey", "in": "cookie", "name": cookie,
            "description": "A browser that signed in. What is not a read needs to come from our own page." },
    });
    if let Some(properties) = document.pointer_mut("/components/schemas/Error/properties") {
        refusals(properties);
    }
    document["security"] = json!([{ "bearer": [] }, { "api_key": [] }, { "cookie": [] }]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            let error = error_schema(path);
            for method in METHODS {
                if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                    answers(operation, error);
                }
            }
        }
    }
    Ok(document)
}

/// What errors of those who are not let in, or not that far, have beside the others.
fn refusals(properties: &mut Value) {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    for (name, mut schema, description) in [
        (
            "error_type",
            json!({ "type": "string" }),
            "The code again, as other daemons of this kind have it.",
        ),
        (
            "required_scope",
            json!({ "type": "string" }),
            "What it would take, of `insufficient_scope`.",
        ),
        (
            "granted_scopes",
            texts.clone(),
            "What the token has, of `insufficient_scope`.",
        ),
        ("granted", texts.clone(), "The same."),
        (
            "scoped_tags",
            texts,
            "What the token is limited to, of `tag_scope_violation`.",
        ),
        (
            "reason",
            json!({ "type": "string" }),
            "`setup` or `token`, of `step_up_required`.",
        ),
        (
            "retry_after",
            json!({ "type": "integer" }),
            "Seconds, as the header says them.",
        ),
    ] {
        schema["description"] = description.into();
        properties[name] = schema;
    }
}

/// The shape of errors below an address: the notes API has the one that its clients know.
fn error_schema(path: &str) -> &'static str {
    match path.starts_with("/vault/") {
        true => "NotesError",
        false => "Error",
    }
}

/// Adds the common answers, and what errors look like.
fn answers(operation: &mut Map<String, Value>, error: &str) {
    let open = operation.contains_key("security");
    let with_body = operation.contains_key("requestBody");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let guarded = GUARDED.iter().filter(|_| !open);
    let bodies = WITH_BODY.iter().filter(|_| with_body);
    for (status, description) in EVERYWHERE.iter().chain(guarded).chain(bodies) {
        let told = || json!({ "description": description });
        responses.entry(*status).or_insert_with(told);
    }
    for (status, response) in responses.iter_mut() {
        if status.starts_with(['4', '5']) && response.get("content").is_none() {
            let schema = json!({ "$ref": format!("#/components/schemas/{error}") });
            response["content"] = json!({ "application/json": { "schema": schema } });
        }
    }
}
