//! Reading: notes, listings, what is absent, refused or unusable.

use axum::http::header;
use pretty_assertions::assert_eq;
use reveille_vault::Vault as _;
use serde_json::{Value, json};

use super::{Api, ROOT, T0, coded, not_found, wrong};

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
    assert_eq!(api.get("/vault/v").await.1["name"], "v");
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
        "order_by=status",
        "date_from=2026-01-01",
        "has_tags=true",
        "metadata[agent]=eng",
    ] {
        let (status, body) = coded(api.get(&format!("{ROOT}?{query}")).await);
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some("unsupported_parameter")),
            "{query}"
        );
        assert_eq!(body["parameter"], query.split('=').next().unwrap());
    }
}
