//! Tokens that are limited to tags.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Holder, NOTES, TOKENS, coded, note, paths, started};

/// Three notes that `work` sees, and three others.
async fn subject() -> Result<(Daemon, Holder)> {
    let daemon = started().await?;
    for (path, tag) in [
        ("p1", "private"),
        ("w1", "work"),
        ("p2", "works"),
        ("w2", "work/plans"),
        ("w3", "#work"),
        ("p3", "private/work"),
    ] {
        note(&daemon, path, &[tag]).await?;
    }
    let holder = Holder::new(&daemon, json!({ "scope": "vault:write", "tags": ["work"] })).await?;
    Ok((daemon, holder))
}

fn outside() -> (u16, Value) {
    let body = json!({ "error": "Forbidden", "error_type": "tag_scope_violation", "scoped_tags": ["work"] });
    (403, body)
}

#[tokio::test]
async fn it_sees_notes_with_its_tags_and_no_others() -> Result<()> {
    let (daemon, work) = subject().await?;
    for (query, expected) in [
        ("", &["w1", "w2", "w3"][..]),
        ("?sort=desc", &["w3", "w2", "w1"]),
        ("?tag=private", &[]),
        ("?tag=private,work", &["w1", "w3"]),
        ("?exclude_tag=work", &["w2"]),
        ("?path_prefix=p", &[]),
        ("?search=p1", &[]),
        ("?search=p1%20OR%20w2", &["w2"]),
        ("?order_by=path&sort=desc&limit=2", &["w3", "w2"]),
        ("?has_tags=true&limit=1", &["w1"]),
        // A page is full although others lie between.
        ("?limit=2", &["w1", "w2"]),
        ("?limit=2&offset=1", &["w2", "w3"]),
    ] {
        let answer = work.get(&daemon, &format!("{NOTES}{query}")).await?;
        assert_eq!(paths(&answer)?, expected, "{query}");
    }
    let page = work.get(&daemon, &format!("{NOTES}?limit=2")).await?;
    let next = page.header("x-next-cursor").context("a cursor")?;
    let rest = work.get(&daemon, &format!("{NOTES}?limit=2&cursor={next}")).await?;
    assert_eq!(paths(&rest)?, ["w3"]);
    assert_eq!(rest.header("x-next-cursor"), None);

    let missing = json!({ "error": "Not found", "error_type": "not_found" });
    let null = Value::Null;
    let patch = json!({ "append": "x" });
    for (method, tail, body) in [
        ("GET", "", &null),
        ("PATCH", "", &patch),
        ("DELETE", "", &null),
        ("GET", "/attachments", &null),
        ("POST", "/attachments", &json!({ "path": "x", "mimeType": "a/b" })),
    ] {
        for key in ["p1", "nothing"] {
            let answer = work.ask(&daemon, method, &format!("{NOTES}/{key}{tail}"), body).await?;
            assert_eq!(coded(&answer)?, (404, missing.clone()), "{method} {key}{tail}");
        }
    }
    let by_id = work.get(&daemon, &format!("{NOTES}?id=p1")).await?;
    let told = json!({ "error": "Note not found", "error_type": "not_found", "id": "p1" });
    assert_eq!(coded(&by_id)?, (404, told));
    assert_eq!(work.get(&daemon, &format!("{NOTES}/w2")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn it_writes_nothing_that_it_would_not_see() -> Result<()> {
    let (daemon, work) = subject().await?;
    let with = |tags: &[&str]| json!({ "content": "x", "tags": tags });
    let one = format!("{NOTES}/w1");
    let last = json!({ "tags": { "remove": ["work"] }, "force": true });
    let swap = json!({ "tags": { "add": ["private"], "remove": ["#work"] }, "force": true });
    let batch = json!({ "notes": [with(&["work"]), with(&["private"])] });
    for (method, target, body) in [
        ("POST", NOTES, &with(&[])),
        ("POST", NOTES, &with(&["private"])),
        ("POST", NOTES, &batch),
        ("PATCH", &one, &last),
        ("PATCH", &one, &swap),
    ] {
        let answer = work.ask(&daemon, method, target, body).await?;
        assert_eq!(coded(&answer)?, outside(), "{method} {body}");
    }
    // By `if_missing`, a note that is not seen is missing, but its path is taken.
    let upsert = json!({ "path": "p1", "tags": ["work"], "content": "x", "if_missing": "create", "force": true });
    let answer = work.ask(&daemon, "PATCH", &format!("{NOTES}/p1"), &upsert).await?;
    assert_eq!(
        (answer.status, &answer.json()?["error_type"]),
        (409, &json!("path_conflict"))
    );
    let all = daemon
        .ask_in("GET", &format!("{NOTES}?include_content=true"), b"")
        .await?;
    assert_eq!(paths(&all)?, ["p1", "w1", "p2", "w2", "w3", "p3"]);
    for note in all.json()?.as_array().context("an array")? {
        assert_eq!(note["content"], note["path"], "{note}");
    }

    let answer = work.ask(&daemon, "POST", NOTES, &with(&["work/new"])).await?;
    assert_eq!(answer.status, 201);
    let swap = json!({ "tags": { "add": ["work/x"], "remove": ["work"] }, "append": "!", "force": true });
    let answer = work.ask(&daemon, "PATCH", &one, &swap).await?;
    assert_eq!((answer.status, &answer.json()?["tags"]), (200, &json!(["work/x"])));
    assert_eq!(work.ask(&daemon, "DELETE", &one, &Value::Null).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_declared_below_its_tags_is_seen() -> Result<()> {
    let (daemon, work) = subject().await?;
    let tag = |name: &str| format!("/vault/default/api/tags/{name}");
    let declare = json!({ "parent_names": ["work"] }).to_string();
    assert_eq!(work.get(&daemon, &format!("{NOTES}/p2")).await?.status, 404);
    let put = daemon.ask_in("PUT", &tag("works"), declare.as_bytes()).await?;
    assert_eq!(put.status, 200);
    let listed = work.get(&daemon, NOTES).await?;
    assert_eq!(paths(&listed)?, ["w1", "p2", "w2", "w3"]);
    let tags = work.get(&daemon, "/vault/default/api/tags").await?.json()?;
    let names: Vec<_> = tags
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    assert_eq!(names, ["work", "work/plans", "works"]);
    let about = work.get(&daemon, "/vault/default").await?;
    let about = (about.status, about.json()?);
    assert!(about.0 == 200 && about.1.get("stats").is_none(), "{about:?}");
    // A tag that a token is limited to is not renamed, merged or removed under it.
    let in_use = json!({
        "error": "tag_in_use_by_tokens", "error_type": "tag_in_use_by_tokens", "tag": "work", "tokens": [work.id],
    });
    for (method, target, body) in [
        ("DELETE", tag("work"), Value::Null),
        ("POST", tag("work/rename"), json!({ "new_name": "play" })),
        (
            "POST",
            tag("merge"),
            json!({ "sources": ["private", "#work"], "target": "play" }),
        ),
    ] {
        let answer = daemon.ask_in(method, &target, body.to_string().as_bytes()).await?;
        assert_eq!(coded(&answer)?, (409, in_use.clone()), "{method} {target}");
    }
    let gone = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", work.id), b"").await?;
    assert_eq!(gone.status, 200);
    let removed = daemon.ask_in("DELETE", &tag("work"), b"").await?.json()?;
    assert_eq!(removed, json!({ "deleted": true, "notes_untagged": 2 }));
    Ok(())
}

#[tokio::test]
async fn what_reaches_over_all_notes_is_not_for_it() -> Result<()> {
    let (daemon, _) = subject().await?;
    let admin = Holder::new(&daemon, json!({ "tags": ["work"] })).await?;
    // Otherwise it could make itself one without tags.
    for (method, target, body) in [
        ("POST", TOKENS, json!({})),
        ("GET", TOKENS, Value::Null),
        ("DELETE", &format!("{TOKENS}/{}", admin.id), Value::Null),
        (
            "PUT",
            "/vault/default/api/tags/private",
            json!({ "parent_names": ["work"] }),
        ),
        ("DELETE", "/vault/default/api/tags/private", Value::Null),
        ("PATCH", "/vault/default/api/vault", json!({ "description": "x" })),
        ("GET", "/vault/default/api/unresolved-wikilinks", Value::Null),
        ("GET", "/vault/default/api/find-path?source=w1&target=w2", Value::Null),
        ("GET", "/vault/default/api/triggers", Value::Null),
        ("POST", "/vault/default/api/triggers", json!({})),
    ] {
        let answer = admin.ask(&daemon, method, target, &body).await?;
        assert_eq!(coded(&answer)?, outside(), "{method} {target}");
    }
    let declares = json!({ "path": "_tags/private", "tags": ["work"], "metadata": { "parents": ["work"] } });
    let answer = admin.ask(&daemon, "POST", NOTES, &declares).await?;
    assert_eq!(
        (answer.status, &answer.json()?["error_type"]),
        (403, &json!("forbidden"))
    );
    Ok(())
}

/// Uploads a file, and tells its path.
async fn upload(daemon: &Daemon, token: &str) -> Result<String> {
    let form = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nbytes\r\n--b--\r\n";
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let answer = daemon
        .ask("POST", "/vault/default/api/storage/upload", &headers, form.as_bytes())
        .await?;
    anyhow::ensure!(answer.status == 201, "{}", answer.json()?);
    Ok(answer.json()?["path"].as_str().context("a path")?.to_owned())
}

#[tokio::test]
async fn files_are_seen_with_the_notes_that_have_them() -> Result<()> {
    let (daemon, work) = subject().await?;
    let (hidden, own) = (
        upload(&daemon, daemon.token()).await?,
        upload(&daemon, &work.token).await?,
    );
    let attach = |path: &str| json!({ "path": path, "mimeType": "text/plain" });
    let to_hidden = format!("{NOTES}/p1/attachments");
    let answer = daemon
        .ask_in("POST", &to_hidden, attach(&hidden).to_string().as_bytes())
        .await?;
    assert_eq!(answer.status, 201);
    let storage = |path: &str| format!("/vault/default/api/storage/{path}");
    let seen = async |path: &str| anyhow::Ok(work.get(&daemon, &storage(path)).await?.status);
    assert_eq!(
        (seen(&hidden).await?, seen(&own).await?, seen("2026-01-01/x").await?),
        (404, 404, 404)
    );
    // To attach a file is to read it.
    let to_own = format!("{NOTES}/w1/attachments");
    let stolen = work.ask(&daemon, "POST", &to_own, &attach(&hidden)).await?;
    assert_eq!(
        (stolen.status, &stolen.json()?["error_type"]),
        (400, &json!("unknown_file"))
    );
    let with_it = json!({ "content": "x", "tags": ["work"], "attachments": [hidden] });
    assert_eq!(work.ask(&daemon, "POST", NOTES, &with_it).await?.status, 400);
    assert_eq!(work.ask(&daemon, "POST", &to_own, &attach(&own)).await?.status, 201);
    assert_eq!((seen(&hidden).await?, seen(&own).await?), (404, 200));
    Ok(())
}
