//! Changing a note: preconditions, fields, and creating what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Api, ROOT, T0, T1, T2, coded};

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
