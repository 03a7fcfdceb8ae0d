//! Processes that are started ahead for agents with connections.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, run};
use serde_json::json;

use crate::ahead::{House, counted};
use crate::{builder, define};

/// A variable that a process was started with.
fn variable(pid: u32, name: &str) -> Result<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ"))?;
    let pairs = environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut found = pairs
        .filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()).filter(|_| pair.starts_with(&format!("{name}="))));
    found.next().with_context(|| format!("no {name}"))
}

async fn decide(daemon: &Daemon, word: &str, want: &str) -> Result<()> {
    let ran = run(daemon.cli(["agent", word, "eng", want]).await?, "").await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    Ok(())
}

/// Says which process it is, and what the vault answers to what it was lent.
const ASK: &str = "[[exec curl -s -o /dev/null -w 'answer %{http_code}' -H \"Authorization: Bearer $REVEILLE_GRANT_1\" \
                   \"$REVEILLE_URL/vault/default/api/notes\"; echo; echo process $PPID]]";

#[tokio::test]
async fn what_is_granted_here_works_in_it_once_its_turn_has_begun() -> Result<()> {
    let want = "vault:default:read";
    let daemon = builder().env("REVEILLE_LIMITS__LIVE_TURNS", "1").start().await?;
    define(&daemon, "eng", json!({ "wants": want })).await?;
    decide(&daemon, "approve", want).await?;
    let house = House::busy(daemon, "[[reply begun]][[hang]]").await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", ASK).await?;
    let started = house.started(&[]).await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    let bearer = format!("Bearer {}", variable(started, "REVEILLE_GRANT_1")?);
    let headers = [("authorization", bearer.as_str())];
    let status = async || {
        anyhow::Ok(
            daemon
                .ask("GET", "/vault/default/api/notes", &headers, b"")
                .await?
                .status,
        )
    };
    assert_eq!(status().await?, 401, "before its turn");
    house.over().await?;
    assert_eq!(house.ran("eng", &sent).await?, started);
    let reply = daemon.wait_turn("eng", &sent).await?.reply.context("a reply")?;
    assert!(reply.contains("answer 200"), "{reply}");
    assert_eq!(status().await?, 401, "after its turn");
    counted(daemon, [1, 0, 1, 0]).await?;

    // What is taken away while it waits is not there when its turn comes.
    let house = House::busy(house.daemon, "[[reply begun]][[hang]]").await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", ASK).await?;
    decide(daemon, "revoke", want).await?;
    house.over().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let reply = turn.reply.context("a reply")?;
    assert!(reply.contains("answer 401"), "{reply}");
    house.sound().await
}
