//! Another vault of the daemon in the hands of a turn: as far as it was granted, as long as it is, and as the turn's.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, arguments_with};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Held, TWO, approve, ask, create, ctl, revoke};

const LENT: &str = "REVEILLE_GRANT_1";
const NOTES: &str = "/vault/notes/api/notes";

async fn house(wants: &str) -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    create(&daemon, "eng", wants).await?;
    for (path, tag) in [("Plans/a", "shared"), ("Diary/b", "private")] {
        daemon.note_put_in("notes", path, "text", &[tag], &json!({})).await?;
    }
    approve(&daemon, "eng", wants, None, None).await?;
    Ok(daemon)
}

async fn paths(daemon: &Daemon, token: &str) -> Result<Value> {
    let answer = ask(daemon, token, "GET", NOTES, &Value::Null).await?;
    let notes = answer.json()?;
    let notes = notes.as_array().with_context(|| notes.to_string())?;
    Ok(notes.iter().map(|note| note["path"].clone()).collect())
}

#[tokio::test]
async fn a_turn_sees_what_was_granted_until_it_is_revoked() -> Result<()> {
    let daemon = house("vault:notes:read#shared").await?;
    let held = Held::new(&daemon, "eng", LENT).await?;
    assert_eq!(paths(&daemon, &held.said).await?, json!(["Plans/a"]));
    let write = json!({ "content": "x", "path": "Plans/c", "tags": ["shared"] });
    for (method, target, body) in [
        ("POST", NOTES, &write),
        ("GET", "/vault/default/api/notes", &Value::Null),
        ("GET", "/vault/notes/tokens", &Value::Null),
        ("GET", "/api/agents", &Value::Null),
        ("GET", "/api/connections", &Value::Null),
    ] {
        let answer = ask(&daemon, &held.said, method, target, body).await?;
        assert_eq!(answer.status, 403, "{method} {target}: {}", answer.json()?);
    }
    revoke(&daemon, "eng", "vault:notes:read#shared").await?;
    let answer = ask(&daemon, &held.said, "GET", NOTES, &Value::Null).await?;
    assert_eq!(answer.status, 401, "{}", answer.json()?);
    held.end(&daemon, "eng").await?;
    let next = Held::new(&daemon, "eng", LENT).await?;
    assert_eq!(next.said, "");
    next.end(&daemon, "eng").await?;
    Ok(())
}

#[tokio::test]
async fn a_token_ends_with_its_turn_and_is_in_no_file() -> Result<()> {
    let daemon = house("vault:notes:read").await?;
    let held = Held::new(&daemon, "eng", LENT).await?;
    assert_eq!(paths(&daemon, &held.said).await?, json!(["Plans/a", "Diary/b"]));
    let token = held.said.clone();
    let in_no_file = || -> Result<()> {
        assert_eq!(daemon.files_with(&token)?, [""; 0]);
        assert_eq!(arguments_with(&token)?, [0; 0]);
        // That of the operator is where it belongs, so it is looked there.
        assert_eq!(daemon.files_with(daemon.token())?, ["token"]);
        Ok(())
    };
    in_no_file()?;
    let turn = held.end(&daemon, "eng").await?;
    let answer = ask(&daemon, &token, "GET", NOTES, &Value::Null).await?;
    assert_eq!(answer.status, 401, "{}", answer.json()?);
    let servers: Value = serde_json::from_str(&std::fs::read_to_string(ctl(&daemon, &turn)?.join("mcp.json"))?)?;
    let expected = json!({
        "type": "http", "url": "${REVEILLE_URL}/vault/notes/mcp", "alwaysLoad": true,
        "headers": { "Authorization": format!("Bearer ${{{LENT}}}") },
    });
    assert_eq!(servers["mcpServers"]["grant-vault-notes"], expected);
    assert_eq!(
        servers["mcpServers"]["reveille"]["headers"]["Authorization"],
        "Bearer ${REVEILLE_TOKEN}"
    );
    in_no_file()
}

#[tokio::test]
async fn what_a_turn_hands_on_there_belongs_to_its_chain() -> Result<()> {
    let daemon = house("vault:notes:write").await?;
    let metadata = json!({ "name": "far" });
    let far = daemon
        .note_put_in("notes", "Agents/far", "You do.", &["agent/definition"], &metadata)
        .await?;
    eventually("the other agent is there", LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok(agents.iter().any(|agent| agent["name"] == "far").then_some(()))
    })
    .await?;
    let held = Held::new(&daemon, "eng", LENT).await?;
    let letter = json!({
        "content": "[[reply from far]]", "path": "Inbox/1", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "far", "chain_id": "another", "delegation_depth": "0", "sender": "ann" },
    });
    let answer = ask(&daemon, &held.said, "POST", NOTES, &letter).await?;
    assert_eq!(answer.status, 201, "{}", answer.json()?);
    let note = daemon.note_in("notes", "Inbox/1").await?.context("the letter")?;
    let marks = ["chain_id", "delegation_depth", "sender"].map(|key| note["metadata"][key].clone());
    assert_eq!(marks, [json!(held.sent.id), json!("1"), json!("agent:eng")]);
    // To write there is neither to define agents there nor to remove notes.
    let agent =
        json!({ "content": "x", "path": "Agents/mine", "tags": ["agent/definition"], "metadata": { "name": "mine" } });
    let id = far["id"].as_str().context("an id")?;
    for (method, target, body) in [
        ("POST", NOTES.to_owned(), &agent),
        ("DELETE", format!("{NOTES}/{id}"), &Value::Null),
    ] {
        let answer = ask(&daemon, &held.said, method, &target, body).await?;
        assert_eq!(answer.status, 403, "{method} {target}: {}", answer.json()?);
    }
    held.end(&daemon, "eng").await?;
    Ok(())
}

#[tokio::test]
async fn a_vault_elsewhere_needs_an_address_and_a_token() -> Result<()> {
    let daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    let key = "vault:far:read";
    create(&daemon, "eng", key).await?;
    let refused = super::decide(&daemon, "approve", &json!({ "holder": "eng", "key": key })).await?;
    assert_eq!(
        (refused.status, &refused.body["error"]),
        (400, &json!("invalid_approval"))
    );
    assert!(
        refused.body["message"]
            .as_str()
            .is_some_and(|text| text.contains("there is no vault \"far\""))
    );
    let url = "https://far.example/vault/far/mcp";
    approve(&daemon, "eng", key, Some("far-hunter2hunter2"), Some(url)).await?;
    let held = Held::new(&daemon, "eng", LENT).await?;
    assert_eq!(held.said, "far-hunter2hunter2");
    let turn = held.end(&daemon, "eng").await?;
    let servers: Value = serde_json::from_str(&std::fs::read_to_string(ctl(&daemon, &turn)?.join("mcp.json"))?)?;
    let far = &servers["mcpServers"]["grant-vault-far"];
    assert_eq!(
        (&far["url"], &far["headers"]["Authorization"]),
        (&json!(url), &json!(format!("Bearer ${{{LENT}}}")))
    );
    Ok(())
}
