//! The notes API as a client of a vault sees it through the daemon's own door. What each route does in detail is tested
//! beside its code; this is one walk through it over a socket, with the door in front.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{Answer, LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

const NOTES: &str = "/vault/default/api/notes";

/// A client of the vault.
struct Client(Daemon);

impl Client {
    async fn start() -> Result<Self> {
        Ok(Self(Daemon::builder().stand_in().start().await?))
    }

    async fn send(&self, method: &str, target: &str, body: &Value) -> Result<(u16, Value)> {
        let answer = self.answer(method, target, body).await?;
        Ok((answer.status, answer.json()?))
    }

    async fn answer(&self, method: &str, target: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.0
            .ask_in(method, &format!("{NOTES}{target}"), body.as_bytes())
            .await
    }

    async fn get(&self, target: &str) -> Result<(u16, Value)> {
        self.send("GET", target, &Value::Null).await
    }

    /// The paths of a listing, in its order.
    async fn paths(&self, query: &str) -> Result<Vec<String>> {
        let (status, notes) = self.get(query).await?;
        anyhow::ensure!(status == 200, "{query}: {notes}");
        let notes = notes.as_array().context("a bare array")?;
        Ok(notes
            .iter()
            .map(|note| note["path"].as_str().unwrap_or("-").to_owned())
            .collect())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Create, read by id and by path, remove.
#[tokio::test]
async fn notes_are_made_read_and_removed() -> Result<()> {
    let client = Client::start().await?;
    let new = json!({
        "content": "Hello\nworld \u{1f980}", "path": "Inbox/first note", "tags": ["b", "a"],
        "metadata": { "n": 1, "nested": { "x": [true, null] } }, "createdAt": "2026-01-02T03:04:05.678Z",
    });
    let (status, made) = client.send("POST", "", &new).await?;
    assert_eq!(status, 201);
    let (id, updated) = (text(&made, "id"), text(&made, "updatedAt"));
    let expected = json!({
        "id": id, "path": "Inbox/first note", "content": "Hello\nworld \u{1f980}", "tags": ["a", "b"],
        "metadata": { "n": 1, "nested": { "x": [true, null] } },
        "createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": updated,
    });
    assert_eq!(made, expected);
    for target in [format!("/{id}"), "/Inbox%2Ffirst%20note".into(), format!("?id={id}")] {
        assert_eq!(client.get(&target).await?, (200, expected.clone()), "{target}");
    }
    let lean = client
        .get(&format!("/{id}?include_content=false&include_metadata=false"))
        .await?
        .1;
    assert_eq!(
        lean,
        json!({
            "id": id, "path": "Inbox/first note", "byteSize": 16, "preview": "Hello world \u{1f980}", "tags": ["a", "b"],
            "createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": updated,
        })
    );

    // POST never overwrites, and takes nothing that is empty; a batch is one or nothing.
    let (status, told) = client.send("POST", "", &new).await?;
    assert_eq!(
        (status, text(&told, "error_type"), text(&told, "path")),
        (409, "path_conflict", "Inbox/first note")
    );
    let (status, told) = client
        .send(
            "POST",
            "",
            &json!({ "notes": [{ "content": "x" }, { "content": " " }] }),
        )
        .await?;
    assert_eq!(
        (status, text(&told, "error_type"), &told["item_index"]),
        (400, "empty_note", &json!(1))
    );
    let many: Vec<Value> = (0..501).map(|n| json!({ "path": format!("many/{n}") })).collect();
    let (status, told) = client.send("POST", "", &json!({ "notes": many })).await?;
    assert_eq!(
        (status, text(&told, "error_type"), &told["limit"]),
        (413, "batch_too_large", &json!(500))
    );
    let (status, made) = client.send("POST", "", &json!({ "notes": many[..500] })).await?;
    assert_eq!((status, made.as_array().map(Vec::len)), (201, Some(500)));
    assert_eq!(
        client.send("POST", "", &json!({ "notes": [] })).await?,
        (201, json!([]))
    );

    let gone = client.send("DELETE", &format!("/{id}"), &Value::Null).await?;
    assert_eq!(gone, (200, json!({ "deleted": true, "id": id })));
    for (method, target) in [
        ("DELETE", format!("/{id}")),
        ("GET", format!("/{id}")),
        ("GET", format!("?id={id}")),
    ] {
        let (status, told) = client.send(method, &target, &Value::Null).await?;
        assert_eq!(
            (status, text(&told, "error_type")),
            (404, "not_found"),
            "{method} {target}"
        );
    }
    Ok(())
}

/// Changes, and the state that they are based on.
#[tokio::test]
async fn changes_need_to_know_what_they_change() -> Result<()> {
    let client = Client::start().await?;
    let (_, made) = client
        .send("POST", "", &json!({ "path": "p/one", "content": "v1", "tags": ["x"] }))
        .await?;
    let target = format!("/{}", text(&made, "id"));
    let (status, told) = client.send("PATCH", &target, &json!({ "content": "v2" })).await?;
    assert_eq!(
        (status, text(&told, "error_type"), &told["note_id"], &told["path"]),
        (428, "precondition_required", &made["id"], &made["path"])
    );
    let seen = text(&made, "updatedAt");
    let (status, second) = client
        .send("PATCH", &target, &json!({ "content": "v2", "if_updated_at": seen }))
        .await?;
    assert_eq!((status, text(&second, "content")), (200, "v2"));
    assert!(text(&second, "updatedAt") > seen, "{second}");
    let (status, told) = client
        .send("PATCH", &target, &json!({ "content": "v3", "if_updated_at": seen }))
        .await?;
    assert_eq!(
        (
            status,
            text(&told, "error_type"),
            text(&told, "your_updated_at"),
            &told["current_updated_at"]
        ),
        (409, "conflict", seen, &second["updatedAt"])
    );

    // No precondition for what only adds text.
    let (status, note) = client
        .send("PATCH", &target, &json!({ "append": " end", "prepend": "start " }))
        .await?;
    assert_eq!((status, text(&note, "content")), (200, "start v2 end"));
    let change = json!({
        "content_edit": { "old_text": "v2", "new_text": "v4" }, "path": "p/two", "metadata": { "k": "v", "z": null },
        "tags": { "add": ["y"], "remove": ["x"] }, "force": true, "unknown": 1,
    });
    let (status, note) = client.send("PATCH", &target, &change).await?;
    let expected = json!({
        "id": made["id"], "path": "p/two", "content": "start v4 end", "tags": ["y"], "metadata": { "k": "v", "z": null },
        "createdAt": made["createdAt"], "updatedAt": note["updatedAt"],
    });
    assert_eq!((status, &note), (200, &expected));
    for (change, status, kind) in [
        (
            json!({ "content": "a", "append": "b", "force": true }),
            400,
            "mutually_exclusive",
        ),
        (
            json!({ "content_edit": { "old_text": "nowhere", "new_text": "" }, "force": true }),
            422,
            "unprocessable_content",
        ),
        (
            json!({ "content_edit": { "old_text": "t", "new_text": "" }, "force": true }),
            409,
            "ambiguous",
        ),
        (json!({ "content_edit": "t", "force": true }), 400, "bad_request"),
        (json!({ "path": null, "content": "", "force": true }), 400, "empty_note"),
        (json!({ "if_updated_at": "yesterday" }), 400, "invalid_request"),
    ] {
        let (got, told) = client.send("PATCH", &target, &change).await?;
        assert_eq!((got, text(&told, "error_type")), (status, kind), "{change} {told}");
    }
    assert_eq!(client.get(&target).await?, (200, expected.clone()));
    // Nothing new is no change.
    let (status, same) = client
        .send("PATCH", &target, &json!({ "metadata": { "k": "v" }, "force": true }))
        .await?;
    assert_eq!((status, same), (200, expected));
    Ok(())
}

/// The agent's way to write a note at a path.
#[tokio::test]
async fn a_note_is_made_or_changed_by_its_path() -> Result<()> {
    let client = Client::start().await?;
    let body = |status: &str| {
        json!({
            "path": "Threads/eng/eng", "tags": ["agent/thread"], "metadata": { "status": status },
            "if_missing": "create", "force": true,
        })
    };
    let (status, made) = client.send("PATCH", "/Threads%2Feng%2Feng", &body("working")).await?;
    assert!([200, 201].contains(&status), "{status}");
    assert_eq!(
        (&made["content"], &made["tags"]),
        (&json!(""), &json!(["agent/thread"]))
    );
    client
        .send("PATCH", "/Threads%2Feng%2Feng", &json!({ "append": "kept" }))
        .await?;
    let (status, again) = client.send("PATCH", "/Threads%2Feng%2Feng", &body("ok")).await?;
    assert_eq!(
        (status, &again["id"], &again["content"]),
        (200, &made["id"], &json!("kept"))
    );
    assert_eq!(again["metadata"], json!({ "status": "ok" }));
    Ok(())
}

/// Listings.
#[tokio::test]
async fn notes_are_listed() -> Result<()> {
    let client = Client::start().await?;
    let notes = json!({ "notes": [
        { "path": "q/1", "tags": ["x"], "createdAt": "2026-01-01T00:00:00Z" },
        { "path": "q/2", "tags": ["x", "y"], "createdAt": "2026-01-02T00:00:00Z" },
        { "path": "q/3", "tags": ["y", "deep/tag"], "createdAt": "2026-01-03T00:00:00Z" },
        { "path": "Other/4", "tags": [], "createdAt": "2026-01-04T00:00:00Z" },
    ] });
    assert_eq!(client.send("POST", "", &notes).await?.0, 201);
    for (query, expected) in [
        ("", &["q/1", "q/2", "q/3", "Other/4"][..]),
        ("?sort=desc", &["Other/4", "q/3", "q/2", "q/1"]),
        ("?tag=x,y", &["q/1", "q/2", "q/3"]),
        ("?tag=x,y&tag_match=all", &["q/2"]),
        ("?tag=deep%2Ftag", &["q/3"]),
        ("?tag=deep/tag", &["q/3"]),
        ("?tag=%23x", &["q/1", "q/2"]),
        ("?exclude_tag=x", &["q/3", "Other/4"]),
        ("?path_prefix=Q/", &["q/1", "q/2", "q/3"]),
        ("?path=Q%2F2", &["q/2"]),
        ("?limit=2&offset=1", &["q/2", "q/3"]),
        ("?limit=0", &[]),
        ("?limit=-1", &["q/1", "q/2", "q/3", "Other/4"]),
        ("?limit=x", &["q/1", "q/2", "q/3", "Other/4"]),
        ("?tag=none", &[]),
        ("?search=x", &[]),
        ("?search=apple%20AND%20%22", &[]),
        ("?has_tags=false", &["Other/4"]),
        ("?date_from=2026-01-02&date_to=2026-01-04", &["q/2", "q/3"]),
        ("?order_by=path&sort=desc&limit=2", &["q/3", "q/2"]),
        ("?unheard_of=1", &["q/1", "q/2", "q/3", "Other/4"]),
    ] {
        assert_eq!(client.paths(query).await?, expected, "{query}");
    }
    for (query, code) in [
        ("?order_by=rank", "FIELD_NOT_INDEXED"),
        ("?meta.rank[like]=1", "UNKNOWN_OPERATOR"),
        ("?meta.rank[gt]=1&meta.rank[exists]=so", "INVALID_OPERATOR_VALUE"),
        ("?cursor=x", "INVALID_QUERY"),
    ] {
        let (status, told) = client.get(query).await?;
        assert_eq!((status, text(&told, "code")), (400, code), "{query}");
    }

    // Page by page, nothing twice and nothing left out.
    let mut paths = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = client.answer("GET", &query, &Value::Null).await?;
        let notes = page.json()?;
        paths.extend(
            notes
                .as_array()
                .into_iter()
                .flatten()
                .map(|note| text(note, "path").to_owned()),
        );
        let Some(next) = page.header("x-next-cursor") else {
            break;
        };
        query = format!("?limit=3&cursor={next}");
    }
    assert_eq!(paths, ["q/1", "q/2", "q/3", "Other/4"]);
    Ok(())
}

/// The vault behind the door: a definition and a message written over REST make an agent work.
#[tokio::test]
async fn the_door_stands_before_the_vault_and_the_daemon_behind_it() -> Result<()> {
    let client = Client::start().await?;
    let daemon = &client.0;
    for target in ["/vault/default", "/vault/default/api/health", NOTES] {
        assert_eq!(
            daemon.ask("GET", target, &[], b"").await?.refusal()?,
            (401, "Unauthorized".into()),
            "{target}"
        );
        assert_eq!(daemon.ask_in("GET", target, b"").await?.status, 200, "{target}");
    }
    let unknown = daemon.ask_in("GET", "/vault/elsewhere/api/notes", b"").await?;
    assert_eq!(
        (unknown.status, text(&unknown.json()?, "error_type")),
        (404, "vault_not_found")
    );

    let notes = json!({ "notes": [
        { "path": "Agents/eng", "content": "You build.", "tags": ["#agent/definition"], "metadata": { "name": "eng" } },
        { "content": "[[reply built]]", "tags": ["#agent/message", "#agent/message/inbound"], "metadata": { "channel": "eng" } },
    ] });
    let (status, made) = client.send("POST", "", &notes).await?;
    assert_eq!(status, 201);
    let message = text(&made[1], "id");
    let reply = eventually("the reply is a note", LIMIT, async || {
        let (_, found) = client.get("?tag=agent/message/outbound&include_content=true").await?;
        Ok(found.as_array().and_then(|found| found.first()).cloned())
    })
    .await?;
    assert_eq!(
        (text(&reply, "content"), text(&reply["metadata"], "in_reply_to")),
        ("built", message)
    );
    let shown = daemon.messages("eng").await?;
    let states: Vec<_> = shown
        .iter()
        .map(|message| (message.direction.as_str(), message.state))
        .collect();
    assert_eq!(states, [("inbound", Some(State::Ok)), ("outbound", None)]);
    Ok(())
}
