//! What many definitions cost in writes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, rows};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::{Value, json};

use super::{DEFINITION, SECRET, feed_comes_round, put, remote, scans, stand_in, writes};

const MANY: usize = 1000;

/// The vault's log: who was written.
fn log(daemon: &Daemon) -> Result<Vec<Vec<Value>>> {
    let sql = "SELECT cursor, note_id FROM changes WHERE note_id IN (SELECT id FROM notes WHERE path LIKE 'Agents/%')";
    rows(&daemon.state_tables()?.vault, sql)
}

/// Waits until so many definitions say this.
async fn all_say(daemon: &Daemon, status: &str) -> Result<()> {
    let mut last = 0;
    loop {
        // However slow the machine: as long as something comes, it goes on.
        let sql = format!(
            "SELECT count(*) FROM notes WHERE path LIKE 'Agents/%' AND json_extract(metadata, '$.status') = '{status}'"
        );
        last = eventually("more definitions say what became of them", LIMIT, async || {
            let found = rows(&daemon.state_tables()?.vault, &sql)?;
            let count = found[0][0].as_u64().and_then(|count| usize::try_from(count).ok());
            let count = count.context("a count")?;
            Ok((count > last || count == MANY).then_some(count))
        })
        .await?;
        if last == MANY {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn ac_159_a_thousand_definitions_cost_one_write_each_and_then_none() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    let notes: Vec<Value> = (0..MANY)
        .map(|n| {
            json!({"path": format!("Agents/a{n}"), "content": "You do.", "tags": DEFINITION,
                   "metadata": {"name": format!("a{n}")}})
        })
        .collect();
    for part in notes.chunks(500) {
        let body = json!({ "notes": part });
        let path = ["vault", "default", "api", "notes"];
        daemon.request(Method::POST, &path, Some(&body)).await?.ok::<Value>()?;
    }
    all_say(&daemon, "enabled").await?;
    feed_comes_round(&daemon, "a0", "1").await?;
    let before = log(&daemon)?;
    assert_eq!(before.len(), 2 * MANY);
    let written: BTreeSet<String> = before.iter().map(|row| row[1].to_string()).collect();
    assert_eq!(written.len(), MANY);

    // Looks at what has not changed: wakes of the feed, and starts.
    feed_comes_round(&daemon, "a0", "2").await?;
    for round in 0..3 {
        daemon.restart().await?;
        feed_comes_round(&daemon, "a1", &format!("restart-{round}")).await?;
    }
    assert_eq!(log(&daemon)?, before);

    // Changed all at once in something that the word on the note does not depend on: no word is written.
    for part in (0..MANY).collect::<Vec<_>>().chunks(16) {
        let edits = part.iter().map(|n| {
            let path = format!("Agents/a{n}");
            let daemon = &daemon;
            async move {
                let patch = json!({"metadata": {"model": "opus"}, "force": true});
                let address = ["vault", "default", "api", "notes", &path];
                daemon
                    .request(Method::PATCH, &address, Some(&patch))
                    .await?
                    .ok::<Value>()
            }
        });
        for edited in futures_util::future::join_all(edits).await {
            edited?;
        }
    }
    feed_comes_round(&daemon, "a2", "edited").await?;
    assert_eq!(
        writes(&daemon, "note_id IN (SELECT id FROM notes WHERE path LIKE 'Agents/%')")?,
        3 * MANY
    );
    let models = daemon.agents().await?;
    assert_eq!(models.iter().filter(|agent| agent["model"] == "opus").count(), MANY);
    Ok(())
}

#[tokio::test]
async fn ac_159_a_thousand_definitions_of_a_server_cost_it_one_write_each_and_then_none() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    for n in 0..MANY {
        put(
            &peer,
            &format!("Agents/a{n}"),
            &DEFINITION,
            &json!({"name": format!("a{n}")}),
        )?;
    }
    let is_write = |line: &&String| !line.starts_with("GET ");
    let mut asked = Vec::new();
    let mut daemon = remote(&peer, "").start().await?;
    let mut last = 0;
    while last < MANY {
        last = eventually("more definitions say what became of them", LIMIT, async || {
            let notes = peer.notes().into_iter();
            let enabled = notes
                .filter(|note| note.metadata.get("status") == Some(&json!("enabled")))
                .count();
            Ok((enabled > last).then_some(enabled))
        })
        .await?;
        asked.extend(peer.take_log());
    }
    scans(&peer, 1).await?;
    let of_agents: Vec<_> = asked
        .iter()
        .filter(is_write)
        .filter(|line| line.starts_with("PATCH "))
        .collect();
    assert_eq!(of_agents.len(), MANY);

    let before: Vec<_> = peer.notes().iter().map(|note| note.updated_at.clone()).collect();
    // Three polls, three hints, and a start.
    scans(&peer, 3).await?;
    for note in peer.notes().iter().take(3) {
        let hint = json!({ "event": "updated", "note": { "id": note.id } }).to_string();
        let headers = [
            ("x-channel-webhook-secret", SECRET),
            ("content-type", "application/json"),
        ];
        let told = daemon
            .ask("POST", "/api/vault/agent-def", &headers, hint.as_bytes())
            .await?;
        assert_eq!(told.status, 200, "{}", told.json()?);
    }
    daemon.restart().await?;
    eventually("all are there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == MANY).then_some(()))
    })
    .await?;
    scans(&peer, 1).await?;
    let after: Vec<_> = peer.notes().iter().map(|note| note.updated_at.clone()).collect();
    assert_eq!(after, before);
    Ok(())
}
