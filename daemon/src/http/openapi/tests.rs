//! The document against the router: what is served is described, and nothing else.

use std::collections::BTreeSet;

use axum::Router;
use pretty_assertions::assert_eq;
use serde_json::Value;

use super::complete::METHODS;
use super::{reference, whole};
use crate::http::{discovery, guarded_routes, open_routes, vault_api};
use crate::tokens::Tokens;
use crate::vaults::ByName;

/// What is served and not described, and why.
const LEFT_OUT: [(&str, &str); 28] = [
    ("get /api/agents/validate", "an agent that is called so"),
    ("patch /api/agents/validate", "an agent that is called so"),
    ("delete /api/agents/validate", "an agent that is called so"),
    ("get /api/jobs/validate", "a job that is called so"),
    ("patch /api/jobs/validate", "a job that is called so"),
    ("delete /api/jobs/validate", "a job that is called so"),
    ("get /", "the page"),
    ("get /home", "leads to the page"),
    ("get /agents", "leads to the page"),
    ("get /jobs", "leads to the page"),
    ("get /admin", "leads to the page"),
    ("get /ui", "leads to the page"),
    ("get /app", "leads to the page"),
    ("get /app/", "leads to the page"),
    ("get /assets/{file}", "files of the page"),
    ("get /favicon.svg", "a file of the page"),
    ("any /vault/{name}/{rest}", "says that nothing is there"),
    ("any /mcp", "JSON-RPC, which describes itself by MCP"),
    ("any /mcp/{channel}", "JSON-RPC, which describes itself by MCP"),
    ("any /vault/{name}/mcp", "JSON-RPC, which describes itself by MCP"),
    ("get /.well-known/oauth-protected-resource/mcp", "RFC 9728 describes it"),
    (
        "get /.well-known/oauth-protected-resource/mcp/{channel}",
        "RFC 9728 describes it",
    ),
    (
        "get /.well-known/oauth-authorization-server/mcp",
        "RFC 8414 describes it",
    ),
    (
        "get /.well-known/oauth-authorization-server/mcp/{channel}",
        "RFC 8414 describes it",
    ),
    ("get /mcp/.well-known/oauth-protected-resource", "RFC 9728 describes it"),
    (
        "get /mcp/.well-known/oauth-authorization-server",
        "RFC 8414 describes it",
    ),
    (
        "get /mcp/{channel}/.well-known/oauth-protected-resource",
        "RFC 9728 describes it",
    ),
    (
        "get /mcp/{channel}/.well-known/oauth-authorization-server",
        "RFC 8414 describes it",
    ),
];

/// What is described under an address of its own and served as part of a longer one.
const PARTS: [(&str, &str); 5] = [
    (
        "get /vault/{name}/api/notes/{key}/attachments",
        "get /vault/{name}/api/notes/{key}",
    ),
    (
        "post /vault/{name}/api/notes/{key}/attachments",
        "post /vault/{name}/api/notes/{key}",
    ),
    (
        "delete /vault/{name}/api/notes/{key}/attachments/{id}",
        "delete /vault/{name}/api/notes/{key}",
    ),
    (
        "post /vault/{name}/api/tags/{key}/rename",
        "post /vault/{name}/api/tags/{key}",
    ),
    ("post /vault/{name}/api/tags/merge", "post /vault/{name}/api/tags/{key}"),
];

fn document() -> Value {
    whole("reveille_1941").unwrap()
}

/// `method address` of all routes, as a router shows itself when it is printed for debugging.
fn routes_of<S>(router: &Router<S>) -> BTreeSet<String> {
    let printed = format!("{router:?}");
    let (printed, _) = printed.split_once("fallback_router").unwrap();
    let (routes, paths) = printed.split_once("node: Node").unwrap();
    let entries = |text: &str| -> Vec<(String, String)> {
        let parts = text.split("RouteId(").skip(1);
        let entry = |part: &str| part.split_once(')').map(|(id, rest)| (id.to_owned(), rest.to_owned()));
        parts.map(|part| entry(part).unwrap()).collect()
    };
    let paths = entries(paths);
    let mut found = BTreeSet::new();
    for (id, route) in entries(routes) {
        let (_, path) = paths.iter().find(|(other, _)| *other == id).unwrap();
        let path = path.split('"').nth(1).unwrap().replace("{*", "{");
        let takes = |method: &&&str| !route.contains(&format!(" {method}: None"));
        let methods: Vec<&str> = METHODS.iter().filter(takes).copied().collect();
        match methods.is_empty() {
            true => drop(found.insert(format!("any {path}"))),
            false => found.extend(methods.iter().map(|method| format!("{method} {path}"))),
        }
    }
    found
}

/// Everything that the daemon serves.
fn served() -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let vault = reveille_vault::EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
    let vaults = vault_api::router(ByName::from(vault), &tokens, [("v", 1)].into());
    let mut all = routes_of(&guarded_routes());
    all.extend(routes_of(&open_routes()));
    all.extend(routes_of(&vaults));
    all.extend(routes_of(&discovery::router("")));
    all
}

/// Each operation with its `method address`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            found.push((format!("{method} {path}"), operation));
        }
    }
    found
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let served = served();
    // The way a router prints itself is not promised: here it would show that it has changed.
    for known in [
        "get /api/agents",
        "patch /api/turns/{turn}",
        "delete /vault/{name}/api/notes/{key}",
        "get /health",
    ] {
        assert!(served.contains(known), "{known} is not in {served:#?}");
    }
    let document = document();
    let described: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let left_out: BTreeSet<String> = LEFT_OUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    let parts: BTreeSet<String> = PARTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let whole: BTreeSet<String> = PARTS.iter().map(|(_, name)| (*name).to_owned()).collect();
    let missing: Vec<_> = served
        .difference(&described)
        .filter(|name| !left_out.contains(*name) && !whole.contains(*name))
        .collect();
    assert_eq!(
        missing,
        Vec::<&String>::new(),
        "served and not described: see the head of openapi/mod.rs"
    );
    let invented: Vec<_> = described
        .difference(&served)
        .filter(|name| !parts.contains(*name))
        .collect();
    assert_eq!(invented, Vec::<&String>::new(), "described and not served");
    for name in &left_out {
        assert!(
            served.contains(name) && !described.contains(name),
            "{name} need not be left out"
        );
    }
}

#[test]
fn every_operation_can_be_called_by_a_made_client() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{name}: the operation id {id} is taken");
        assert!(id.chars().all(char::is_alphanumeric), "{name}: {id}");
        assert!(operation["tags"][0].is_string(), "{name} has no tag");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.contains('`'), "{name}: {summary:?}");
        let variables = name.matches('{').count();
        let parameters = operation["parameters"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let of_path = parameters.iter().filter(|one| one["in"] == "path").count();
        assert_eq!(of_path, variables, "{name}: parameters of the address");
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["description"].is_string(), "{name} {status}");
            assert!(
                answer.get("content").is_some() || ["204", "304"].contains(&status.as_str()),
                "{name} {status} has no schema"
            );
        }
    }
}

/// All texts under a key, wherever it stands.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, "$ref", &mut references);
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn the_page_has_every_operation_and_no_script() {
    let document = document();
    let page = reference::page(&document);
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{name}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"schema-{schema}\"")), "{schema}");
    }
    assert!(!page.contains("<script") && !page.contains("http-equiv") && !page.contains(" src="));
}

/// The codes of errors in a piece of source: the first text behind `ApiError::new(`.
fn codes_in(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let made = source.split("ApiError::new(").skip(1);
    let made = made.chain(source.split("Self::new(").skip(1));
    let is_code = |text: &&str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    let first = made.filter_map(|rest| {
        // The status stands before it; what is further away belongs to something else.
        let head: &str = rest.get(..160).unwrap_or(rest);
        head.split('"').nth(1)
    });
    first.filter(is_code).collect()
}

fn sources(dir: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(std::fs::read_to_string(path).unwrap()),
        }
    }
}

#[test]
fn every_code_has_its_line_in_the_documentation() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    sources(&root.join("src/http"), &mut all);
    sources(&root.join("src/attached"), &mut all);
    let codes: BTreeSet<&str> = all.iter().flat_map(|source| codes_in(source)).collect();
    for known in ["unknown_agent", "too_large", "idempotency_key_reused", "not_found"] {
        assert!(codes.contains(known), "{known} is not found any more: {codes:#?}");
    }
    let documented = std::fs::read_to_string(root.join("docs/errors.md")).unwrap();
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !documented.contains(&format!("`{code}`")))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new(), "without a line in docs/errors.md");
}
