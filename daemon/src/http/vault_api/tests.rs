//! The routes, against a real vault whose clock stands still.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Request, StatusCode, header};
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_vault::EmbeddedVault;
use reveille_vault::embedded::Options;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{Vaults, router};

const ROOT: &str = "/vault/v/api/notes";
const T0: &str = "1970-01-01T00:00:01.000Z";
const T1: &str = "1970-01-01T00:00:01.001Z";
const T2: &str = "1970-01-01T00:00:01.002Z";

struct Api {
    router: Router,
    vault: Arc<EmbeddedVault>,
    _dir: TempDir,
}

impl Api {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(|| Timestamp::from_millisecond(1_000).unwrap());
        let options = Options {
            clock,
            ..Options::default()
        };
        let vault = EmbeddedVault::open_with("v", &dir.path().join("v.db"), options).unwrap();
        let vaults: Vaults = Arc::new(BTreeMap::from([("v".to_owned(), vault.clone() as _)]));
        Self {
            router: router(vaults),
            vault,
            _dir: dir,
        }
    }

    async fn raw(&self, method: &str, uri: &str, body: impl Into<Body>) -> (StatusCode, HeaderMap, Value) {
        let request = Request::builder().method(method).uri(uri).body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(headers[header::CONTENT_TYPE], "application/json", "{method} {uri}");
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, uri: &str) -> (u16, Value) {
        let (status, _, body) = self.raw("GET", uri, "").await;
        (status.as_u16(), body)
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw("POST", ROOT, body.to_string()).await;
        (status.as_u16(), body)
    }

    async fn patch(&self, key: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw("PATCH", &format!("{ROOT}/{key}"), body.to_string()).await;
        (status.as_u16(), body)
    }

    /// Ids of a listing, joined.
    async fn ids(&self, query: &str) -> String {
        let (status, body) = self.get(&format!("{ROOT}?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let ids = body.as_array().unwrap().iter().map(|note| note["id"].as_str().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    }
}

/// What clients key on, without the sentence for people (which must be there).
fn coded((status, mut body): (u16, Value)) -> (u16, Value) {
    let message = body.as_object_mut().unwrap().remove("message");
    assert!(
        message.is_some_and(|text| text.as_str().is_some_and(|text| text.len() > 10)),
        "{body}"
    );
    (status, body)
}

fn wrong(field: &str) -> (u16, Value) {
    (
        400,
        json!({ "error": "invalid_request", "error_type": "invalid_request", "field": field }),
    )
}

fn not_found() -> (u16, Value) {
    (404, json!({ "error": "Not found", "error_type": "not_found" }))
}

#[tokio::test]
async fn a_note_is_created_and_read_back() {
    let api = Api::new();
    let note = json!({
        "id": "n", "path": "channel/uni/m1", "content": "hello agent", "tags": ["agent/message", "#agent/message/inbound"],
        "metadata": { "agent": "uni", "count": 1, "none": null }, "unknown": ["ignored"]
    });
    let expected = json!({
        "id": "n", "path": "channel/uni/m1", "content": "hello agent", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "uni", "count": 1, "none": null }, "createdAt": T0, "updatedAt": T0
    });
    assert_eq!(api.post(note).await, (201, expected.clone()));
    for uri in [
        "/n",
        "/channel%2Funi%2Fm1",
        "/channel/uni/m1",
        "?id=n",
        "?id=channel/uni/m1",
    ] {
        assert_eq!(api.get(&format!("{ROOT}{uri}")).await, (200, expected.clone()), "{uri}");
    }

    // Nothing that is empty is answered.
    let bare =
        json!({ "id": "b", "content": "x", "tags": [], "createdAt": "2026-07-02T10:00:00.000Z", "updatedAt": T0 });
    let note = json!({ "id": "b", "content": "x", "path": null, "createdAt": "2026-07-02T12:00:00+02:00" });
    assert_eq!(api.post(note).await, (201, bare.clone()));
    assert_eq!(api.get(&format!("{ROOT}/b")).await, (200, bare));

    let (status, made) = api.post(json!({ "path": "ü 100%/x" })).await;
    assert_eq!(status, 201);
    assert_eq!(api.get(&format!("{ROOT}/%C3%BC%20100%25%2Fx")).await, (200, made));
}

#[tokio::test]
async fn a_batch_is_written_as_a_whole() {
    let api = Api::new();
    let (status, notes) = api
        .post(json!({ "notes": [{ "id": "a", "content": "1" }, { "id": "b", "path": "p" }] }))
        .await;
    assert_eq!(
        (status, notes[0]["id"].as_str(), notes[1]["path"].as_str()),
        (201, Some("a"), Some("p"))
    );
    assert_eq!(api.post(json!({ "notes": [] })).await, (201, json!([])));

    let batch = |last: Value| json!({ "notes": [{ "id": "c", "content": "1" }, last] });
    assert_eq!(
        coded(api.post(batch(json!({ "path": "/p.md" }))).await),
        (
            409,
            json!({ "error": "path_conflict", "error_type": "path_conflict", "path": "p" })
        )
    );
    assert_eq!(
        coded(api.post(batch(json!({ "id": "a", "content": "x" }))).await),
        (
            409,
            json!({ "error": "id_conflict", "error_type": "id_conflict", "id": "a" })
        )
    );
    assert_eq!(
        coded(api.post(batch(json!({ "content": " ", "path": "/" }))).await),
        (
            400,
            json!({ "error": "EmptyNoteError", "error_type": "empty_note", "item_index": 1 })
        )
    );
    assert_eq!(
        coded(api.post(batch(json!({ "content": "x", "tags": "abc" }))).await),
        wrong("notes[1].tags")
    );
    assert_eq!(coded(api.post(batch(json!(1))).await), wrong("notes[1]"));
    let many = vec![json!({ "content": "x" }); 501];
    assert_eq!(
        coded(api.post(json!({ "notes": many })).await),
        (
            413,
            json!({ "error": "BatchTooLarge", "error_type": "batch_too_large", "limit": 500 })
        )
    );
    assert_eq!(api.ids("").await, "a b");
}

#[tokio::test]
async fn bad_input_is_refused_and_the_field_is_named() {
    let api = Api::new();
    for (field, value) in [
        ("id", json!(1)),
        ("id", json!("a/b")),
        ("path", json!(["a"])),
        ("content", json!(1)),
        ("tags", json!("abc")),
        ("tags", json!(["a", 1])),
        ("metadata", json!([])),
        ("metadata", json!("text")),
        ("createdAt", json!("yesterday")),
        ("created_at", json!(5)),
        ("notes", json!({})),
    ] {
        let mut note = json!({ "path": "p", "content": "x" });
        note[field] = value;
        assert_eq!(coded(api.post(note.clone()).await), wrong(field), "{note}");
    }
    let nowhere = (
        400,
        json!({ "error": "invalid_request", "error_type": "invalid_request" }),
    );
    for body in ["", " ", "{", "[]", "1", "null", "{\"content\": \"x\",}", "\u{feff}{}"] {
        let (status, _, answer) = api.raw("POST", ROOT, body).await;
        assert_eq!(coded((status.as_u16(), answer)), nowhere, "{body:?}");
    }
    assert_eq!(
        coded(api.post(json!({ "content": "x", "tags": ["a,b"] })).await),
        nowhere
    );
    assert_eq!(
        coded(
            api.post(json!({ "content": "x", "links": [{ "target": "y", "relationship": "r" }] }))
                .await
        ),
        (
            400,
            json!({ "error": "unsupported_parameter", "error_type": "unsupported_parameter", "parameter": "links" })
        )
    );
    assert_eq!(api.ids("").await, "");
    assert_eq!(api.post(json!({ "id": "n", "content": "x", "links": [] })).await.0, 201);

    for (field, value) in [
        ("content", json!(1)),
        ("append", json!(false)),
        ("path", json!(1)),
        ("metadata", json!([1])),
        ("tags", json!(["a"])),
        ("tags.add", json!("a")),
        ("tags.remove", json!([1])),
        ("force", json!("true")),
        ("if_updated_at", json!("yesterday")),
        ("if_missing", json!("maybe")),
    ] {
        let mut change = json!({ "force": true });
        match field.split_once('.') {
            Some((outer, inner)) => change[outer][inner] = value,
            None => change[field] = value,
        }
        assert_eq!(coded(api.patch("n", change.clone()).await), wrong(field), "{change}");
    }
    let bad_edit = (
        400,
        json!({ "error": "bad_request", "error_type": "bad_request", "field": "content_edit" }),
    );
    for edit in [
        json!("x"),
        json!({ "old_text": "x" }),
        json!({ "old_text": "", "new_text": "y" }),
    ] {
        assert_eq!(
            coded(api.patch("n", json!({ "content_edit": edit, "force": true })).await),
            bad_edit
        );
    }
    assert_eq!(api.get(&format!("{ROOT}/n")).await.1["updatedAt"], T0);
}

#[tokio::test]
async fn absent_things_are_told_apart() {
    let api = Api::new();
    assert_eq!(coded(api.get(&format!("{ROOT}/x")).await), not_found());
    assert_eq!(
        coded(api.get(&format!("{ROOT}?id=x")).await),
        (
            404,
            json!({ "error": "Note not found", "error_type": "not_found", "id": "x" })
        )
    );
    // An absent note is told before a missing precondition.
    assert_eq!(coded(api.patch("x", json!({ "content": "y" })).await), not_found());
    assert_eq!(
        coded(api.patch("x", json!({ "content": "y", "force": true })).await),
        not_found()
    );
    for uri in ["/vault/v/api/nonsense", "/vault/v/x", "/vault/v/api/notes/"] {
        assert_eq!(coded(api.get(uri).await), not_found(), "{uri}");
    }
    let no_vault = json!({ "error": "Vault not found", "error_type": "vault_not_found", "vault": "other" });
    for uri in [
        "/vault/other",
        "/vault/other/api/health",
        "/vault/other/api/notes",
        "/vault/other/api/notes/a",
        "/vault/other/x",
    ] {
        assert_eq!(coded(api.get(uri).await), (404, no_vault.clone()), "{uri}");
    }
    for (method, uri, allow) in [
        ("PUT", ROOT, "GET,HEAD,POST"),
        ("POST", "/vault/v/api/notes/n", "GET,HEAD,PATCH,DELETE"),
    ] {
        let (status, headers, body) = api.raw(method, uri, "").await;
        let expected = json!({ "error": "Method not allowed", "error_type": "method_not_allowed" });
        assert_eq!(coded((status.as_u16(), body)), (405, expected));
        assert_eq!(headers[header::ALLOW], allow);
    }
    let (status, _, body) = api.raw("GET", "/vault/v/api/notes/%ff", "").await;
    assert_eq!(coded((status.as_u16(), body)), wrong("path"));
}

#[tokio::test]
async fn the_vault_tells_of_itself() {
    let api = Api::new();
    assert_eq!(api.get("/vault/v").await, (200, json!({ "name": "v" })));
    assert_eq!(
        api.get("/vault/v/api/health").await,
        (200, json!({ "status": "ok", "vault": "v" }))
    );
}

#[tokio::test]
async fn an_unusable_vault_is_503_with_retry_after() {
    let api = Api::new();
    api.vault.close().await;
    for (method, uri, body) in [
        ("GET", "/vault/v/api/health", ""),
        ("GET", ROOT, ""),
        ("POST", ROOT, r#"{"content":"x"}"#),
        ("PATCH", "/vault/v/api/notes/n", r#"{"content":"x"}"#),
        ("DELETE", "/vault/v/api/notes/n", ""),
    ] {
        let (status, headers, body) = api.raw(method, uri, body).await;
        let expected = json!({ "error": "unavailable", "error_type": "unavailable" });
        assert_eq!(coded((status.as_u16(), body)), (503, expected), "{method} {uri}");
        assert_eq!(headers[header::RETRY_AFTER], "5");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_in_json() {
    let mut api = Api::new();
    api.router = api.router.layer(DefaultBodyLimit::max(100));
    let too_large = (413, json!({ "error": "too_large", "error_type": "too_large" }));
    assert_eq!(coded(api.post(json!({ "content": "x".repeat(200) })).await), too_large);
    assert_eq!(
        coded(api.patch("n", json!({ "content": "x".repeat(200) })).await),
        too_large
    );
}

#[tokio::test]
async fn lists_are_lean_unless_asked_otherwise() {
    let api = Api::new();
    let content = format!("  ü\n\n{}", "word ".repeat(50));
    let fields = json!({ "a": 1, "b": 2, "c": 3 });
    api.post(json!({ "id": "n", "content": content, "tags": ["t"], "metadata": fields }))
        .await;
    let preview: String = format!("ü {}", "word ".repeat(50)).chars().take(120).collect();
    let lean = json!({
        "id": "n", "tags": ["t"], "metadata": fields, "createdAt": T0, "updatedAt": T0,
        "byteSize": content.len(), "preview": preview
    });
    let full =
        json!({ "id": "n", "content": content, "tags": ["t"], "metadata": fields, "createdAt": T0, "updatedAt": T0 });
    assert_eq!(api.get(ROOT).await, (200, json!([lean])));
    assert_eq!(
        api.get(&format!("{ROOT}?include_content=true")).await,
        (200, json!([full]))
    );
    assert_eq!(
        api.get(&format!("{ROOT}/n?include_content=false")).await,
        (200, lean.clone())
    );
    assert_eq!(
        api.get(&format!("{ROOT}?id=n&include_content=0")).await,
        (200, lean.clone())
    );

    let mut without = lean.clone();
    without.as_object_mut().unwrap().remove("metadata");
    assert_eq!(
        api.get(&format!("{ROOT}?include_metadata=false")).await,
        (200, json!([without]))
    );
    let mut some = lean;
    some["metadata"] = json!({ "a": 1, "c": 3 });
    assert_eq!(
        api.get(&format!("{ROOT}?include_metadata=a,c,x")).await,
        (200, json!([some]))
    );
    assert_eq!(
        coded(api.get(&format!("{ROOT}?include_content=maybe")).await),
        wrong("include_content")
    );
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_cut() {
    let api = Api::new();
    let note = |id: &str, tags: &[&str], fields: Value| json!({ "id": id, "path": format!("Dir/{id}"), "tags": tags, "metadata": fields });
    api.post(json!({ "notes": [
        note("q1", &["x"], json!({ "agent": "eng", "done": true })),
        note("q2", &["x", "y"], json!({ "agent": "ops", "done": "true" })),
        note("q3", &["y"], json!({ "agent": "eng" })),
        { "id": "q4", "content": "no path" }
    ] }))
    .await;
    for (query, expected) in [
        ("", "q1 q2 q3 q4"),
        ("sort=desc", "q4 q3 q2 q1"),
        ("sort=whatever", "q1 q2 q3 q4"),
        ("tag=x,y", "q1 q2 q3"),
        ("tag=x&tag=y", "q1 q2 q3"),
        ("tag=%23x", "q1 q2"),
        ("tag=", "q1 q2 q3 q4"),
        ("tag=x,y&tag_match=any", "q1 q2 q3"),
        ("tag=x,y&tag_match=all", "q2"),
        ("tag=x,y&tag_match=both", "q2"),
        ("tag=x&exclude_tag=y", "q1"),
        ("exclude_tag=x,y", "q4"),
        ("exclude_tags=x", "q3 q4"),
        ("path=dir/Q1", "q1"),
        ("path_prefix=dir/", "q1 q2 q3"),
        ("path_prefix=dir_", ""),
        ("meta.agent=eng", "q1 q3"),
        ("meta.agent=eng&tag=x", "q1"),
        ("meta.done=true", "q1 q2"),
        ("meta.agent=eng&meta.done=true", "q1"),
        ("limit=2", "q1 q2"),
        ("limit=0", ""),
        ("limit=-1", "q1 q2 q3 q4"),
        ("limit=many", "q1 q2 q3 q4"),
        ("limit=1000000", "q1 q2 q3 q4"),
        ("limit=2&offset=1", "q2 q3"),
        ("offset=-5", "q1 q2 q3 q4"),
        ("search=&near=", "q1 q2 q3 q4"),
        ("include_links=false&expand_links=0", "q1 q2 q3 q4"),
        ("unknown=1&key=secret", "q1 q2 q3 q4"),
    ] {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
    let nowhere = (
        400,
        json!({ "error": "invalid_request", "error_type": "invalid_request" }),
    );
    for query in ["cursor=nonsense", "tag=%23"] {
        assert_eq!(coded(api.get(&format!("{ROOT}?{query}")).await), nowhere, "{query}");
    }
}

#[tokio::test]
async fn the_queries_of_the_older_agent_work() {
    let api = Api::new();
    let note = |id: &str, tags: &[&str]| json!({ "id": id, "content": "x", "tags": tags });
    api.post(json!({ "notes": [
        note("in", &["agent/message", "agent/message/inbound"]),
        note("out", &["agent/message", "agent/message/outbound"]),
        note("job", &["agent/job"]),
        note("def", &["agent/definition"]),
        note("thread", &["agent/thread"]),
        note("in2", &["agent/message", "agent/message/inbound"])
    ] }))
    .await;
    for (query, expected) in [
        ("tag=agent%2Fmessage&include_content=true&limit=800", "in out in2"),
        (
            "tag=agent%2Fmessage%2Finbound&include_content=true&limit=800&sort=desc",
            "in2 in",
        ),
        ("tag=agent%2Fjob&include_content=true&limit=500", "job"),
        ("tag=agent%2Fdefinition&include_content=true&limit=500", "def"),
        ("tag=agent%2Fthread&limit=500", "thread"),
    ] {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_the_cursor_in_the_header() {
    let api = Api::new();
    for batch in 0..2 {
        let notes: Vec<_> = (0..60)
            .map(|number| json!({ "id": format!("n{batch}{number:02}"), "content": "x" }))
            .collect();
        api.post(json!({ "notes": notes })).await;
    }
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let uri = format!("{ROOT}?sort=desc&cursor={cursor}");
        let (_, headers, body) = api.raw("GET", &uri, "").await;
        let page = body.as_array().unwrap().clone();
        sizes.push(page.len());
        seen.extend(page.into_iter().map(|note| note["id"].as_str().unwrap().to_owned()));
        let Some(next) = headers.get("x-next-cursor") else {
            break;
        };
        cursor = next.to_str().unwrap().to_owned();
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
}

#[tokio::test]
async fn what_is_not_supported_is_refused() {
    let api = Api::new();
    for query in [
        "search=apple",
        "near[note_id]=x",
        "near%5Bdepth%5D=2",
        "order_by=status",
        "date_from=2026-01-01",
        "has_tags=true",
        "has_links=false",
        "format=graph",
        "metadata[agent]=eng",
        "include_links=true",
        "include_attachments=1",
        "expand_links=true",
    ] {
        let (status, body) = coded(api.get(&format!("{ROOT}?{query}")).await);
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some("unsupported_parameter")),
            "{query}"
        );
        let name = query.split('=').next().unwrap().replace("%5B", "[").replace("%5D", "]");
        assert_eq!(body["parameter"], name);
    }
    assert_eq!(api.get(&format!("{ROOT}/x?include_links=true")).await.0, 400);
}

#[tokio::test]
async fn a_patch_needs_a_precondition() {
    let api = Api::new();
    api.post(json!({ "id": "n", "path": "p/one", "content": "v1" })).await;
    let required = json!({
        "error": "precondition_required", "error_type": "precondition_required", "note_id": "n", "path": "p/one"
    });
    for change in [
        json!({ "content": "v2" }),
        json!({ "tags": { "add": ["t"] } }),
        json!({ "append": "x", "metadata": { "a": 1 } }),
        json!({ "content": "v2", "force": false }),
        json!({}),
    ] {
        assert_eq!(
            coded(api.patch("p%2Fone", change.clone()).await),
            (428, required.clone()),
            "{change}"
        );
    }

    let note = |content: &str, updated: &str| {
        json!({
            "id": "n", "path": "p/one", "content": content, "tags": [], "createdAt": T0, "updatedAt": updated
        })
    };
    let change = |content: &str| json!({ "content": content, "if_updated_at": T0 });
    assert_eq!(api.patch("p%2Fone", change("v2")).await, (200, note("v2", T1)));
    let conflict = json!({
        "error": "conflict", "error_type": "conflict", "note_id": "n", "path": "p/one",
        "current_updated_at": T1, "your_updated_at": T0, "expected_updated_at": T0
    });
    assert_eq!(coded(api.patch("n", change("v3")).await), (409, conflict.clone()));
    // Who names a state is held to it, force or not.
    assert_eq!(
        coded(
            api.patch("n", json!({ "content": "v3", "if_updated_at": T0, "force": true }))
                .await
        ),
        (409, conflict)
    );

    // Extending needs no precondition; forcing is one.
    assert_eq!(
        api.patch("n", json!({ "append": "!", "prepend": "<" })).await,
        (200, note("<v2!", T2))
    );
    let forced = api
        .patch("n", json!({ "content": "v4", "force": true, "unknown": 1 }))
        .await;
    assert_eq!(forced, (200, note("v4", "1970-01-01T00:00:01.003Z")));
    // Nothing changes, nothing is written.
    assert_eq!(api.patch("n", json!({ "content": "v4", "force": true })).await, forced);
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let api = Api::new();
    let created = json!({ "id": "n", "path": "p", "content": "one two one", "tags": ["a", "b"], "metadata": { "x": 1, "o": { "k": 1 } } });
    api.post(created).await;
    api.post(json!({ "id": "other", "path": "taken" })).await;
    let force = |mut change: Value| {
        change["force"] = true.into();
        change
    };
    for (change, field, expected) in [
        (
            json!({ "content_edit": { "old_text": "two", "new_text": "2" } }),
            "content",
            json!("one 2 one"),
        ),
        (
            json!({ "tags": { "add": ["#c", "a"], "remove": ["b"] } }),
            "tags",
            json!(["a", "c"]),
        ),
        (
            json!({ "metadata": { "x": null, "o": { "l": 2 } } }),
            "metadata",
            json!({ "x": null, "o": { "l": 2 } }),
        ),
        (json!({ "path": "new/p.md" }), "path", json!("new/p")),
        (json!({ "path": null }), "path", Value::Null),
        (json!({ "path": "p" }), "path", json!("p")),
        (json!({ "path": "" }), "path", Value::Null),
        (
            json!({ "created_at": "2026-07-02T10:00:00Z" }),
            "createdAt",
            json!("2026-07-02T10:00:00.000Z"),
        ),
    ] {
        let (status, note) = api.patch("n", force(change.clone())).await;
        assert_eq!((status, &note[field]), (200, &expected), "{change}");
    }
    let before = api.get(&format!("{ROOT}/n")).await;
    for (change, status, body) in [
        (
            json!({ "content_edit": { "old_text": "absent", "new_text": "" } }),
            422,
            json!({ "error": "unprocessable_content", "error_type": "unprocessable_content" }),
        ),
        (
            json!({ "content_edit": { "old_text": "one", "new_text": "" } }),
            409,
            json!({ "error": "ambiguous", "error_type": "ambiguous", "count": 2 }),
        ),
        (
            json!({ "path": "taken" }),
            409,
            json!({ "error": "path_conflict", "error_type": "path_conflict", "path": "taken" }),
        ),
        (
            json!({ "content": " " }),
            400,
            json!({ "error": "EmptyNoteError", "error_type": "empty_note", "note_id": "n" }),
        ),
        (
            json!({ "content": "x", "append": "y" }),
            400,
            json!({ "error": "mutually_exclusive", "error_type": "mutually_exclusive" }),
        ),
        (
            json!({ "content": "x", "content_edit": { "old_text": "one", "new_text": "" } }),
            400,
            json!({ "error": "mutually_exclusive", "error_type": "mutually_exclusive" }),
        ),
    ] {
        assert_eq!(
            coded(api.patch("n", force(change.clone())).await),
            (status, body),
            "{change}"
        );
    }
    assert_eq!(api.get(&format!("{ROOT}/n")).await, before);
}

#[tokio::test]
async fn a_missing_note_is_created_when_asked() {
    let api = Api::new();
    let change = json!({
        "path": "Threads/eng/main", "tags": ["agent/thread"], "metadata": { "status": "working" },
        "if_missing": "create", "force": true
    });
    let (status, made) = api.patch("Threads%2Feng%2Fmain", change).await;
    let expected = json!({
        "id": made["id"], "path": "Threads/eng/main", "content": "", "tags": ["agent/thread"],
        "metadata": { "status": "working" }, "createdAt": T0, "updatedAt": T0
    });
    assert_eq!((status, &made), (201, &expected));

    // It is there now: the list of tags is left alone, the content kept.
    let again = json!({ "tags": ["other"], "metadata": { "turns": 1 }, "if_missing": "create", "force": true });
    let mut changed = expected;
    changed["metadata"] = json!({ "status": "working", "turns": 1 });
    changed["updatedAt"] = T1.into();
    for key in ["Threads%2Feng%2Fmain", "Threads/eng/main.md"] {
        assert_eq!(api.patch(key, again.clone()).await, (200, changed.clone()), "{key}");
    }
    // Its precondition still counts.
    let unguarded = json!({ "metadata": { "turns": 2 }, "if_missing": "create" });
    assert_eq!(api.patch("Threads/eng/main", unguarded).await.0, 428);
    let stale = json!({ "metadata": { "turns": 2 }, "if_missing": "create", "if_updated_at": T0 });
    assert_eq!(api.patch("Threads/eng/main", stale).await.0, 409);

    let (status, made) = api
        .patch(
            "t/new",
            json!({ "content": "text", "tags": { "add": ["t"] }, "if_missing": "create" }),
        )
        .await;
    assert_eq!(
        (status, &made["content"], &made["tags"]),
        (201, &json!("text"), &json!(["t"]))
    );
    let edit = json!({ "content_edit": { "old_text": "a", "new_text": "b" }, "if_missing": "create", "force": true });
    assert_eq!(api.patch("t/none", edit.clone()).await.0, 422);
    assert_eq!(api.get(&format!("{ROOT}/t/none")).await.0, 404);
    api.patch("t/new", json!({ "content": "a", "force": true })).await;
    assert_eq!(api.patch("t/new", edit).await.1["content"], "b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_forty_patches_with_one_precondition_one_wins() {
    let api = Arc::new(Api::new());
    api.post(json!({ "id": "n", "content": "x" })).await;
    let patches: Vec<_> = (0..40)
        .map(|number| {
            let api = Arc::clone(&api);
            let change = json!({ "metadata": { "winner": number }, "if_updated_at": T0 });
            tokio::spawn(async move { api.patch("n", change).await.0 })
        })
        .collect();
    let mut statuses = BTreeMap::new();
    for patch in patches {
        *statuses.entry(patch.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 1), (409, 39)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creations_of_a_missing_note_make_one() {
    let api = Arc::new(Api::new());
    let patches: Vec<_> = (0..20)
        .map(|number| {
            let api = Arc::clone(&api);
            let change = json!({ "metadata": { format!("k{number}"): 1 }, "if_missing": "create", "force": true });
            tokio::spawn(async move { api.patch("t/one", change).await.0 })
        })
        .collect();
    let mut statuses = BTreeMap::new();
    for patch in patches {
        *statuses.entry(patch.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 19), (201, 1)]));
    let (_, note) = api.get(&format!("{ROOT}/t/one")).await;
    assert_eq!(note["metadata"].as_object().unwrap().len(), 20);
}

#[tokio::test]
async fn a_note_is_deleted_once() {
    let api = Api::new();
    api.post(json!({ "id": "n", "path": "a/b", "content": "x" })).await;
    let (status, _, body) = api.raw("DELETE", &format!("{ROOT}/a%2Fb"), "").await;
    assert_eq!((status.as_u16(), body), (200, json!({ "deleted": true, "id": "n" })));
    let (status, _, body) = api.raw("DELETE", &format!("{ROOT}/n"), "").await;
    assert_eq!(coded((status.as_u16(), body)), not_found());
}
