//! The tools that search, follow links and keep tags in order.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::client::{Client, paths};

/// A few notes that know each other: `a` links to `b`, `b` to `c`; `d` answers `a`.
async fn library() -> Result<Client> {
    let client = Client::start().await?;
    let note = |path: &str, content: &str, tags: Value, metadata: Value| json!({ "path": path, "content": content, "tags": tags, "metadata": metadata });
    let mut notes = vec![
        note(
            "lib/a",
            "The harbour opens.\nSee [[lib/b]].",
            json!(["place"]),
            json!({ "rank": 3 }),
        ),
        note(
            "lib/b",
            "A lighthouse by the harbour: [[lib/c]]",
            json!(["place/tower"]),
            json!({ "rank": 10 }),
        ),
        note("lib/c", "Whales.", json!([]), json!({ "rank": "x" })),
        note(
            "lib/d",
            "The harbour was closed.",
            json!(["letter"]),
            json!({ "due": "2026-07-15" }),
        ),
    ];
    notes[3]["links"] = json!([{ "target": "lib/a", "relationship": "answers" }]);
    for note in notes {
        client.told("create-note", note).await?;
    }
    Ok(client)
}

/// The paths of the notes that the arguments find, in a library.
async fn found(client: &Client, mut arguments: Value) -> Result<Vec<String>> {
    arguments["path_prefix"] = json!("lib/");
    let notes = client.told("query-notes", arguments).await?;
    Ok(paths(&notes).into_iter().map(|path| path[4..].to_owned()).collect())
}

#[tokio::test]
async fn notes_are_found_by_words_conditions_dates_and_links() -> Result<()> {
    let client = library().await?;
    let tag = json!({ "tag": "place", "fields": { "rank": { "type": "integer", "indexed": true } } });
    client.told("update-tag", tag).await?;
    let indexed = json!({ "tag": "letter", "fields": { "due": { "type": "string", "indexed": true } } });
    client.told("update-tag", indexed).await?;
    for (arguments, expected) in [
        (json!({ "search": "whales" }), &["c"][..]),
        (json!({ "search": "harbour lighthouse" }), &["b"]),
        (json!({ "search": "harbour", "tag": "letter" }), &["d"]),
        (json!({ "metadata": { "rank": { "gte": 3 } } }), &["a", "b"]),
        (json!({ "metadata": { "rank": { "gt": 3, "lt": 11 } } }), &["b"]),
        (json!({ "metadata": { "rank": { "in": [3, "x"] } } }), &["a", "c"]),
        (json!({ "metadata": { "rank": { "exists": false } } }), &["d"]),
        (json!({ "metadata": { "rank": { "eq": null } } }), &["d"]),
        (json!({ "metadata": { "rank": null } }), &["d"]),
        (
            json!({ "order_by": "rank", "sort": "desc", "tag": ["place", "place/tower"] }),
            &["b", "a"],
        ),
        (json!({ "has_tags": false }), &["c"]),
        (
            json!({ "date_filter": { "field": "due", "from": "2026-07", "to": "2026-08" } }),
            &["d"],
        ),
        (json!({ "date_from": "2000", "date_to": "2001" }), &[]),
        (json!({ "near": { "note_id": "lib/a", "depth": 1 } }), &["a", "b", "d"]),
        (
            json!({ "near": { "note_id": "lib/a", "depth": 1, "relationship": "answers" } }),
            &["a", "d"],
        ),
        (json!({ "has_links": false }), &[]),
    ] {
        assert_eq!(found(&client, arguments.clone()).await?, expected, "{arguments}");
    }
    for (arguments, kind) in [
        (json!({ "metadata": { "rank": { "like": 3 } } }), "invalid_query"),
        (json!({ "metadata": { "rank": { "exists": 3 } } }), "invalid_query"),
        (json!({ "metadata": { "rank": [3] } }), "invalid_request"),
        (
            json!({ "date_from": "2026", "date_filter": { "field": "due", "to": "2027" } }),
            "invalid_request",
        ),
        (json!({ "date_from": "soon" }), "invalid_query"),
        (json!({ "near": { "depth": 1 } }), "invalid_request"),
        (json!({ "near": { "note": "lib/a" } }), "invalid_request"),
        (json!({ "near": "lib/a" }), "invalid_request"),
        (json!({ "near": { "note_id": "lib/z" } }), "not_found"),
        (json!({ "date_filter": { "since": "2026" } }), "invalid_request"),
        (json!({ "order_by": "mood" }), "invalid_query"),
    ] {
        assert_eq!(
            client.refused("query-notes", arguments.clone()).await?,
            kind,
            "{arguments}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn links_are_told_followed_and_changed() -> Result<()> {
    let client = library().await?;
    let note = client
        .told("query-notes", json!({ "id": "lib/a", "include_links": true }))
        .await?;
    let ends: Vec<_> = note["links"]
        .as_array()
        .context("links")?
        .iter()
        .map(|link| [&link["sourcePath"], &link["targetPath"], &link["relationship"]])
        .collect();
    assert_eq!(
        ends,
        [
            [&json!("lib/a"), &json!("lib/b"), &json!("wikilink")],
            [&json!("lib/d"), &json!("lib/a"), &json!("answers")]
        ]
    );
    let expanded = json!({ "id": "lib/a", "expand_links": true, "expand_mode": "summary" });
    let note = client.told("query-notes", expanded).await?;
    let body = note["content"].as_str().context("a body")?;
    assert!(
        body.contains("A lighthouse by the harbour") && !body.contains("Whales"),
        "{body}"
    );

    let way = json!({ "source": "lib/d", "target": "lib/c" });
    let told = client.told("find-path", way.clone()).await?;
    let ids: Vec<_> = told["path"].as_array().context("a path")?.iter().collect();
    assert_eq!(
        (ids.len(), &told["relationships"]),
        (4, &json!(["answers", "wikilink", "wikilink"]))
    );
    let short = json!({ "source": "lib/d", "target": "lib/c", "max_depth": 2 });
    assert_eq!(client.told("find-path", short).await?["path"], Value::Null);
    for arguments in [
        json!({ "source": "lib/d", "target": "lib/z" }),
        json!({ "source": "lib/z", "target": "lib/a" }),
    ] {
        assert_eq!(client.refused("find-path", arguments).await?, "not_found");
    }
    assert_eq!(
        client.refused("find-path", json!({ "source": "lib/d" })).await?,
        "invalid_request"
    );

    let change = json!({
        "id": "lib/d", "force": true,
        "links": { "add": [{ "target": "lib/c", "relationship": "about" }], "remove": [{ "target": "lib/a" }] },
    });
    client.told("update-note", change).await?;
    let told = client.told("find-path", way).await?;
    assert_eq!(told["relationships"], json!(["about"]));
    Ok(())
}

#[tokio::test]
async fn what_belongs_together_comes_in_one_answer() -> Result<()> {
    let client = library().await?;
    let synthesis = async |arguments: Value| {
        let notes = client.told("synthesize-notes", arguments).await?;
        let all = notes.as_array().context("notes")?.iter();
        let told: Vec<(String, String)> = all
            .map(|note| (note["path"].to_string(), note["why"].to_string().replace('"', "")))
            .map(|(path, why)| (path.replace("\"", "").replace("lib/", ""), why))
            .collect();
        anyhow::Ok(told)
    };
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(path, why)| ((*path).into(), (*why).into())).collect()
    };
    let (anchor, one, two, hit) = (
        "anchor",
        "1 link away from the anchor",
        "2 links away from the anchor",
        "matches the query",
    );
    for (arguments, expected) in [
        (
            json!({ "anchor": "lib/a" }),
            &[("a", anchor), ("b", one), ("d", one)][..],
        ),
        (json!({ "anchor": "lib/a", "depth": 0 }), &[("a", anchor)]),
        (
            json!({ "anchor": "lib/a", "depth": 2 }),
            &[("a", anchor), ("b", one), ("d", one), ("c", two)],
        ),
        (
            json!({ "anchor": "lib/a", "depth": 2, "limit": 2 }),
            &[("a", anchor), ("b", one)],
        ),
        (
            json!({ "anchor": "lib/a", "depth": 2, "scope": "letter" }),
            &[("a", anchor), ("d", one)],
        ),
        (json!({ "anchor": "lib/a", "scope": "elsewhere/" }), &[("a", anchor)]),
        (json!({ "query": "whales" }), &[("c", hit)]),
        (json!({ "query": "whales", "scope": "letter" }), &[]),
        (json!({ "query": "whales", "scope": "lib/" }), &[("c", hit)]),
        (
            json!({ "anchor": "lib/c", "query": "closed" }),
            &[("c", anchor), ("b", one), ("d", hit)],
        ),
    ] {
        assert_eq!(synthesis(arguments.clone()).await?, pairs(expected), "{arguments}");
    }
    let bodies = client.told("synthesize-notes", json!({ "anchor": "lib/c" })).await?;
    assert_eq!(bodies[0]["content"], "Whales.");
    let lean = json!({ "anchor": "lib/c", "include_content": false });
    let lean = client.told("synthesize-notes", lean).await?;
    assert_eq!(
        (&lean[0]["content"], &lean[0]["preview"]),
        (&Value::Null, &json!("Whales."))
    );
    let gone = client.told("synthesize-notes", json!({ "anchor": "lib/z" })).await?;
    assert_eq!(gone, json!({ "error": "Note not found", "id": "lib/z" }));
    assert_eq!(client.refused("synthesize-notes", json!({})).await?, "invalid_request");
    Ok(())
}

#[tokio::test]
async fn tags_are_described_counted_and_removed() -> Result<()> {
    let client = library().await?;
    let change = json!({
        "tag": "#place/tower", "description": "High places.", "parent_names": ["place"],
        "fields": { "height": { "type": "number" } },
    });
    let told = client.told("update-tag", change).await?;
    assert_eq!(
        (&told["tag"], &told["parent_names"]),
        (&json!("place/tower"), &json!(["place"]))
    );
    // Whoever asks for places gets towers too.
    assert_eq!(found(&client, json!({ "tag": "place" })).await?, ["a", "b"]);
    let all = client.told("list-tags", json!({})).await?;
    let count = |name: &str| {
        let tags = all.as_array().into_iter().flatten();
        tags.filter(|tag| tag["name"] == name)
            .map(|tag| tag["count"].clone())
            .next()
    };
    assert_eq!(
        (count("place"), count("letter"), count("nowhere")),
        (Some(json!(1)), Some(json!(1)), None)
    );
    let one = client.told("list-tags", json!({ "tag": "place/tower" })).await?;
    assert_eq!(
        (&one["description"], &one["count"]),
        (&json!("High places."), &json!(1))
    );
    let with_schema = client.told("list-tags", json!({ "include_schema": true })).await?;
    let tower = with_schema
        .as_array()
        .context("tags")?
        .iter()
        .find(|tag| tag["name"] == "place/tower");
    assert_eq!(
        tower.context("the tag")?["fields"],
        json!({ "height": { "type": "number" } })
    );
    for arguments in [
        json!({ "tag": "x", "fields": { "a": { "type": "strnig" } } }),
        json!({ "tag": "x", "fields": [] }),
        json!({}),
    ] {
        assert_eq!(
            client.refused("update-tag", arguments.clone()).await?,
            "invalid_request",
            "{arguments}"
        );
    }
    let gone = client.told("delete-tag", json!({ "tag": "letter" })).await?;
    assert_eq!((&gone["deleted"], &gone["notes_untagged"]), (&json!(true), &json!(1)));
    assert_eq!(found(&client, json!({ "tag": "letter" })).await?, Vec::<String>::new());
    assert_eq!(found(&client, json!({ "path": "lib/d" })).await?, ["d"]);
    Ok(())
}

#[tokio::test]
async fn the_vault_says_what_it_is_for() -> Result<()> {
    let client = library().await?;
    let described = client
        .told(
            "vault-info",
            json!({ "description": "Of ships.", "include_stats": true }),
        )
        .await?;
    assert_eq!(described["description"], "Of ships.");
    assert_eq!(described["stats"]["linkCount"], 3);
    let plain = client.told("vault-info", json!({})).await?;
    assert_eq!(
        (&plain["description"], &plain["stats"]),
        (&json!("Of ships."), &Value::Null)
    );
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    });
    let info = client
        .daemon
        .mcp_call(client.daemon.token(), "initialize", &hello)
        .await?;
    let instructions = info["result"]["instructions"].as_str().context("instructions")?;
    assert!(instructions.contains("Of ships."), "{instructions}");
    Ok(())
}
