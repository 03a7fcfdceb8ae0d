//! What definitions say of what they want, as the hub decides it.

use anyhow::Result;
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::hub::HubDouble;
use serde_json::{Value, json};

use super::{approve, define, github, notes, registered, says, with_hub};

#[tokio::test]
async fn ac_152_wants_are_registered_under_the_name_and_approval_shows_without_an_edit() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let wants = "vault:notes:read, env:github, mcp:https://m.example/mcp";
    define(&daemon, "eng", wants).await?;
    says(
        &daemon,
        "eng",
        "pending",
        "vault:notes:read, env:github, mcp:https://m.example/mcp",
    )
    .await?;
    let mcp = json!({ "kind": "mcp", "target": "https://m.example/mcp" });
    eventually("all are registered", LIMIT, async || {
        Ok((hub.grants("eng").len() == 3).then_some(()))
    })
    .await?;
    assert_eq!(registered(&hub, "eng"), [notes(), github(&["env"]), mcp]);
    assert!(hub.log().iter().all(|asked| asked.let_in));

    // Partly: only what is not approved is left, and the agent is live.
    approve(
        &hub,
        "eng",
        "github",
        &json!({ "kind": "service", "token": "t", "inject": ["env"] }),
    )
    .await?;
    says(&daemon, "eng", "pending", "vault:notes:read, mcp:https://m.example/mcp").await?;
    let sent = daemon.send("eng", "Hello").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    for target in ["notes", "https://m.example/mcp"] {
        approve(
            &hub,
            "eng",
            target,
            &json!({ "kind": "mcp", "token": "t", "mcpUrl": "http://127.0.0.1:9/" }),
        )
        .await?;
    }
    says(&daemon, "eng", "enabled", "").await?;
    // And back: what is taken away shows too.
    assert!(hub.revoke("eng", "github"));
    says(&daemon, "eng", "pending", "env:github").await?;
    let told: Value = daemon.request(Method::GET, &["api", "connections"], None).await?.ok()?;
    assert_eq!(told["backend"], "hub");
    let all = told["connections"].as_array().into_iter().flatten();
    let revoked: Vec<&Value> = all.filter(|one| one["status"] == "revoked").collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!(
        (&revoked[0]["key"], &revoked[0]["grantId"]),
        (&json!("env:github"), &json!(hub.grants("eng")[1].id))
    );
    Ok(())
}

#[tokio::test]
async fn ac_152_a_registration_that_fails_leaves_the_agent_live_and_pending() -> Result<()> {
    let hub = HubDouble::start()?;
    hub.set_faults(|faults| faults.put = Some(500));
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    says(&daemon, "eng", "pending", "env:github").await?;
    let sent = daemon.send("eng", "Hello").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    assert!(hub.grants("eng").is_empty());
    // It is asked again when the hub is well.
    hub.set_faults(|faults| faults.put = None);
    eventually("it is registered", LIMIT, async || {
        Ok((hub.grants("eng").len() == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn ac_152_wants_that_cannot_be_read_register_nothing() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "bad", "vault:notes:read, garbage").await?;
    says(&daemon, "bad", "error", "").await?;
    // Somebody who comes later has been asked for: the other one was passed by.
    define(&daemon, "eng", "env:github").await?;
    eventually("the later one is registered", LIMIT, async || {
        Ok((hub.grants("eng").len() == 1).then_some(()))
    })
    .await?;
    assert!(hub.grants("bad").is_empty());
    assert!(super::reconciled(&hub, "bad").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_hub_that_hangs_holds_up_neither_the_start_nor_a_turn() -> Result<()> {
    let hub = HubDouble::start()?;
    hub.set_faults(|faults| faults.hang = true);
    let mut daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    define(&daemon, "plain", "").await?;
    daemon.restart().await?;
    for agent in ["eng", "plain"] {
        let sent = daemon.send(agent, "Hello").await?;
        assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    }
    says(&daemon, "eng", "pending", "env:github").await?;
    Ok(())
}

#[tokio::test]
async fn who_decides_is_told_to_who_asks_here() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    for what in ["approve", "revoke"] {
        let body = json!({ "holder": "eng", "key": "env:github" });
        let answer = daemon
            .request(Method::POST, &["api", "connections", what], Some(&body))
            .await?;
        assert_eq!(answer.status, 409);
        assert!(
            answer.body["message"]
                .as_str()
                .is_some_and(|text| text.contains(&format!("at the hub {}", hub.url())))
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_what_lets_it_into_the_hub_the_daemon_says_what_is_missing() -> Result<()> {
    let started = reveille_tests::Daemon::builder()
        .stand_in()
        .env("REVEILLE_GRANTS__BACKEND", "hub")
        .start()
        .await;
    let error = format!("{:#}", started.err().map(|error| error.to_string()).unwrap_or_default());
    assert!(error.contains("token_file"), "{error}");
    Ok(())
}
