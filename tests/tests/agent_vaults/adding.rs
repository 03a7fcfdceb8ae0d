//! An added vault has all that a configured one has.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::hub::HubDouble;
use reveille_tests::parachute::TOKEN;
use serde_json::{Value, json};

use super::{FILE, add, agent_is_there, builder, file, holding, names, post, server, stands, wait_replies, with_hub};

#[tokio::test]
async fn its_agents_work_at_once_and_after_a_crash() -> Result<()> {
    let peer = server("notes", "eng")?;
    let mut daemon = builder().start().await?;
    let added = add(&daemon, "notes", &peer, TOKEN).await?;
    let expected = json!({ "ok": true, "vault": {
        "vault": "notes", "url": peer.url(), "tokenPresent": true, "kind": "parachute", "from": "api",
    } });
    assert_eq!((added.status, added.json()?), (201, expected));
    agent_is_there(&daemon, "eng", true).await?;
    let sent = daemon.send("eng", "Hello").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    wait_replies(&peer, 1).await?;
    // The operator sees how it stands.
    stands(&daemon, "notes", "ready").await?;

    let mode = std::fs::metadata(daemon.state_dir().join(FILE))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = json!({ "vaults": [{ "vault": "notes", "vaultUrl": peer.url(), "token": TOKEN, "given": true }] });
    assert_eq!(file(&daemon)?, kept);

    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(names(&daemon).await?, ["default", "notes"]);
    agent_is_there(&daemon, "eng", true).await?;
    let sent = daemon.send("eng", "Again").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    wait_replies(&peer, 2).await?;
    Ok(())
}

#[tokio::test]
async fn a_message_that_another_client_writes_there_wakes_its_agent() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    let note = json!({
        "content": "Hello", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "eng", "sender": "operator" }
    });
    peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    wait_replies(&peer, 1).await
}

#[tokio::test]
async fn the_hints_of_its_server_are_taken_as_long_as_it_is_there() -> Result<()> {
    let peer = server("notes", "eng")?;
    let mut daemon = builder().start().await?;
    let body = json!({ "vault": "notes", "url": peer.url(), "token": TOKEN, "webhook_secret": "s3cret-of-hints" });
    let added = post(&daemon, &body).await?;
    assert_eq!(added.status, 201);
    assert!(!added.json()?.to_string().contains("s3cret"));
    let hint = async |daemon: &reveille_tests::Daemon| -> Result<u16> {
        let headers = [("authorization", "Bearer s3cret-of-hints")];
        let body = json!({ "note": { "id": "anything" } }).to_string();
        let answer = daemon
            .ask("POST", "/api/vault/inbound", &headers, body.as_bytes())
            .await?;
        Ok(answer.status)
    };
    // 503 as long as the first scan takes.
    let followed = async |daemon: &reveille_tests::Daemon| {
        eventually("a hint is followed", LIMIT, async || {
            Ok((hint(daemon).await? == 200).then_some(()))
        })
        .await
    };
    agent_is_there(&daemon, "eng", true).await?;
    followed(&daemon).await?;
    daemon.restart().await?;
    agent_is_there(&daemon, "eng", true).await?;
    followed(&daemon).await?;
    assert_eq!(super::delete(&daemon, "notes").await?.status, 200);
    assert_eq!(hint(&daemon).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_holds_nobody_up() -> Result<()> {
    let peer = server("notes", "eng")?;
    peer.kill();
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    stands(&daemon, "notes", "unavailable").await?;
    daemon.create_agent("near", "You do.").await?;
    let sent = daemon.send("near", "Hello").await?;
    assert_eq!(daemon.wait_turn("near", &sent).await?.state, State::Ok);
    peer.restart().await?;
    agent_is_there(&daemon, "eng", true).await
}

#[tokio::test]
async fn a_name_that_is_taken_stays_with_the_vault_that_was_there_first() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    daemon.create_agent("eng", "You do.").await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    eventually("the newcomer says why it waits", LIMIT, async || {
        let note = peer
            .note("Agents/eng")
            .filter(|note| note.metadata.get("status") == Some(&json!("error")));
        let detail = note.and_then(|note| note.metadata["status_detail"].as_str().map(str::to_owned));
        Ok(detail.filter(|detail| detail.contains("vault default")))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn without_a_token_the_hub_mints_one() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    peer.set_token("minted-for-notes-0123456789");
    hub.mint_next("minted-for-notes-0123456789");
    let daemon = with_hub(&hub).start().await?;
    let added = post(&daemon, &json!({ "vault": "notes", "url": peer.url() })).await?;
    assert_eq!(
        (added.status, &added.json()?["vault"]["tokenPresent"]),
        (201, &json!(true))
    );
    let asked: Vec<Value> = hub.minted().into_iter().map(|(asked, _)| asked).collect();
    assert_eq!(
        asked,
        [json!({ "scope": "vault:notes:write", "audience": "vault.notes" })]
    );
    agent_is_there(&daemon, "eng", true).await?;
    let sent = daemon.send("eng", "[[env REVEILLE_HUB__TOKEN]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Ok);
    assert!(
        turn.reply
            .is_some_and(|reply| reply.contains("not set") || reply.contains("unset"))
    );
    // Nothing of it is anywhere but in the file, and the hub's own token is in none.
    assert_eq!(holding(&daemon.state_dir(), "minted-for-notes")?, [FILE]);
    let nowhere: [&str; 0] = [];
    assert_eq!(holding(&daemon.state_dir(), reveille_tests::hub::TOKEN)?, nowhere);
    for secret in ["minted-for-notes", reveille_tests::hub::TOKEN] {
        assert!(!daemon.log()?.contains(secret));
        for target in [super::VAULTS, "/health", "/api/agents", "/vaults"] {
            let answer = daemon.ask_in("GET", target, b"").await?;
            assert!(!String::from_utf8_lossy(&answer.body).contains(secret), "{target}");
        }
        assert!(
            peer.notes()
                .iter()
                .all(|note| !note.full().to_string().contains(secret))
        );
    }
    Ok(())
}
