//! Creating and deleting, and input that is refused.

use axum::extract::DefaultBodyLimit;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Api, ROOT, T0, coded, not_found, wrong};

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
async fn a_note_is_deleted_once() {
    let api = Api::new();
    api.post(json!({ "id": "n", "path": "a/b", "content": "x" })).await;
    let (status, _, body) = api.raw("DELETE", &format!("{ROOT}/a%2Fb"), "").await;
    assert_eq!((status.as_u16(), body), (200, json!({ "deleted": true, "id": "n" })));
    let (status, _, body) = api.raw("DELETE", &format!("{ROOT}/n"), "").await;
    assert_eq!(coded((status.as_u16(), body)), not_found());
}
