//! Links between notes.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Api, ROOT, T0, coded, not_found, wrong};

/// a and b link to c in their bodies, d answers a, e is alone.
async fn linked() -> Api {
    let api = Api::new();
    let (status, body) = api
        .post(json!({ "notes": [
            { "id": "a", "path": "dir/a", "content": "see [[C#top|there]]\nand [[c]] too", "tags": ["t"] },
            { "id": "b", "path": "b", "content": "[[c]] [[gone]]" },
            { "id": "c", "path": "c", "content": "back to [[dir/a]]" },
            { "id": "d", "content": "d", "links": [
                { "target": "dir/a", "relationship": "answers", "metadata": { "n": 1 } },
                { "target": "nowhere", "relationship": "answers" }
            ] },
            { "id": "e", "path": "e", "content": "alone" }
        ] }))
        .await;
    assert_eq!(status, 201, "{body}");
    api
}

fn link(source: &str, relationship: &str, target: &str) -> Value {
    let mut link = json!({ "sourceId": source, "targetId": target, "relationship": relationship, "createdAt": T0 });
    for (key, id) in [("sourcePath", source), ("targetPath", target)] {
        if id != "d" {
            link[key] = if id == "a" { "dir/a".into() } else { id.into() };
        }
    }
    link
}

#[tokio::test]
async fn links_are_told_with_a_note() {
    let api = linked().await;
    let mut answers = link("d", "answers", "a");
    answers["metadata"] = json!({ "n": 1 });
    let (status, note) = api.get(&format!("{ROOT}/a?include_links=true")).await;
    let expected = json!([link("a", "wikilink", "c"), link("c", "wikilink", "a"), answers]);
    assert_eq!((status, &note["links"]), (200, &expected));
    let (_, list) = api.get(&format!("{ROOT}?include_links=1&tag=t")).await;
    assert_eq!((&list[0]["links"], list[0].get("content")), (&expected, None));
    assert_eq!(api.get(&format!("{ROOT}/a")).await.1.get("links"), None);
    assert_eq!(
        api.get(&format!("{ROOT}?id=e&include_links=true")).await.1["links"],
        json!([])
    );
}

#[tokio::test]
async fn links_are_added_and_removed() {
    let api = linked().await;
    let told = async |id: &str| {
        let (_, note) = api.get(&format!("{ROOT}/{id}?include_links=true")).await;
        let links = note["links"].as_array().unwrap().clone();
        let text = |link: &Value| {
            format!(
                "{} {}",
                link["relationship"].as_str().unwrap(),
                link["targetId"].as_str().unwrap()
            )
        };
        links.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let add = json!({ "links": { "add": [
        { "target": "b", "relationship": "about" }, { "target": "e", "relationship": "about" },
        { "target": "unknown", "relationship": "about" }
    ] } });
    // Like every change it needs a precondition.
    assert_eq!(api.patch("d", add.clone()).await.0, 428);
    let mut forced = add;
    forced["force"] = true.into();
    let (status, note) = api.patch("d", forced).await;
    assert_eq!(
        (status, note["updatedAt"].as_str()),
        (200, Some("1970-01-01T00:00:01.001Z"))
    );
    assert_eq!(told("d").await, "answers a, about b, about e");
    let remove = json!({ "force": true, "links": { "remove": [
        "e", { "target": "dir/a", "relationship": "answers" }, { "target": "b", "relationship": "other" }
    ] } });
    assert_eq!(api.patch("d", remove).await.0, 200);
    assert_eq!(told("d").await, "about b");
    let upsert = json!({ "if_missing": "create", "force": true, "links": [{ "target": "e", "relationship": "next" }] });
    let (status, note) = api.patch("new%2Fone", upsert).await;
    assert_eq!(status, 201);
    assert_eq!(told(note["id"].as_str().unwrap()).await, "next e");
}

#[tokio::test]
async fn bad_links_are_refused_with_their_place() {
    let api = linked().await;
    for (links, field) in [
        (json!("e"), "links"),
        (json!({ "target": "e" }), "links"),
        (json!(["e"]), "links[0]"),
        (
            json!([{ "target": "e", "relationship": "x" }, { "relationship": "x" }]),
            "links[1].target",
        ),
        (json!([{ "target": "e" }]), "links[0].relationship"),
        (
            json!([{ "target": "e", "relationship": "x", "metadata": [] }]),
            "links[0].metadata",
        ),
    ] {
        let answer = api.post(json!({ "content": "x", "links": links })).await;
        assert_eq!(coded(answer), wrong(field), "{links}");
    }
    for (links, field) in [
        (json!([]), "links"),
        (json!({ "add": {} }), "links.add"),
        (json!({ "remove": [{}] }), "links.remove[0].target"),
    ] {
        let answer = api.patch("e", json!({ "force": true, "links": links })).await;
        assert_eq!(coded(answer), wrong(field), "{links}");
    }
    let wikilink = json!({ "content": "x", "links": [{ "target": "e", "relationship": "wikilink" }] });
    assert_eq!(api.post(wikilink).await.0, 400);
    assert_eq!(api.ids("").await, "a b c d e");
}

#[tokio::test]
async fn a_new_path_is_written_into_the_links_to_it() {
    let api = linked().await;
    let (status, note) = api.patch("c", json!({ "path": "New place/c2", "force": true })).await;
    assert_eq!((status, note["path"].as_str()), (200, Some("New place/c2")));
    let content = async |id: &str| api.get(&format!("{ROOT}/{id}")).await.1["content"].clone();
    assert_eq!(
        content("a").await,
        "see [[New place/c2#top|there]]\nand [[New place/c2]] too"
    );
    assert_eq!(content("b").await, "[[New place/c2]] [[gone]]");
    let (status, body) = api.patch("b", json!({ "path": "e", "force": true })).await;
    assert_eq!((status, body["error"].as_str()), (409, Some("path_conflict")));
}

#[tokio::test]
async fn listings_know_links() {
    let api = linked().await;
    for (query, expected) in [
        ("has_links=true", "a b c d"),
        ("has_links=0", "e"),
        ("near[note_id]=d&near[depth]=1", "a d"),
        ("near%5Bnote_id%5D=d", "a c d"),
        ("near[note_id]=d&near[depth]=99", "a b c d"),
        ("near[note_id]=dir/a&near[depth]=5&near[relationship]=answers", "a d"),
        ("near[note_id]=a&tag=t", "a"),
        ("near[note_id]=d&near[depth]=3&limit=2&sort=desc", "d c"),
    ] {
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
    let absent = json!({ "error": "Anchor note not found", "error_type": "not_found", "note_id": "nobody" });
    assert_eq!(
        coded(api.get(&format!("{ROOT}?near[note_id]=nobody")).await),
        (404, absent)
    );
    assert_eq!(
        coded(api.get(&format!("{ROOT}?near[depth]=2")).await),
        wrong("near[depth]")
    );
    assert_eq!(
        coded(api.get(&format!("{ROOT}?has_links=maybe")).await),
        wrong("has_links")
    );
}

#[tokio::test]
async fn a_listing_can_be_a_graph() {
    let api = linked().await;
    let (status, graph) = api
        .get(&format!("{ROOT}?format=graph&include_links=true&limit=4"))
        .await;
    let node = |id: &str, path: Option<&str>, tags: &[&str]| json!({ "id": id, "path": path, "tags": tags });
    let edge = |source: &str, relationship: &str, target: &str| json!({ "source": source, "target": target, "relationship": relationship });
    let expected = json!({
        "nodes": [
            node("a", Some("dir/a"), &["t"]), node("b", Some("b"), &[]), node("c", Some("c"), &[]), node("d", None, &[])
        ],
        "edges": [
            edge("a", "wikilink", "c"), edge("b", "wikilink", "c"), edge("c", "wikilink", "a"), edge("d", "answers", "a")
        ]
    });
    assert_eq!((status, graph), (200, expected));
    // Only what is between these notes, and only when it is asked for.
    let (_, graph) = api.get(&format!("{ROOT}?format=graph&include_links=true&tag=t")).await;
    assert_eq!(
        graph,
        json!({ "nodes": [node("a", Some("dir/a"), &["t"])], "edges": [] })
    );
    assert_eq!(api.get(&format!("{ROOT}?format=graph")).await.1["edges"], json!([]));
    assert_eq!(coded(api.get(&format!("{ROOT}?format=dot")).await), wrong("format"));
}

#[tokio::test]
async fn linked_notes_can_stand_in_the_body() {
    let api = linked().await;
    let content = async |query: &str| api.get(&format!("{ROOT}/a?{query}")).await.1["content"].clone();
    let once =
        "see [[C#top|there]]\n<linked-note path=\"c\" id=\"c\">\nback to [[dir/a]]\n</linked-note>\nand [[c]] too";
    for query in [
        "expand_links=true",
        "expand_links=1&expand_depth=3",
        "expand_links=true&expand_depth=0",
    ] {
        let expected = if query.ends_with("=0") {
            "see [[C#top|there]]\nand [[c]] too"
        } else {
            once
        };
        assert_eq!(content(query).await, expected, "{query}");
    }
    // Deeper, and each note once: c leads to a, and a back to c.
    let (_, b) = api.get(&format!("{ROOT}/b?expand_links=true&expand_depth=2")).await;
    let expected = "[[c]] [[gone]]\n<linked-note path=\"c\" id=\"c\">\nback to [[dir/a]]\n\
                    <linked-note path=\"dir/a\" id=\"a\">\nsee [[C#top|there]]\nand [[c]] too\n</linked-note>\n</linked-note>";
    assert_eq!(b["content"], expected);
    let long = json!({ "id": "l", "path": "long", "content": "word ".repeat(100) });
    api.post(long).await;
    api.post(json!({ "id": "s", "content": "[[long]]" })).await;
    let (_, s) = api
        .get(&format!("{ROOT}/s?expand_links=true&expand_mode=summary"))
        .await;
    assert!(s["content"].as_str().unwrap().len() < 200, "{s}");
    let (_, list) = api
        .get(&format!("{ROOT}?expand_links=true&include_content=true&tag=t"))
        .await;
    assert_eq!(list[0]["content"], once);
    assert_eq!(
        coded(api.get(&format!("{ROOT}/a?expand_links=true&expand_mode=x")).await),
        wrong("expand_mode")
    );
}

#[tokio::test]
async fn what_would_not_fit_is_named_instead() {
    let api = Api::new();
    for id in ["x", "y"] {
        api.post(json!({ "id": id, "path": id, "content": "é".repeat(300_000) }))
            .await;
    }
    api.post(json!({ "id": "n", "content": "[[x]]\n[[y]]" })).await;
    let (_, note) = api.get(&format!("{ROOT}/n?expand_links=true")).await;
    let content = note["content"].as_str().unwrap();
    assert!(content.len() < 700_000 && content.contains("<linked-note path=\"y\" id=\"y\" left-out="));
}

#[tokio::test]
async fn ways_between_notes_are_found() {
    let api = linked().await;
    let find = async |query: &str| api.get(&format!("/vault/v/api/find-path?{query}")).await;
    let way = json!({ "path": ["d", "a", "c", "b"], "relationships": ["answers", "wikilink", "wikilink"] });
    assert_eq!(find("source=d&target=b").await, (200, way));
    assert_eq!(find("source=d&target=b&max_depth=2").await, (200, Value::Null));
    assert_eq!(find("source=dir/a&target=e").await, (200, Value::Null));
    assert_eq!(coded(find("source=a").await), wrong("target"));
    let absent = json!({ "error": "Note not found", "error_type": "not_found", "id": "nobody" });
    assert_eq!(coded(find("source=a&target=nobody").await), (404, absent));
}

#[tokio::test]
async fn links_that_lead_nowhere_are_listed() {
    let api = linked().await;
    let one = json!({ "source_id": "b", "source_path": "b", "target_path": "gone" });
    let uri = "/vault/v/api/unresolved-wikilinks";
    assert_eq!(api.get(uri).await, (200, json!({ "count": 1, "unresolved": [one] })));
    api.post(json!({ "path": "somewhere/Gone" })).await;
    assert_eq!(api.get(uri).await, (200, json!({ "count": 0, "unresolved": [] })));
    assert_eq!(coded(api.get("/vault/v/api/links").await), not_found());
}
