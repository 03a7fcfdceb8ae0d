//! `note`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::run;
use serde_json::json;

use super::{json_out, out, told, with_eng};

#[tokio::test]
async fn notes_are_put_read_listed_and_removed() -> Result<()> {
    let daemon = with_eng().await?;
    let put = [
        "note",
        "put",
        "Ideas/one thing",
        "Write less.",
        "--tag",
        "idea",
        "--tag",
        "#now",
        "--meta",
        "due=friday",
    ];
    let id = out(&daemon, &put).await?.trim_end().to_owned();
    let expected = |note: &serde_json::Value, content: &str| {
        json!({
            "id": id, "path": "Ideas/one thing", "content": content, "tags": ["idea", "now"],
            "metadata": { "due": "friday" }, "createdAt": note["createdAt"], "updatedAt": note["updatedAt"],
        })
    };
    let note = json_out(&daemon, &["note", "get", "Ideas/one thing", "--json"]).await?;
    assert_eq!(note, expected(&note, "Write less."));
    assert_eq!(json_out(&daemon, &["note", "get", &id, "--json"]).await?, note);
    let shown = out(&daemon, &["note", "get", &id]).await?;
    for part in [id.as_str(), "Ideas/one thing", "idea, now", "friday", "\nWrite less.\n"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    // Again: the same note, with what is new.
    let put = daemon.cli(["note", "put", "Ideas/one thing", "--tag", "later"]).await?;
    let again = run(put, "Write even less.").await?;
    assert_eq!(told(&again), (0, format!("{id}\n").as_str()), "{}", again.stderr);
    let note = json_out(&daemon, &["note", "get", &id, "--json"]).await?;
    assert_eq!(
        (&note["content"], &note["tags"]),
        (&json!("Write even less."), &json!(["idea", "later", "now"]))
    );

    out(&daemon, &["note", "put", "Ideas/two", "x", "--tag", "idea"]).await?;
    let listed = json_out(&daemon, &["note", "list", "--tag", "idea", "--json"]).await?;
    let paths: Vec<_> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|note| &note["path"])
        .collect();
    assert_eq!(paths, ["Ideas/two", "Ideas/one thing"]);
    let listed = out(&daemon, &["note", "list", "--tag", "idea", "--limit", "1"]).await?;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("Ideas/two"), "{listed}");

    assert_eq!(out(&daemon, &["note", "rm", "Ideas/two"]).await?, "removed Ideas/two\n");
    for args in [
        &["note", "get", "Ideas/two"][..],
        &["note", "rm", "Ideas/two"],
        &["note", "get", "x", "--vault", "elsewhere"],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (4, ""), "{args:?} {}", ran.stderr);
    }
    let ran = daemon.run(["note", "put", "x", "text", "--meta", "nothing"]).await?;
    assert_eq!(told(&ran), (2, ""), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn an_agent_and_its_message_can_be_written_as_notes() -> Result<()> {
    let daemon = with_eng().await?;
    let definition = [
        "note",
        "put",
        "Agents/scribe",
        "--tag",
        "agent/definition",
        "--meta",
        "name=scribe",
        "You write.",
    ];
    out(&daemon, &definition).await?;
    let message = [
        "note",
        "put",
        "Inbox/1",
        "--tag",
        "agent/message",
        "--tag",
        "agent/message/inbound",
        "--meta",
        "agent=scribe",
        "[[reply written]]",
    ];
    let id = out(&daemon, &message).await?.trim_end().to_owned();
    let sent = reveille_tests::daemon::Sent { id, turn: None };
    reveille_tests::eventually("scribe is known", reveille_tests::daemon::LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok(agents.into_iter().find(|agent| agent["name"] == "scribe"))
    })
    .await
    .context("the definition was not taken")?;
    assert_eq!(
        daemon.wait_turn("scribe", &sent).await?.reply.as_deref(),
        Some("written")
    );
    Ok(())
}

#[tokio::test]
async fn notes_are_searched_and_narrowed() -> Result<()> {
    let daemon = with_eng().await?;
    for (path, text, due, tag) in [
        ("Ideas/one", "A red apple a day", "2026-11-01", "idea"),
        ("Ideas/two", "Red, red apples - and banana-2", "2026-12-24", "idea"),
        ("Other/three", "A green pear", "2026-10-01", "other"),
    ] {
        let meta = format!("due={due}");
        out(&daemon, &["note", "put", path, text, "--tag", tag, "--meta", &meta]).await?;
    }
    for (args, expected) in [
        (&["search", "red"][..], &["Ideas/two", "Ideas/one"][..]),
        (&["search", "banana-2"], &["Ideas/two"]),
        (&["search", "a", "pear"], &["Other/three"]),
        (&["search", "apple*", "--limit", "1"], &["Ideas/one"]),
        (&["search", "red", "--tag", "other"], &[]),
        (
            &["search", "red OR green", "--where", "due[lt]=2026-11"],
            &["Other/three"],
        ),
        (&["list", "--path", "ideas/"], &["Ideas/two", "Ideas/one"]),
        (&["list", "--where", "due=2026-12-24"], &["Ideas/two"]),
        (
            &["list", "--where", "due[gte]=2026-11", "--asc"],
            &["Ideas/one", "Ideas/two"],
        ),
        (
            &["list", "--path", "", "--without", "idea", "--tag", "other"],
            &["Other/three"],
        ),
        (
            &["list", "--where", "due[exists]=true", "--order-by", "path"],
            &["Other/three", "Ideas/two", "Ideas/one"],
        ),
        (&["list", "--updated-since", "2100"], &[]),
    ] {
        let args = [&["note"], args, &["--json"]].concat();
        let listed = json_out(&daemon, &args).await?;
        let paths: Vec<_> = listed
            .as_array()
            .into_iter()
            .flatten()
            .map(|note| &note["path"])
            .collect();
        assert_eq!(paths, expected, "{args:?}");
    }
    let table = out(&daemon, &["note", "search", "green"]).await?;
    assert!(table.contains("Other/three") && table.lines().count() == 2, "{table}");
    for (args, code, says) in [
        (&["search"][..], 2, "TEXT"),
        (&["list", "--where", "due"], 2, "KEY=VALUE"),
        (&["list", "--where", "due[like]=x"], 4, "not_in"),
        (&["list", "--order-by", "due"], 4, "indexed"),
        (&["list", "--updated-since", "yesterday"], 4, "yesterday"),
    ] {
        let ran = daemon.run([&["note"], args].concat()).await?;
        assert_eq!(told(&ran), (code, ""), "{args:?} {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    Ok(())
}
