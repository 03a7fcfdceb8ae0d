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
    for query in ["cursor=nonsense", "tag=%23"] {
        let answer = api.get(&format!("{ROOT}?{query}")).await;
        assert_eq!(
            query_error(answer),
            (400, "INVALID_QUERY".into(), Value::Null),
            "{query}"
        );
    }
}

/// Code and field of a refused listing, whose `error` is a sentence.
fn query_error((status, body): (u16, Value)) -> (u16, String, Value) {
    assert_eq!(body["error"], body["message"], "{body}");
    assert_eq!(body["error_type"], "invalid_query", "{body}");
    (status, body["code"].as_str().unwrap().to_owned(), body["field"].clone())
}

#[tokio::test]
async fn lists_are_filtered_by_operators_dates_and_words() {
    let api = Api::new();
    let note = |id: &str, created: &str, fields: Value, content: &str| {
        let tags = if id == "q4" { json!([]) } else { json!(["t"]) };
        json!({ "id": id, "createdAt": created, "metadata": fields, "content": content, "tags": tags })
    };
    let first = json!({ "agent": "eng", "rank": 1, "due": "2026-01-05", "state": "open" });
    let second = json!({ "agent": "ops", "rank": "10", "due": "2026-02-05", "state": "a,b" });
    api.post(json!({ "notes": [
        note("q1", "2026-07-01T10:00:00Z", first, "red apples"),
        note("q2", "2026-07-02T10:00:00Z", second, "banana-2, red"),
        note("q3", "2026-07-03T10:00:00Z", json!({ "agent": "eng", "rank": 2.5, "due": null }), "a plum, red red"),
        note("q4", "2026-07-01T10:00:00Z", json!({}), "nothing")
    ] }))
    .await;
    let schema = json!({ "fields": { "rank": { "indexed": true }, "due": { "indexed": true } } });
    let (status, _, _) = api.raw("PUT", "/vault/v/api/tags/t", schema.to_string()).await;
    assert_eq!(status, 200);
    for (query, expected) in [
        ("meta.rank[gt]=1", "q2 q3"),
        ("meta.rank%5Bgte%5D=1&meta.rank%5Blt%5D=10", "q1 q3"),
        ("meta.rank[lte]=2.5&meta.agent=eng", "q1 q3"),
        ("meta.state[eq]=open", "q1"),
        ("meta.state[ne]=open", "q4 q2 q3"),
        ("meta.state[in]=open,%20closed", "q1"),
        ("meta.state[in]=[%22a,b%22,%22closed%22]", "q2"),
        ("meta.state[in]=", ""),
        ("meta.state[not_in]=", "q1 q4 q2 q3"),
        ("meta.state[not_in]=open", "q4 q2 q3"),
        ("meta.state[exists]=true", "q1 q2"),
        ("meta.due[exists]=0", "q4 q3"),
        ("meta.due[eq]=null", "q4 q3"),
        ("meta.due[ne]=null", "q1 q2"),
        ("has_tags=true", "q1 q2 q3"),
        ("has_tags=0", "q4"),
        ("has_tags=", "q1 q4 q2 q3"),
        ("tag=t&has_tags=false", "q1 q2 q3"),
        ("date_from=2026-07-02", "q2 q3"),
        ("date_from=2026-07&date_to=2026-07-02T10:00:00.000Z", "q1 q4"),
        ("date_field=created_at&date_to=2026-07-03", "q1 q4 q2"),
        ("date_field=updated_at&date_from=1970", "q1 q4 q2 q3"),
        ("date_field=updated_at&date_from=1971", ""),
        ("date_field=due&date_from=2026-02", "q2"),
        ("date_field=nowhere", "q1 q4 q2 q3"),
        ("updated_since=1970-01-01T00:00:01.000Z", "q1 q4 q2 q3"),
        ("updated_since=1970-01-01T00:00:01.001Z", ""),
        ("order_by=rank", "q1 q3 q2 q4"),
        ("order_by=rank&sort=desc", "q2 q3 q1 q4"),
        ("order_by=agent&tag=t", "q1 q3 q2"),
        ("order_by=updated_at&sort=desc", "q4 q3 q2 q1"),
        ("order_by=created_at&limit=1&offset=1", "q4"),
        ("order_by=path", "q1 q2 q3 q4"),
        ("search=red", "q3 q1 q2"),
        ("search=banana-2", "q2"),
        ("search=app*", "q1"),
        ("search=apples%20AND", ""),
        ("search=%22", ""),
        ("search=red&meta.agent=eng&date_to=2026-07-02", "q1"),
        ("search=red&sort=desc&limit=1", "q3"),
        ("search=red&order_by=created_at&sort=desc", "q3 q2 q1"),
        ("search=red&tag=absent", ""),
    ] {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_coded() {
    let api = Api::new();
    for (query, code, field) in [
        ("meta.rank[like]=1", "UNKNOWN_OPERATOR", json!("meta.rank[like]")),
        ("meta.rank[]=1", "UNKNOWN_OPERATOR", json!("meta.rank[]")),
        (
            "meta.rank[exists]=maybe",
            "INVALID_OPERATOR_VALUE",
            json!("meta.rank[exists]"),
        ),
        ("meta.rank[in]=[[1]]", "INVALID_OPERATOR_VALUE", json!("meta.rank[in]")),
        ("order_by=rank", "FIELD_NOT_INDEXED", json!("rank")),
        ("date_field=due&date_from=2026", "FIELD_NOT_INDEXED", json!("due")),
        ("date_from=yesterday", "INVALID_QUERY", json!("date_from")),
        ("updated_since=1", "INVALID_QUERY", json!("updated_since")),
        ("order_by=updated_at&cursor=a1.1", "INVALID_QUERY", Value::Null),
        ("search=x&cursor=a1.1", "INVALID_QUERY", Value::Null),
        ("tags=x", "INVALID_QUERY", json!("tags")),
        ("orderby=path", "INVALID_QUERY", json!("orderby")),
        ("exclude_tgs=x", "INVALID_QUERY", json!("exclude_tgs")),
    ] {
        let answer = api.get(&format!("{ROOT}?{query}")).await;
        assert_eq!(query_error(answer), (400, code.into(), field), "{query}");
    }
    let long = format!("{ROOT}?search={}", "x".repeat(5_000));
    assert_eq!(query_error(api.get(&long).await).1, "INVALID_QUERY");
    assert_eq!(
        coded(api.get(&format!("{ROOT}?has_tags=maybe")).await),
        wrong("has_tags")
    );
    for ignored in ["key=secret", "token=x", "_=17", "t=1", "ts=1", "page=2", "v=3"] {
        assert_eq!(api.ids(ignored).await, "", "{ignored}");
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
    for order in [
        "sort=desc",
        "sort=desc&order_by=updated_at",
        "sort=desc&order_by=agent",
        "search=x",
    ] {
        let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let uri = format!("{ROOT}?{order}&cursor={cursor}");
            let (_, headers, body) = api.raw("GET", &uri, "").await;
            let page = body.as_array().unwrap().clone();
            sizes.push(page.len());
            seen.extend(page.into_iter().map(|note| note["id"].as_str().unwrap().to_owned()));
            let Some(next) = headers.get("x-next-cursor") else {
                break;
            };
            cursor = next.to_str().unwrap().to_owned();
        }
        assert_eq!(sizes, [50, 50, 20], "{order}");
        assert!(seen.is_sorted_by(|one, next| one > next), "{order}: {seen:?}");
    }
}

#[tokio::test]
async fn what_is_not_supported_is_refused() {
    let api = Api::new();
    for query in ["metadata[agent]=eng"] {
        let (status, body) = coded(api.get(&format!("{ROOT}?{query}")).await);
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some("unsupported_parameter")),
            "{query}"
        );
        assert_eq!(body["parameter"], query.split('=').next().unwrap());
    }
}
