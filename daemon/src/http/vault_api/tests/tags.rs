//! Tags, and the vault as a whole.

use pretty_assertions::assert_eq;
use reveille_vault::{Key, TagChange, Tags as _, Vault as _};

use super::*;
use crate::tokens::{NewGrant, Scope, Verb};

const TAGS: &str = "/vault/v/api/tags";

impl Api {
    async fn send(&self, method: &str, uri: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.raw(method, uri, body.to_string()).await;
        (status.as_u16(), body)
    }

    async fn put_tag(&self, name: &str, body: Value) -> (u16, Value) {
        self.send("PUT", &format!("{TAGS}/{name}"), body).await
    }

    async fn three_notes(&self) {
        let note = |id: &str, tags: &[&str]| json!({ "id": id, "content": "x", "tags": tags });
        let notes = [note("n1", &["b", "a/x"]), note("n2", &["b"]), note("n3", &["#c"])];
        self.post(json!({ "notes": notes })).await;
    }
}

#[tokio::test]
async fn tags_are_listed_and_read() {
    let api = Api::new();
    api.three_notes().await;
    api.raw("DELETE", &format!("{ROOT}/n3"), "").await;
    let counts = json!([{ "name": "a/x", "count": 1 }, { "name": "b", "count": 2 }, { "name": "c", "count": 0 }]);
    assert_eq!(api.get(TAGS).await, (200, counts.clone()));
    assert_eq!(api.get(&format!("{TAGS}?include_schema=false")).await, (200, counts));
    let full = |name: &str, count: u32| json!({ "name": name, "count": count, "description": null, "fields": null, "parent_names": [] });
    assert_eq!(
        api.get(&format!("{TAGS}?include_schema=true")).await,
        (200, json!([full("a/x", 1), full("b", 2), full("c", 0)]))
    );
    for name in ["a%2Fx", "a/x", "%23a/x", "%23a%2Fx"] {
        assert_eq!(
            api.get(&format!("{TAGS}/{name}")).await,
            (200, full("a/x", 1)),
            "{name}"
        );
        assert_eq!(
            api.get(&format!("{TAGS}?tag={name}")).await,
            (200, full("a/x", 1)),
            "{name}"
        );
    }
    // A tag that nobody knows is no error by contract.
    assert_eq!(api.get(&format!("{TAGS}/%23nope")).await, (200, full("nope", 0)));
    assert_eq!(
        coded(api.get(&format!("{TAGS}?include_schema=x")).await),
        wrong("include_schema")
    );
}

#[tokio::test]
async fn a_schema_is_put_and_merged_by_key() {
    let api = Api::new();
    let fields = json!({ "one": { "type": "string", "indexed": true } });
    let expected = json!({ "tag": "agent/x", "description": "what", "fields": fields, "parent_names": [] });
    let put = api
        .put_tag(
            "agent%2Fx",
            json!({ "description": "what", "fields": fields, "more": 1 }),
        )
        .await;
    assert_eq!(put, (200, expected));
    let put = api
        .put_tag(
            "%23agent/x",
            json!({ "fields": { "two": {} }, "parent_names": ["#agent", "agent"] }),
        )
        .await;
    let fields = json!({ "one": { "type": "string", "indexed": true }, "two": {} });
    assert_eq!(
        put,
        (
            200,
            json!({ "tag": "agent/x", "description": "what", "fields": fields, "parent_names": ["agent"] })
        )
    );
    // Null is as good as absent.
    let same = api
        .put_tag(
            "agent/x",
            json!({ "description": null, "fields": null, "parent_names": null }),
        )
        .await;
    assert_eq!(same, put);
    let read = json!({
        "name": "agent/x", "count": 0, "description": "what", "fields": fields, "parent_names": ["agent"]
    });
    assert_eq!(api.get(&format!("{TAGS}/agent%2Fx")).await, (200, read));
}

#[tokio::test]
async fn a_bad_schema_is_refused_with_its_place() {
    let api = Api::new();
    for (body, field) in [
        (json!({ "description": 1 }), "description"),
        (json!({ "fields": [] }), "fields"),
        (json!({ "parent_names": "x" }), "parent_names"),
        (json!({ "parent_names": [1] }), "parent_names"),
    ] {
        assert_eq!(coded(api.put_tag("t", body.clone()).await), wrong(field), "{body}");
    }
    for body in [
        json!({ "fields": { "a": { "type": "strnig" } } }),
        json!({ "fields": { "a": "string" } }),
        json!({ "parent_names": [" # "] }),
    ] {
        let (status, answer) = coded(api.put_tag("t", body.clone()).await);
        assert_eq!(
            (status, answer["error"].as_str()),
            (400, Some("invalid_request")),
            "{body}"
        );
    }
    assert_eq!(api.send("PUT", &format!("{TAGS}/a,b"), json!({})).await.0, 400);
    let (status, _, _) = api.raw("PUT", &format!("{TAGS}/t"), "{nonsense").await;
    assert_eq!(status, 400);
    assert_eq!(api.get(TAGS).await, (200, json!([])));
}

#[tokio::test]
async fn listings_know_what_is_a_kind_of_a_tag() {
    let api = Api::new();
    api.three_notes().await;
    api.put_tag("b", json!({ "parent_names": ["top"] })).await;
    let child = json!({ "id": "says", "path": "_tags/c", "metadata": { "parents": ["b"] } });
    api.post(child).await;
    for (query, expected) in [
        ("tag=top", "n1 n2 n3"),
        ("tag=%23b", "n1 n2 n3"),
        ("tag=c", "n3"),
        ("tag=top,a/x&tag_match=all", "n1"),
        ("exclude_tag=top", "n1 n2 n3 says"),
        ("exclude_tag=b", "n3 says"),
    ] {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
    api.raw("DELETE", &format!("{ROOT}/says"), "").await;
    assert_eq!(api.ids("tag=top").await, "n1 n2");
}

#[tokio::test]
async fn no_note_gets_the_fields_of_its_tags() {
    let api = Api::new();
    api.put_tag(
        "t",
        json!({ "fields": { "status": { "type": "string", "enum": ["new"] } } }),
    )
    .await;
    let (status, note) = api.post(json!({ "id": "n", "content": "x", "tags": ["t"] })).await;
    assert_eq!(status, 201);
    assert_eq!(api.get(&format!("{ROOT}/n")).await, (200, note.clone()));
    assert_eq!(note.get("metadata"), None);
}

#[tokio::test]
async fn tags_are_renamed_merged_and_removed() {
    let api = Api::new();
    api.three_notes().await;
    let rename = async |name: &str, body: Value| api.send("POST", &format!("{TAGS}/{name}/rename"), body).await;
    assert_eq!(
        rename("b", json!({ "new_name": "#new/b" })).await,
        (200, json!({ "renamed": 2 }))
    );
    assert_eq!(
        rename("new/b", json!({ "new_name": "b2" })).await,
        (200, json!({ "renamed": 2 }))
    );
    assert_eq!(rename("b2", json!({ "new_name": "b/rename" })).await.0, 200);
    assert_eq!(
        rename("b%2Frename", json!({ "new_name": "b" })).await,
        (200, json!({ "renamed": 2 }))
    );
    let absent = json!({ "error": "not_found", "error_type": "not_found", "tag": "nope" });
    assert_eq!(coded(rename("nope", json!({ "new_name": "x" })).await), (404, absent));
    let taken = json!({ "error": "target_exists", "error_type": "target_exists", "target": "c" });
    assert_eq!(coded(rename("b", json!({ "new_name": "c" })).await), (409, taken));
    for body in [json!({}), json!({ "new_name": 1 })] {
        assert_eq!(coded(rename("b", body).await), wrong("new_name"));
    }
    assert_eq!(rename("b", json!({ "new_name": " " })).await.0, 400);

    let merge = async |body: Value| api.send("POST", &format!("{TAGS}/merge"), body).await;
    let merged = json!({ "merged": { "b": 2, "nope": 0 }, "target": "c" });
    assert_eq!(
        merge(json!({ "sources": ["#b", "nope"], "target": "#c" })).await,
        (200, merged)
    );
    assert_eq!(api.ids("tag=c").await, "n1 n2 n3");
    assert_eq!(coded(merge(json!({ "target": "c" })).await), wrong("sources"));
    assert_eq!(coded(merge(json!({ "sources": ["x"] })).await), wrong("target"));
    assert_eq!(api.send("POST", &format!("{TAGS}/c"), json!({})).await.0, 404);

    let delete = async |name: &str| api.send("DELETE", &format!("{TAGS}/{name}"), json!({})).await;
    assert_eq!(
        delete("%23c").await,
        (200, json!({ "deleted": true, "notes_untagged": 3 }))
    );
    assert_eq!(
        delete("c").await,
        (200, json!({ "deleted": false, "notes_untagged": 0 }))
    );
}

#[tokio::test]
async fn the_vault_is_described_and_counted() {
    let api = Api::new();
    let settings = |description: Value| json!({ "name": "v", "description": description, "config": { "audio_retention": "keep" } });
    let uri = "/vault/v/api/vault";
    assert_eq!(api.get(uri).await, (200, settings(Value::Null)));
    let patch = async |body: Value| api.send("PATCH", uri, body).await;
    let expected = (200, settings(json!("my notes")));
    assert_eq!(patch(json!({ "description": " my notes " })).await, expected);
    assert_eq!(
        patch(json!({ "config": { "audio_retention": "keep" } })).await,
        expected
    );
    assert_eq!(coded(patch(json!({ "description": 1 })).await), wrong("description"));
    let (status, body) = coded(patch(json!({ "config": { "audio_retention": "never" }, "description": "x" })).await);
    assert_eq!(
        (status, body["parameter"].as_str()),
        (400, Some("config.audio_retention"))
    );
    assert_eq!(api.get(uri).await, expected);

    api.three_notes().await;
    api.post(json!({ "id": "old", "content": "[[p]]", "createdAt": "1969-11-30T10:00:00Z" }))
        .await;
    api.post(json!({ "id": "p", "path": "p", "createdAt": "2026-07-02T10:00:00.000Z" }))
        .await;
    let stats = json!({
        "totalNotes": 5,
        "earliestNote": { "id": "old", "createdAt": "1969-11-30T10:00:00.000Z" },
        "latestNote": { "id": "p", "createdAt": "2026-07-02T10:00:00.000Z" },
        "notesByMonth": [
            { "month": "1969-11", "count": 1 }, { "month": "1970-01", "count": 3 }, { "month": "2026-07", "count": 1 }
        ],
        "topTags": [{ "tag": "b", "count": 2 }, { "tag": "a/x", "count": 1 }, { "tag": "c", "count": 1 }],
        "tagCount": 3,
        "linkCount": 1
    });
    let mut with_stats = settings(json!("my notes"));
    with_stats["stats"] = stats.clone();
    assert_eq!(api.get(&format!("{uri}?include_stats=true")).await, (200, with_stats));
    let (status, about) = api.get("/vault/v").await;
    assert_eq!(status, 200);
    assert_eq!((&about["stats"], &about["description"]), (&stats, &json!("my notes")));
    assert_eq!(about["maxAttachment"], super::MAX_FILE);
    assert!(about["createdAt"].as_str().is_some_and(|time| time > T0));
    assert_eq!(
        patch(json!({ "description": null })).await,
        (200, settings(Value::Null))
    );
    assert_eq!(api.get("/vault/v").await.1.get("description"), None);
    api.vault.close().await;
    assert_eq!(api.get(uri).await.0, 503);
}

#[tokio::test]
async fn a_tag_that_a_token_is_limited_to_stays() {
    let api = Api::new();
    api.three_notes().await;
    let tokens = Tokens::open(&api.dir.path().join("more.db")).unwrap();
    let new = NewGrant {
        scopes: vec![Scope::vault("v", Verb::Read)],
        tags: vec!["b".into()],
        ..NewGrant::default()
    };
    let (grant, _) = tokens.create(new, None).await.unwrap();
    let vaults = Vaults::from(api.vault.clone());
    let api = Api {
        router: router(vaults, &tokens, [("v", MAX_FILE)].into()).layer(Extension(Caller::Operator)),
        ..api
    };
    let in_use = json!({
        "error": "tag_in_use_by_tokens", "error_type": "tag_in_use_by_tokens", "tag": "b", "tokens": [grant.id]
    });
    for (method, uri, body) in [
        ("POST", format!("{TAGS}/b/rename"), json!({ "new_name": "x" })),
        (
            "POST",
            format!("{TAGS}/merge"),
            json!({ "sources": ["c", "#b"], "target": "x" }),
        ),
        ("DELETE", format!("{TAGS}/%23b"), json!({})),
    ] {
        assert_eq!(
            coded(api.send(method, &uri, body).await),
            (409, in_use.clone()),
            "{uri}"
        );
    }
    assert_eq!(api.ids("tag=b").await, "n1 n2");
    assert!(tokens.revoke(&grant.id).await.unwrap());
    let deleted = api.send("DELETE", &format!("{TAGS}/b"), json!({})).await;
    assert_eq!(deleted, (200, json!({ "deleted": true, "notes_untagged": 2 })));
}

#[tokio::test]
async fn what_is_declared_below_the_tags_of_a_token_is_seen_with_it() {
    let api = Api::new();
    let note = |id: &str, tag: &str, content: &str| json!({ "id": id, "path": id, "tags": [tag], "content": content });
    api.post(json!({ "notes": [
        note("own", "work", "[[below]] [[hidden]]"), note("below", "plan", "x"), note("hidden", "private", "[[own]]")
    ] }))
    .await;
    let api = api.held(Scope::vault("v", Verb::Write), &["work"]).await;
    assert_eq!(api.ids("").await, "own");
    let change = TagChange {
        parents: Some(vec!["work".into()]),
        ..TagChange::default()
    };
    api.vault.put_tag("plan", change).await.unwrap();
    assert_eq!(api.ids("").await, "own below");
    assert_eq!(api.ids("near[note_id]=own&near[depth]=5").await, "own below");
    // Links to what is not seen are not there.
    let (_, own) = api.get(&format!("{ROOT}/own?include_links=true")).await;
    let targets: Vec<_> = own["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| &link["targetId"])
        .collect();
    assert_eq!(targets, ["below"]);
    // It cannot write into what it does not see, not even by a rename.
    let (status, body) = coded(api.patch("own", json!({ "path": "Do as I say", "force": true })).await);
    assert_eq!((status, body["error"].as_str()), (403, Some("forbidden")));
    assert_eq!(
        api.vault
            .get(&Key::Path("hidden".into()))
            .await
            .unwrap()
            .unwrap()
            .content,
        "[[own]]"
    );
    assert_eq!(
        api.patch("below", json!({ "path": "moved", "force": true })).await.0,
        200
    );
    assert_eq!(
        api.get(&format!("{ROOT}/own")).await.1["content"],
        "[[moved]] [[hidden]]"
    );
    let (status, about) = api.get("/vault/v").await;
    assert_eq!((status, about.get("stats")), (200, None));
    let (status, tags) = api.get(TAGS).await;
    let own = json!([{ "name": "plan", "count": 1 }, { "name": "work", "count": 1 }]);
    assert_eq!((status, tags), (200, own));
    for uri in [
        "/vault/v/api/unresolved-wikilinks",
        "/vault/v/api/find-path?source=own&target=own",
    ] {
        assert_eq!(coded(api.get(uri).await).0, 403, "{uri}");
    }
}
