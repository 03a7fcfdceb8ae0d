//! Whose a session is, and when it ends.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::house;
use super::wire::{Wire, call};

/// A token for the default vault, as its notes API makes them.
async fn token(daemon: &Daemon) -> Result<Value> {
    let asked = json!({ "scopes": ["vault:read"] }).to_string();
    let made = daemon.ask_in("POST", "/vault/default/tokens", asked.as_bytes()).await?;
    anyhow::ensure!(made.status == 201, "{}", made.status);
    made.json()
}

/// How many sessions there are, as `/health` tells those who may know: `*` are those of the whole daemon.
pub(super) async fn counted(daemon: &Daemon) -> Result<Value> {
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    let mut counted = json!({ "*": health["mcp_sessions"] });
    for channel in health["channels"].as_array().into_iter().flatten() {
        counted[channel["name"].as_str().context("a name")?] = channel["mcp_sessions"].clone();
    }
    let counted = counted.as_object().context("counts")?.iter();
    Ok(counted
        .filter(|(_, count)| **count != 0)
        .map(|(name, count)| (name.clone(), count.clone()))
        .collect())
}

#[tokio::test]
async fn a_session_is_good_for_who_opened_it_where_it_was_opened() -> Result<()> {
    let daemon = house().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let token = token(&daemon).await?;
    let token = token["token"].as_str().context("a token")?;
    let own = Wire::new(&daemon, "/mcp/eng", daemon.token())?;
    let session = own.open().await?;
    for (path, token) in [("/mcp", daemon.token()), ("/mcp/ops", daemon.token()), ("/mcp", token)] {
        let other = Wire::new(&daemon, path, token)?;
        let said = other.post(Some(&session), &call(2, "tools/list")).await?;
        assert_eq!(said.refusal()?, (404, -32001, json!(2)), "{path}");
        assert_eq!(other.stand(&session).await?.status(), 404, "{path}");
        // It cannot be ended from there either.
        assert_eq!(other.end(&session).await?, 204, "{path}");
    }
    assert_eq!(own.post(Some(&session), &call(3, "tools/list")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_a_session_may_do_is_asked_each_time() -> Result<()> {
    let daemon = house().await?;
    let made = token(&daemon).await?;
    let wire = Wire::new(&daemon, "/mcp", made["token"].as_str().context("a token")?)?;
    let session = wire.open().await?;
    let mut stream = wire.stand(&session).await?;
    assert_eq!(stream.status(), 200);
    assert_eq!(wire.post(Some(&session), &call(2, "tools/list")).await?.status, 200);
    let id = made["id"].as_str().context("an id")?;
    let gone = daemon
        .ask_in("DELETE", &format!("/vault/default/tokens/{id}"), b"")
        .await?;
    assert!((200..300).contains(&gone.status), "{}", gone.status);
    assert_eq!(wire.post(Some(&session), &call(3, "tools/list")).await?.status, 401);
    // What stood open ends by itself.
    let end = tokio::time::timeout(LIMIT, async {
        while stream.chunk().await?.is_some() {}
        anyhow::Ok(())
    });
    end.await.context("the stream goes on")??;
    Ok(())
}

#[tokio::test]
async fn a_session_has_one_standing_stream_which_ends_with_it() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    let mut stream = wire.stand(&session).await?;
    assert_eq!(stream.status(), 200);
    assert_eq!(wire.stand(&session).await?.status(), 409);
    // One that went away makes room.
    drop(stream);
    stream = eventually("the stream may be opened again", LIMIT, async || {
        let stream = wire.stand(&session).await?;
        Ok((stream.status() == 200).then_some(stream))
    })
    .await?;
    assert_eq!(wire.end(&session).await?, 200);
    let end = tokio::time::timeout(LIMIT, stream.chunk())
        .await
        .context("the stream goes on")?;
    assert!(matches!(end, Ok(None)), "{end:?}");
    Ok(())
}

#[tokio::test]
async fn sessions_are_counted_by_channel_for_those_who_may_know() -> Result<()> {
    let daemon = house().await?;
    assert_eq!(counted(&daemon).await?, json!({}));
    let (whole, eng) = (
        Wire::new(&daemon, "/mcp", daemon.token())?,
        Wire::new(&daemon, "/mcp/eng", daemon.token())?,
    );
    let (one, _) = (eng.open().await?, eng.open().await?);
    whole.open().await?;
    assert_eq!(counted(&daemon).await?, json!({ "*": 1, "eng": 2 }));
    eng.end(&one).await?;
    assert_eq!(counted(&daemon).await?, json!({ "*": 1, "eng": 1 }));
    let open = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert_eq!((open.get("mcp_sessions"), open.get("channels")), (None, None));
    Ok(())
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_MCP__SESSION_IDLE", "8s")
        .start()
        .await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let (idle, used) = (wire.open().await?, wire.open().await?);
    // A stream that stands open is use.
    let stream = wire.stand(&used).await?;
    assert_eq!(stream.status(), 200);
    eventually("one is left", LIMIT, async || {
        Ok((counted(&daemon).await? == json!({ "*": 1 })).then_some(()))
    })
    .await?;
    let said = wire.post(Some(&idle), &call(2, "ping")).await?;
    assert_eq!(said.refusal()?, (404, -32001, json!(2)));
    assert_eq!(wire.post(Some(&used), &call(2, "ping")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn there_are_only_so_many_and_the_longest_idle_one_makes_room() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_MCP__SESSIONS", "2")
        .start()
        .await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let (first, second) = (wire.open().await?, wire.open().await?);
    let _stream = wire.stand(&first).await?;
    let third = wire.open().await?;
    let status = async |session: &str| Ok::<_, anyhow::Error>(wire.post(Some(session), &call(2, "ping")).await?.status);
    assert_eq!(
        [status(&first).await?, status(&second).await?, status(&third).await?],
        [200, 404, 200]
    );
    // All in use: a new one is refused, and those that are there go on.
    let _another = wire.stand(&third).await?;
    let said = wire.post(None, &super::wire::hello("2025-11-25")).await?;
    let body: Value = serde_json::from_str(&said.text)?;
    assert_eq!((said.status, &body["error"]), (503, &json!("too_many_sessions")));
    assert_eq!([status(&first).await?, status(&third).await?], [200, 200]);
    Ok(())
}

#[tokio::test]
async fn a_token_cannot_keep_the_others_out() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_MCP__SESSIONS", "4")
        .start()
        .await?;
    let made = token(&daemon).await?;
    let wire = Wire::new(&daemon, "/mcp", made["token"].as_str().context("a token")?)?;
    let own = Wire::new(&daemon, "/mcp", daemon.token())?;
    let mine = own.open().await?;
    let (first, second) = (wire.open().await?, wire.open().await?);
    // Its third one costs its own first one, although there is room for one more.
    wire.open().await?;
    assert_eq!(wire.post(Some(&first), &call(2, "ping")).await?.status, 404);
    assert_eq!(own.post(Some(&mine), &call(2, "ping")).await?.status, 200);
    let _one = wire.stand(&second).await?;
    let third = wire.open().await?;
    let _two = wire.stand(&third).await?;
    assert_eq!(wire.post(None, &super::wire::hello("2025-11-25")).await?.status, 503);
    own.open().await?;
    assert_eq!(own.post(Some(&mine), &call(2, "ping")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn streams_end_when_the_daemon_stops() -> Result<()> {
    let mut daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    let mut stream = wire.stand(&session).await?;
    let status = daemon.stop().await?;
    assert!(status.success(), "{status}");
    let end = tokio::time::timeout(LIMIT, stream.chunk())
        .await
        .context("the stream goes on")?;
    assert!(matches!(end, Ok(None)), "{end:?}");
    // After a restart it is unknown, which tells a client to begin anew.
    daemon.start().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let said = wire.post(Some(&session), &call(2, "ping")).await?;
    assert_eq!(said.refusal()?, (404, -32001, json!(2)));
    Ok(())
}
