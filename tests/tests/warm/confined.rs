//! The walls around a process that has waited.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Turn};
use reveille_tests::eventually;
use serde_json::json;

use crate::{builder, define, left, well};

/// Which process runs the turn: the first turn of it.
const SINCE: &str = "[[exec echo since $REVEILLE_TURN]]";

async fn since(daemon: &Daemon, agent: &str) -> Result<String> {
    let reply = well(daemon, agent, SINCE).await?.reply.context("a reply")?;
    let (_, turn) = reply.rsplit_once("since ").with_context(|| reply.clone())?;
    Ok(turn.trim().to_owned())
}

fn tried(turn: &Turn) -> Vec<&str> {
    let all = turn
        .more
        .get("egress")
        .and_then(serde_json::Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    all.iter().filter_map(|one| one["host"].as_str()).collect()
}

#[tokio::test]
async fn what_a_turn_has_tried_to_reach_is_its_own() -> Result<()> {
    let daemon = builder().confined().start().await?;
    define(&daemon, "eng", json!({"network": "restricted"})).await?;
    let process = since(&daemon, "eng").await?;
    let ask = |host: &str| format!("[[exec curl -s -o /dev/null -w 'got %{{http_code}}' http://{host}/]]");
    for host in ["first.example", "second.example"] {
        let turn = well(&daemon, "eng", &ask(host)).await?;
        assert!(
            turn.reply.as_deref().unwrap_or_default().contains("got 403"),
            "{turn:?}"
        );
        assert_eq!(tried(&turn), [host]);
        let notices = turn.more["notices"].to_string();
        assert!(notices.contains(host), "{notices}");
    }
    let quiet = well(&daemon, "eng", "hi").await?;
    assert_eq!((tried(&quiet), &quiet.more["notices"]), (vec![], &json!([])));
    assert_eq!(since(&daemon, "eng").await?, process);
    let shown = daemon
        .request(http::Method::GET, &["api", "agents", "eng", "sandbox"], None)
        .await?;
    let text = shown.body.to_string();
    ensure!(
        text.contains("first.example") && text.contains("second.example"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn the_sandbox_lives_as_long_as_the_process_and_a_changed_policy_ends_it() -> Result<()> {
    let mut daemon = builder().confined().start().await?;
    define(&daemon, "eng", json!({})).await?;
    let first = since(&daemon, "eng").await?;
    assert_eq!(since(&daemon, "eng").await?, first);
    // Its own files of /tmp stay with it.
    well(&daemon, "eng", "[[exec echo mine >/tmp/mine]]").await?;
    let kept = well(&daemon, "eng", "[[exec cat /tmp/mine]]").await?;
    assert!(kept.reply.unwrap_or_default().contains("mine"));
    let shared = daemon.shared_mount();
    let agents = daemon.agents().await?;
    let note = agents[0]["note_id"].as_str().context("a note")?;
    let metadata = json!({"name": "eng", "mounts": [shared]});
    daemon
        .note_put(note, "You help.", &["agent/definition"], &metadata)
        .await?;
    left(&daemon, 0).await?;
    let second = since(&daemon, "eng").await?;
    assert_ne!(second, first);
    // Another directory in the place of one that it was given.
    std::fs::rename(daemon.shared(), daemon.scratch().join("old"))?;
    std::fs::create_dir(daemon.shared())?;
    std::fs::write(daemon.shared().join("new"), "new")?;
    let seen = well(&daemon, "eng", &format!("[[exec ls {}]]", daemon.shared().display())).await?;
    assert!(seen.reply.as_deref().unwrap_or_default().contains("new"), "{seen:?}");
    let third = since(&daemon, "eng").await?;
    assert_ne!(third, second);
    let now = daemon.children()?;
    assert!(!now.is_empty());
    daemon.kill9().await?;
    left(&daemon, 0).await?;
    Ok(())
}

/// Stores a file; answers its path.
async fn upload(daemon: &Daemon, name: &str, text: &str) -> Result<String> {
    let head = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let body = [head.as_bytes(), text.as_bytes(), b"\r\n--edge--\r\n"].concat();
    let (key, value) = daemon.bearer();
    let headers = [
        (key, value.as_str()),
        ("content-type", "multipart/form-data; boundary=edge"),
    ];
    let answer = daemon
        .ask("POST", "/vault/default/api/storage/upload", &headers, &body)
        .await?;
    ensure!(answer.status == 201, "{}", answer.json()?);
    Ok(answer.json()?["path"].as_str().context("a path")?.to_owned())
}

#[tokio::test]
async fn files_of_a_later_message_are_seen() -> Result<()> {
    let daemon = builder().confined().start().await?;
    define(&daemon, "eng", json!({})).await?;
    well(&daemon, "eng", "hi").await?;
    for name in ["one", "two"] {
        let path = upload(&daemon, &format!("{name}.txt"), &format!("the text of {name}")).await?;
        let text = "[[exec cat ../attachments/*/*.txt]]";
        let sent = daemon
            .send_with("eng", &json!({"text": text, "attachments": [path]}))
            .await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        let reply = turn.reply.clone().unwrap_or_default();
        assert!(reply.contains(&format!("the text of {name}")), "{turn:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_placeholder_of_a_credential_holds_in_every_turn() -> Result<()> {
    let daemon = builder()
        .confined()
        .env("REVEILLE_SANDBOX__SHIELD", "true")
        .start()
        .await?;
    define(&daemon, "eng", json!({"network": "restricted"})).await?;
    let body = json!({"token": "sk-ant-api03-one-of-many-letters-and-more"});
    let claude = ["api", "credentials", "claude"];
    crate::done(&daemon, http::Method::POST, &claude, &body).await?;
    let first = since(&daemon, "eng").await?;
    assert_eq!(since(&daemon, "eng").await?, first);
    let said = well(
        &daemon,
        "eng",
        "[[exec echo key $ANTHROPIC_API_KEY at $ANTHROPIC_BASE_URL]]",
    )
    .await?;
    let reply = said.reply.unwrap_or_default();
    assert!(reply.contains("placeholder") && reply.contains("127.0.0.1"), "{reply}");
    eventually("one process waits", LIMIT, async || {
        Ok((!daemon.children()?.is_empty()).then_some(()))
    })
    .await?;
    let other = json!({"token": "sk-ant-api03-another-of-many-letters-and-more"});
    crate::done(&daemon, http::Method::POST, &claude, &other).await?;
    assert_ne!(since(&daemon, "eng").await?, first);
    Ok(())
}
