//! A vault whose storage fails: `/health` says so, what was accepted is kept, the other vaults go on, and once the cause is
//! gone everything is well without a restart.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

const TWO: &str = "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"second\"\n";
const GARBAGE: &str = "this is not a database ";

async fn health(daemon: &Daemon) -> Result<Value> {
    daemon.request(Method::GET, &["health"], None).await?.ok()
}

/// How a vault stands, once it is as `wanted`.
async fn stands(daemon: &Daemon, vault: &str, wanted: &str) -> Result<String> {
    eventually(&format!("the vault {vault} is {wanted}"), LIMIT, async || {
        let health = health(daemon).await?;
        let one = health["vaults"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["name"] == vault);
        let one = one.context("the vault is listed")?;
        if one["state"] != wanted {
            return Ok(None);
        }
        let well = wanted == "ready";
        assert_eq!(one["reason"].is_string(), !well, "{one}");
        assert!(
            well || (health["status"] == "degraded" && one["since"].is_string()),
            "{health}"
        );
        Ok(Some(one["reason"].as_str().unwrap_or_default().to_owned()))
    })
    .await
}

async fn works(daemon: &Daemon, agent: &str) -> Result<Sent> {
    let sent = daemon.send(agent, "[[reply done]]").await?;
    assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    Ok(sent)
}

async fn post(daemon: &Daemon, path: &[&str], body: &Value) -> Result<(u16, Value)> {
    let reply = daemon.request(Method::POST, path, Some(body)).await?;
    Ok((reply.status, reply.body))
}

async fn send(daemon: &Daemon, agent: &str, text: &str) -> Result<(u16, Value)> {
    post(daemon, &["api", "channels", agent, "send"], &json!({ "text": text })).await
}

fn file(daemon: &Daemon, vault: &str) -> PathBuf {
    daemon.state_dir().join("vaults").join(format!("{vault}.db"))
}

fn sql(file: &Path, text: &str) -> Result<()> {
    let connection = rusqlite::Connection::open(file)?;
    connection.busy_timeout(LIMIT)?;
    Ok(connection.execute_batch(text)?)
}

#[tokio::test]
async fn a_damaged_vault_does_not_keep_the_daemon_from_starting_and_is_taken_up_when_it_is_restored() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    works(&daemon, "eng").await?;
    daemon.wait_quiet(LIMIT).await?;
    let (status, _) = post(&daemon, &["api", "agents", "eng", "pause"], &json!({})).await?;
    assert_eq!(status, 200);
    let kept = daemon.send("eng", "[[reply kept]]").await?;
    daemon.stop().await?;
    let (vault, backup) = (file(&daemon, "default"), daemon.scratch().join("backup.db"));
    std::fs::rename(&vault, &backup)?;
    std::fs::write(&vault, GARBAGE.repeat(1000))?;

    daemon.start().await?;
    let reason = stands(&daemon, "default", "unavailable").await?;
    assert!(reason.contains("is no vault; it was left as it is"), "{reason}");
    for (status, body) in [
        send(&daemon, "eng", "Hello").await?,
        post(&daemon, &["api", "agents"], &json!({ "name": "new" })).await?,
        post(
            &daemon,
            &["vault", "default", "api", "notes"],
            &json!({ "content": "x" }),
        )
        .await?,
    ] {
        let message = body["message"].as_str().unwrap_or_default();
        assert!(status == 503 && message.contains("is no vault"), "{status} {body}");
    }
    assert_eq!(std::fs::read_to_string(&vault)?, GARBAGE.repeat(1000));
    let doctor = daemon.run(["doctor"]).await?;
    assert!(
        doctor.stdout.contains("vault: default") && doctor.stdout.contains("is no vault"),
        "{doctor:?}"
    );

    std::fs::rename(&backup, &vault)?;
    stands(&daemon, "default", "ready").await?;
    eventually("the agents are known again", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 1).then_some(()))
    })
    .await?;
    let (status, _) = post(&daemon, &["api", "agents", "eng", "resume"], &json!({})).await?;
    assert_eq!(status, 200);
    assert_eq!(daemon.wait_turn("eng", &kept).await?.state, State::Ok);
    works(&daemon, "eng").await?;
    assert_eq!(daemon.wait_quiet(LIMIT).await?.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_is_in_line_for_agents_of_a_vault_that_is_read_late_runs_by_itself() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    // The first holds up the second until the daemon dies.
    let first = daemon.send("eng", "[[slow 600x100ms]] [[reply never]]").await?;
    let first = first.turn.context("the turn of the first")?;
    let second = daemon.send("eng", "[[reply second]]").await?;
    eventually("the first has begun", LIMIT, async || {
        let turns: Value = daemon
            .request(Method::GET, &["api", "channels", "eng", "queue"], None)
            .await?
            .ok()?;
        Ok(turns.to_string().contains("\"working\"").then_some(()))
    })
    .await?;
    daemon.kill9().await?;
    let (vault, aside) = (file(&daemon, "default"), daemon.scratch().join("aside.db"));
    std::fs::rename(&vault, &aside)?;
    std::fs::create_dir(&vault)?;
    daemon.start().await?;
    stands(&daemon, "default", "unavailable").await?;
    std::fs::remove_dir(&vault)?;
    std::fs::rename(&aside, &vault)?;
    stands(&daemon, "default", "ready").await?;
    // Nobody sends anything, nobody resumes anything.
    eventually("the first goes on", LIMIT, async || {
        let open = daemon
            .request(Method::GET, &["api", "channels", "eng", "queue"], None)
            .await?;
        Ok((open.status == 200 && open.body.to_string().contains("\"working\"")).then_some(()))
    })
    .await?;
    let (status, _) = post(&daemon, &["api", "turns", &first, "stop"], &json!({})).await?;
    assert_eq!(status, 200);
    assert_eq!(daemon.wait_turn("eng", &second).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn a_vault_that_cannot_be_read_stops_no_other() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    daemon.create_agent("near", "You do.").await?;
    post(
        &daemon,
        &["api", "agents"],
        &json!({ "name": "far", "vault": "second" }),
    )
    .await?;
    daemon.stop().await?;
    let (second, aside) = (file(&daemon, "second"), daemon.scratch().join("second.db"));
    std::fs::rename(&second, &aside)?;
    std::fs::create_dir(&second)?;

    daemon.start().await?;
    let reason = stands(&daemon, "second", "unavailable").await?;
    assert!(reason.contains("cannot be made or opened"), "{reason}");
    stands(&daemon, "default", "ready").await?;
    works(&daemon, "near").await?;
    // Nobody can say that there is no such agent.
    let (status, body) = send(&daemon, "far", "Hello").await?;
    assert_eq!((status, &body["error"]), (503, &json!("vault_unavailable")));

    std::fs::remove_dir(&second)?;
    std::fs::rename(&aside, &second)?;
    stands(&daemon, "second", "ready").await?;
    works(&daemon, "far").await?;
    Ok(())
}

#[tokio::test]
async fn a_vault_that_another_process_has_locked_is_told_and_waited_for() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    let other = rusqlite::Connection::open(file(&daemon, "default"))?;
    other.busy_timeout(LIMIT)?;
    other.execute_batch("BEGIN IMMEDIATE")?;
    let (status, body) = send(&daemon, "eng", "Hello").await?;
    let message = body["message"].as_str().unwrap_or_default();
    assert!(
        status == 503 && message.contains("locked by another process"),
        "{status} {body}"
    );
    let reason = stands(&daemon, "default", "degraded").await?;
    assert!(reason.contains("can be read, but not written"), "{reason}");
    other.execute_batch("ROLLBACK")?;
    stands(&daemon, "default", "ready").await?;
    works(&daemon, "eng").await?;

    // From the start on, and so that it cannot even be read.
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")?;
    daemon.start().await?;
    let reason = stands(&daemon, "default", "unavailable").await?;
    assert!(reason.contains("locked by another process"), "{reason}");
    other.execute_batch("ROLLBACK")?;
    drop(other);
    stands(&daemon, "default", "ready").await?;
    works(&daemon, "eng").await?;
    Ok(())
}

#[tokio::test]
async fn a_note_that_cannot_be_read_is_passed_by_and_named() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    // Damaged before anybody could read it.
    let damaged = "INSERT INTO notes (id, path, created_at, updated_at, tags, metadata, content) \
                   VALUES ('poison', 'Inbox/poison', 1, 1, '[\"doc\"]', 'out of order', 'x'); \
                   INSERT INTO changes (note_id, kind) VALUES ('poison', 'created');";
    sql(&file(&daemon, "default"), damaged)?;
    works(&daemon, "eng").await?;
    let reason = stands(&daemon, "default", "degraded").await?;
    assert!(reason.contains("left out: poison"), "{reason}");
    let listed = daemon.run(["note", "list"]).await?;
    assert!(listed.code == 0 && !listed.stdout.contains("poison"), "{listed:?}");
    let got = daemon
        .request(Method::GET, &["vault", "default", "api", "notes", "poison"], None)
        .await?;
    assert_eq!(
        (got.status, &got.body["error_type"], &got.body["note_id"]),
        (500, &json!("damaged_note"), &json!("poison"))
    );

    let removed = daemon.run(["note", "rm", "poison"]).await?;
    assert_eq!(removed.code, 0, "{removed:?}");
    stands(&daemon, "default", "ready").await?;
    Ok(())
}

#[tokio::test]
async fn a_message_that_could_not_be_read_runs_when_it_is_mended() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    let damaged = "INSERT INTO notes (id, created_at, updated_at, tags, metadata, content) \
                   VALUES ('late', 1, 1, '[\"agent/message\",\"agent/message/inbound\"]', 'out of order', '[[reply late]]'); \
                   INSERT INTO changes (note_id, kind) VALUES ('late', 'created');";
    sql(&file(&daemon, "default"), damaged)?;
    works(&daemon, "eng").await?;
    stands(&daemon, "default", "degraded").await?;
    sql(
        &file(&daemon, "default"),
        "UPDATE notes SET metadata = '{\"agent\":\"eng\"}', agent = 'eng' WHERE id = 'late'",
    )?;
    eventually("the message is answered", LIMIT, async || {
        let said = daemon.messages("eng").await?;
        Ok(said
            .iter()
            .any(|one| one.in_reply_to.as_deref() == Some("late"))
            .then_some(()))
    })
    .await?;
    stands(&daemon, "default", "ready").await?;
    Ok(())
}

#[tokio::test]
async fn a_definition_that_is_damaged_while_the_daemon_is_away_stops_nobody() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    daemon.create_agent("ops", "You do.").await?;
    works(&daemon, "ops").await?;
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    sql(
        &file(&daemon, "default"),
        "UPDATE notes SET metadata = 'out of order' WHERE path = 'Agents/ops'",
    )?;
    daemon.start().await?;
    works(&daemon, "eng").await?;
    // It is as it was: nobody has said anything else.
    works(&daemon, "ops").await?;
    Ok(())
}

#[tokio::test]
async fn an_older_copy_that_is_put_in_place_while_the_daemon_serves_is_taken_up() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("old", "You do.").await?;
    works(&daemon, "old").await?;
    daemon.wait_quiet(LIMIT).await?;
    let (vault, copy) = (file(&daemon, "default"), daemon.scratch().join("copy.db"));
    sql(&vault, &format!("VACUUM INTO '{}'", copy.display()))?;
    daemon.create_agent("young", "You do.").await?;
    works(&daemon, "young").await?;
    daemon.wait_quiet(LIMIT).await?;
    stands(&daemon, "default", "ready").await?;

    std::fs::rename(&copy, &vault)?;
    eventually("the agents are those of the copy", LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok((agents.len() == 1 && agents[0]["name"] == "old").then_some(()))
    })
    .await?;
    stands(&daemon, "default", "ready").await?;
    works(&daemon, "old").await?;
    // What it knew is not done again.
    let asked = daemon
        .messages("old")
        .await?
        .iter()
        .filter(|one| one.direction == "inbound")
        .count();
    assert_eq!(asked, 2);
    Ok(())
}

#[cfg(target_os = "linux")]
mod small_disk {
    use std::io::Write as _;

    use pretty_assertions::assert_eq;

    use super::*;

    /// Where the system allows no mount namespaces, there is nothing to test.
    async fn cannot_mount() -> Result<bool> {
        let mut probe = tokio::process::Command::new("unshare");
        probe.args([
            "--user",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/mnt",
        ]);
        let allowed = probe.output().await.is_ok_and(|output| output.status.success());
        if !allowed {
            std::io::stderr().write_all(b"no mount namespaces here: not tested on a small file system\n")?;
        }
        Ok(!allowed)
    }

    /// Takes all the room that is left.
    fn fill(path: &Path) -> Result<()> {
        let mut ballast = std::fs::File::create(path)?;
        loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                anyhow::ensure!(error.kind() == std::io::ErrorKind::StorageFull, "{error}");
                return Ok(());
            }
        }
    }

    #[tokio::test]
    async fn a_full_disk_keeps_what_was_accepted_and_goes_on_when_there_is_room() -> Result<()> {
        if cannot_mount().await? {
            return Ok(());
        }
        let small = Daemon::builder()
            .stand_in()
            .mounts("mount -t tmpfs -o size=4m,mode=0700 none \"$1\"");
        let daemon = small.start().await?;
        daemon.create_agent("eng", "You do.").await?;
        let gate = daemon.scratch().join("gate");
        let text = format!(
            "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply kept]]",
            gate.display()
        );
        let running = daemon.send("eng", &text).await?;
        let waiting = daemon.send("eng", "[[reply later]]").await?;
        let ballast = daemon.vaults_as_seen().join("ballast");
        fill(&ballast)?;
        let refused = eventually("a message does not fit", LIMIT, async || {
            let (status, body) = send(&daemon, "eng", &"x".repeat(50_000)).await?;
            Ok((status == 503).then_some(body))
        })
        .await?;
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("disk is full") && message.contains("free some space"),
            "{refused}"
        );
        let reason = stands(&daemon, "default", "degraded").await?;
        assert!(reason.contains("disk is full"), "{reason}");
        // The turns go on, and what they have to say is kept.
        std::fs::write(&gate, "")?;
        for sent in [&running, &waiting] {
            assert_eq!(daemon.wait_turn("eng", sent).await?.state, State::Ok);
        }

        std::fs::remove_file(&ballast)?;
        stands(&daemon, "default", "ready").await?;
        for (sent, words) in [(&running, "kept"), (&waiting, "later")] {
            eventually("the reply is in the vault", LIMIT, async || {
                let said = daemon.messages("eng").await?;
                let reply = said
                    .iter()
                    .find(|one| one.in_reply_to.as_deref() == Some(sent.id.as_str()));
                Ok(reply
                    .filter(|one| one.direction == "outbound" && one.text.ends_with(words))
                    .map(drop))
            })
            .await?;
        }
        works(&daemon, "eng").await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_read_only_directory_is_told_and_used_when_it_can_be_written() -> Result<()> {
        if cannot_mount().await? {
            return Ok(());
        }
        let read_only = Daemon::builder()
            .stand_in()
            .mounts("mount --bind \"$1\" \"$1\"\nmount -o remount,bind,ro \"$1\"");
        let daemon = read_only.start().await?;
        let reason = stands(&daemon, "default", "unavailable").await?;
        assert!(reason.contains("Read-only file system"), "{reason}");
        let (status, _) = send(&daemon, "eng", "Hello").await?;
        assert_eq!(status, 503);

        let mut remount = tokio::process::Command::new("nsenter");
        remount
            .args(["--user", "--mount", "--preserve-credentials", "--target"])
            .arg(daemon.pid().to_string())
            .args(["mount", "-o", "remount,bind,rw"])
            .arg(daemon.state_dir().join("vaults"));
        assert!(remount.status().await?.success());
        stands(&daemon, "default", "ready").await?;
        daemon.create_agent("eng", "You do.").await?;
        works(&daemon, "eng").await?;
        Ok(())
    }
}
