//! Bad input is told as such, and nothing of it is kept.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Agent, each, enc, text};

#[tokio::test]
async fn what_is_no_json_is_bad_input_on_every_route() -> Result<()> {
    let agent = Agent::start().await?;
    agent.post(&json!({ "path": "n", "content": "x" })).await?;
    for (method, target) in [
        ("POST", "/notes"),
        ("PATCH", "/notes/n"),
        ("PUT", "/tags/a%2Fb"),
        ("POST", "/notes/n/attachments"),
        ("POST", "/triggers"),
        ("POST", "/tags/a/rename"),
        ("POST", "/tags/merge"),
        ("PATCH", "/vault"),
    ] {
        for body in ["{\"content\":", "", "[1, 2", "\"text\"", "null", "\u{fffd}"] {
            let answer = agent.fetch(&agent.admin, method, target, body.as_bytes()).await?;
            let told = answer.json()?;
            assert_eq!(answer.status, 400, "{method} {target} {body:?}: {told}");
            assert!(
                told["error"].is_string() && text(&told, "message").len() > 10,
                "{method} {target} {body:?}: {told}"
            );
        }
        let answer = agent
            .fetch(&agent.admin, method, target, b"{\"content\":\"\xff\"}")
            .await?;
        assert_eq!(answer.status, 400, "{method} {target} with bytes that are no text");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_types_are_named_and_nothing_is_written() -> Result<()> {
    let agent = Agent::start().await?;
    let kept = agent
        .post(&json!({ "path": "kept", "content": "x", "tags": ["t"] }))
        .await?;
    for (field, value) in [
        ("tags", json!("abc")),
        ("tags", json!([1])),
        ("metadata", json!(["a"])),
        ("metadata", json!("abc")),
        ("content", json!(7)),
        ("content", json!({ "a": 1 })),
        ("path", json!(["a"])),
        ("id", json!(7)),
        ("createdAt", json!("yesterday")),
        ("createdAt", json!(7)),
    ] {
        let mut note = json!({ "content": "made", "path": "bad" });
        note[field] = value.clone();
        let (status, told) = agent.call("POST", "/notes", &note).await?;
        assert_eq!(status, 400, "{field}: {value}: {told}");
        assert!(told.to_string().contains(field), "{field} is not named: {told}");
        let mut batch = json!({ "notes": [{ "content": "fine", "path": "fine" }, note] });
        assert_eq!(agent.call("POST", "/notes", &batch).await?.0, 400, "{field}: {value}");
        batch["notes"] = json!("all");
        assert_eq!(agent.call("POST", "/notes", &batch).await?.0, 400);
    }
    for change in [
        json!({ "tags": "abc" }),
        json!({ "tags": { "add": "abc" } }),
        json!({ "metadata": ["a"] }),
        json!({ "content": 7 }),
        json!({ "append": ["a"] }),
        json!({ "createdAt": "yesterday" }),
        json!({ "force": "yes" }),
    ] {
        let mut forced = change.clone();
        if forced.get("force").is_none() {
            forced["force"] = json!(true);
        }
        let (status, told) = agent.patch("kept", &forced).await?;
        assert_eq!(status, 400, "{change}: {told}");
    }
    assert_eq!(agent.list("?limit=-1&include_content=true").await?, [kept]);
    Ok(())
}

#[tokio::test]
async fn an_id_is_given_once() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent
        .post(&json!({ "id": "mine", "content": "first", "path": "a" }))
        .await?;
    assert_eq!(made["id"], "mine");
    let second = json!({ "id": "mine", "content": "second", "path": "b" });
    for body in [
        second.clone(),
        json!({ "notes": [{ "content": "before" }, second] }),
        json!({ "notes": [{ "id": "twin", "content": "x" }, { "id": "twin", "content": "y" }] }),
    ] {
        let (status, told) = agent.call("POST", "/notes", &body).await?;
        assert_eq!((status, told["error_type"].is_string()), (409, true), "{body}: {told}");
    }
    assert_eq!(agent.list("?limit=-1&include_content=true").await?, [made]);
    Ok(())
}

#[tokio::test]
async fn a_batch_with_one_path_that_is_taken_writes_nothing() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent
        .post(&json!({ "path": "taken", "content": "x", "tags": ["t"] }))
        .await?;
    let new = |path: &str| json!({ "path": path, "content": path, "tags": ["t", "new"], "metadata": { "a": 1 } });
    for batch in [
        [new("one"), new("taken"), new("two")],
        [new("one"), new("two"), new("/taken.md")],
        [new("one"), new("two"), new("one")],
    ] {
        let (status, told) = agent.call("POST", "/notes", &json!({ "notes": batch })).await?;
        assert_eq!((status, text(&told, "error_type")), (409, "path_conflict"), "{told}");
        assert_eq!(
            agent.list("?limit=-1&include_content=true").await?,
            std::slice::from_ref(&made)
        );
    }
    assert_eq!(agent.get("/tags/new").await?.1["count"], 0);
    let fine = [new("one"), new("two")];
    let (status, notes) = agent.call("POST", "/notes", &json!({ "notes": fine })).await?;
    assert_eq!((status, notes.as_array().map(Vec::len)), (201, Some(2)));
    Ok(())
}

#[tokio::test]
async fn a_prefix_is_taken_by_the_letter() -> Result<()> {
    let agent = Agent::start().await?;
    let paths = [
        "a_b/1",
        "axb/1",
        "50%/x",
        "50x/x",
        "A_B/2",
        "q?/1",
        "q[x]/1",
        "qx/1",
        "q*/1",
        "u\u{e9}/1",
        "b\\/1",
    ];
    for path in paths {
        agent.post(&json!({ "path": path, "content": "x" })).await?;
    }
    for (prefix, expected) in [
        ("a_b/", &["a_b/1", "A_B/2"][..]),
        ("50%/", &["50%/x"]),
        ("50%", &["50%/x"]),
        ("%", &[]),
        ("_", &[]),
        ("q?", &["q?/1"]),
        ("q[x]", &["q[x]/1"]),
        ("q*", &["q*/1"]),
        ("u\u{e9}/", &["u\u{e9}/1"]),
    ] {
        let found = agent.list(&format!("?path_prefix={}", enc(prefix))).await?;
        assert_eq!(each(&found, "path"), expected, "{prefix}");
    }
    Ok(())
}

/// In the order of the contract: blanks, backslashes, one `.md`, double slashes, one slash at each end.
#[tokio::test]
async fn paths_are_kept_in_one_form_and_found_by_the_letter() -> Result<()> {
    let agent = Agent::start().await?;
    for (given, kept) in [
        ("  only/path.md ", "only/path"),
        ("Only/Path", "Only/Path"),
        ("win\\dir\\x.MD", "win/dir/x"),
        ("//twice//over/", "twice/over"),
        ("a.md/", "a.md"),
        ("b.md.md", "b.md"),
    ] {
        let made = agent.post(&json!({ "path": given, "content": given })).await?;
        assert_eq!(made["path"], kept, "{given}");
        assert_eq!(agent.note(kept).await?["id"], made["id"], "{kept}");
    }
    for other in ["ONLY/PATH", "only/path.md", "win\\dir\\x", "twice//over"] {
        assert_eq!(agent.get(&format!("/notes/{}", enc(other))).await?.0, 404, "{other}");
    }
    let found = agent.list("?path=ONLY%2FPATH").await?;
    assert_eq!(each(&found, "path"), ["only/path", "Only/Path"]);
    Ok(())
}

#[tokio::test]
async fn text_is_added_around_what_stands_there() -> Result<()> {
    let agent = Agent::start().await?;
    let front = "---\ntitle: x\n---\nbody";
    agent.post(&json!({ "path": "n", "content": front })).await?;
    let (status, note) = agent
        .patch("n", &json!({ "prepend": "first ", "append": " last" }))
        .await?;
    assert_eq!(
        (status, text(&note, "content")),
        (200, "---\ntitle: x\n---\nfirst body last")
    );
    // A note without a path keeps a content, one with a path need not.
    let (status, note) = agent.patch("n", &json!({ "content": "", "force": true })).await?;
    assert_eq!((status, text(&note, "content")), (200, ""));
    let made = agent.post(&json!({ "content": "alone" })).await?;
    let (status, told) = agent
        .patch(text(&made, "id"), &json!({ "content": " ", "force": true }))
        .await?;
    assert_eq!(
        (status, text(&told, "error_type"), &told["note_id"]),
        (400, "empty_note", &made["id"])
    );
    assert_eq!(agent.note(text(&made, "id")).await?, made);
    Ok(())
}

#[tokio::test]
async fn a_tag_is_its_letters_and_a_note_has_it_once() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent
        .post(&json!({ "content": "x", "tags": ["x", "X", "x", "a b", "\u{e9}"] }))
        .await?;
    assert_eq!(made["tags"], json!(["X", "a b", "x", "\u{e9}"]));
    agent.post(&json!({ "content": "y", "tags": ["X"] })).await?;
    for (tag, count) in [("x", 1), ("X", 2), ("a b", 1), ("\u{e9}", 1), ("a", 0)] {
        assert_eq!(agent.list(&format!("?tag={}", enc(tag))).await?.len(), count, "{tag}");
        let (_, told) = agent.get(&format!("/tags/{}", enc(tag))).await?;
        assert_eq!(told["count"], count, "{tag}");
    }
    // Several times or with commas: any of them.
    assert_eq!(agent.list("?tag=x&tag=X").await?.len(), 2);
    assert_eq!(agent.list("?tag=x,X&tag_match=all").await?.len(), 1);
    let kept = agent.get("/tags").await?.1;
    let names: Vec<&Value> = kept.as_array().into_iter().flatten().map(|tag| &tag["name"]).collect();
    assert!(names.contains(&&json!("a b")), "{kept}");
    Ok(())
}
