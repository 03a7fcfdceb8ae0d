//! Who may do what at `/api/agent-vaults`, and what is refused. Rows of the acceptance catalogue by their names.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use reveille_tests::hub::HubDouble;
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use serde_json::{Value, json};

use super::{FILE, VAULTS, add, builder, delete, names, post, server, with_hub};

async fn token(daemon: &reveille_tests::Daemon, scope: &str) -> Result<String> {
    let asked = json!({ "scopes": [scope] }).to_string();
    let made = daemon.ask_in("POST", "/vault/default/tokens", asked.as_bytes()).await?;
    let made = made.json()?;
    made["token"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| made.to_string())
}

#[tokio::test]
async fn ac_181_who_may_look_and_who_may_change() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    let vault = token(&daemon, "vault:admin").await?;
    let body = json!({ "vault": "more", "url": peer.url(), "token": "t" }).to_string();
    let one = format!("{VAULTS}/nothing");
    for (bearer, statuses) in [
        (None, [401, 401, 401]),
        (Some(vault.as_str()), [403, 403, 403]),
        (Some(daemon.token()), [200, 201, 200]),
    ] {
        let value = bearer.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = value.iter().map(|value| ("authorization", value.as_str())).collect();
        let mut told = Vec::new();
        for (method, target, body) in [("GET", VAULTS, ""), ("POST", VAULTS, &body), ("DELETE", &one, "")] {
            let answer = daemon.ask(method, target, &headers, body.as_bytes()).await?;
            assert!(!String::from_utf8_lossy(&answer.body).contains(TOKEN));
            told.push(answer.status);
        }
        assert_eq!(told, statuses, "{bearer:?}");
    }
    assert_eq!(names(&daemon).await?, ["default", "more", "notes"]);
    Ok(())
}

#[tokio::test]
async fn ac_181_what_is_no_vault_is_refused_and_nothing_is_kept() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    let url = peer.url();
    for (body, code) in [
        ("{".to_owned(), "invalid_json"),
        (json!({}).to_string(), "invalid_body"),
        (json!({ "vault": 7 }).to_string(), "invalid_body"),
        (json!({ "vault": "notes", "url": 7 }).to_string(), "invalid_body"),
        (
            json!({ "vault": "notes", "tokn": "sk-secret" }).to_string(),
            "invalid_body",
        ),
        (
            json!({ "vault": "", "token": "sk-secret" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "a b", "token": "sk-secret" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "list", "token": "sk-secret" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "notes", "url": "h", "token": "sk-secret" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "notes", "url": "http://a:sk-secret@h" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "notes", "url": url, "token": " " }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "notes", "url": url, "token": "sk\nsecret" }).to_string(),
            "invalid_vault",
        ),
        (
            json!({ "vault": "default", "url": url, "token": "t" }).to_string(),
            "vault_exists",
        ),
        (
            json!({ "vault": "Default", "url": url, "token": "t" }).to_string(),
            "vault_exists",
        ),
        // Nobody could make one.
        (json!({ "vault": "notes", "url": url }).to_string(), "no_hub"),
    ] {
        let answer = daemon.ask_in("POST", VAULTS, body.as_bytes()).await?;
        let told = answer.json()?;
        assert_eq!((answer.status, &told["error"]), (400, &json!(code)), "{body}: {told}");
        assert!(!told.to_string().contains("sk-secret"), "{told}");
    }
    assert_eq!(names(&daemon).await?, ["default"]);
    assert!(!daemon.state_dir().join(FILE).exists());
    Ok(())
}

#[tokio::test]
async fn ac_181_what_the_hub_refuses_is_told_with_its_status() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    let daemon = with_hub(&hub).start().await?;
    let body = json!({ "vault": "notes", "url": peer.url() });
    for (status, word) in [
        (429, "rate_limited"),
        (400, "invalid_scope"),
        (403, "insufficient_scope"),
        (503, "made"),
    ] {
        hub.set_faults(|faults| faults.mint = Some((status, word)));
        let answer = post(&daemon, &body).await?;
        let told = answer.json()?;
        assert_eq!((answer.status, &told["error"]), (status, &json!("mint_refused")));
        let message = told["message"].as_str().context("a message")?;
        assert!(message.contains("mint") && message.contains(word), "{message}");
    }
    hub.set_faults(|faults| {
        faults.mint = None;
        faults.mint_nothing = true;
    });
    assert_eq!(post(&daemon, &body).await?.status, 502);
    hub.kill();
    assert_eq!(post(&daemon, &body).await?.status, 502);
    assert_eq!(names(&daemon).await?, ["default"]);
    assert!(!daemon.state_dir().join(FILE).exists());
    Ok(())
}

/// A server that the hub does not know would have a token in hand that lets it into the hub's own vault of that name.
#[tokio::test]
async fn ac_181_no_token_of_the_hub_goes_to_a_server_that_is_not_the_hubs() -> Result<()> {
    let hub = HubDouble::start()?;
    let mut daemon = with_hub(&hub).start().await?;
    for url in [
        "http://192.0.2.1:1940",
        "https://evil.example",
        "http://127.0.0.1.evil.example",
    ] {
        let answer = post(&daemon, &json!({ "vault": "notes", "url": url })).await?;
        assert_eq!(answer.refusal()?, (400, "token_needed".to_owned()), "{url}");
        let told = answer.json()?;
        assert!(told["message"].to_string().contains(url) && told["next_step"].to_string().contains("token"));
    }
    assert_eq!(
        (names(&daemon).await?, hub.minted().len()),
        (vec!["default".to_owned()], 0)
    );
    // With a token of its own it is a vault like any other, and one that was written down is not renewed there.
    let elsewhere = "http://[::ffff:127.0.0.1]:9";
    assert_eq!(
        post(&daemon, &json!({ "vault": "notes", "url": elsewhere }))
            .await?
            .status,
        400
    );
    let body = json!({ "vault": "notes", "url": elsewhere, "token": "its-own" });
    assert_eq!(post(&daemon, &body).await?.status, 201);
    daemon.stop().await?;
    let kept = json!({ "vaults": [{ "vault": "notes", "vaultUrl": elsewhere, "token": "old",
        "expiresAt": "2020-01-01T00:00:00Z" }] });
    std::fs::write(daemon.state_dir().join(FILE), kept.to_string())?;
    daemon.start().await?;
    eventually("it is told", LIMIT, async || {
        let standing = super::standing(&daemon, "notes").await?;
        Ok(standing.filter(|one| one["reason"].to_string().contains("is not the hub's")))
    })
    .await?;
    assert_eq!(hub.minted().len(), 0);
    Ok(())
}

#[tokio::test]
async fn ac_181_unknown_last_and_configured_vaults_stay() -> Result<()> {
    let peer = Parachute::start_named(Version::July, "notes")?;
    let daemon = builder().config("[vault]\nname = \"home\"\n").start().await?;
    let coded = |answer: &reveille_tests::daemon::Answer| -> Result<(u16, Value)> {
        Ok((answer.status, answer.json()?["error"].clone()))
    };
    let unknown = delete(&daemon, "nothing").await?;
    let expected = json!({ "ok": true, "vault": "nothing", "removed": false, "running": 0 });
    assert_eq!((unknown.status, unknown.json()?), (200, expected));
    assert_eq!(coded(&delete(&daemon, "home").await?)?, (400, json!("last_vault")));
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    let configured = delete(&daemon, "home").await?;
    assert_eq!(coded(&configured)?, (409, json!("configured_vault")));
    let told = configured.json()?["message"].to_string();
    assert!(told.contains("reveille.toml"), "{told}");
    assert_eq!(names(&daemon).await?, ["home", "notes"]);
    Ok(())
}

#[tokio::test]
async fn ac_181_when_the_file_cannot_be_written_everything_stays_as_it_was() -> Result<()> {
    let (peer, other) = (server("notes", "eng")?, server("more", "ops")?);
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    super::agent_is_there(&daemon, "eng", true).await?;
    // A directory in its place: nothing can be put there.
    let path = daemon.state_dir().join(FILE);
    std::fs::remove_file(&path)?;
    std::fs::create_dir(&path)?;
    std::fs::write(path.join("x"), "x")?;
    for answer in [
        delete(&daemon, "notes").await?,
        add(&daemon, "more", &other, TOKEN).await?,
    ] {
        assert_eq!((answer.status, &answer.json()?["error"]), (500, &json!("not_kept")));
    }
    assert_eq!(names(&daemon).await?, ["default", "notes"]);
    let sent = daemon.send("eng", "Hello").await?;
    assert!(daemon.wait_turn("eng", &sent).await?.state.is_terminal());
    super::wait_replies(&peer, 1).await
}

#[tokio::test]
async fn a_file_that_nobody_understands_is_named_at_the_start() -> Result<()> {
    let mut daemon = builder().start().await?;
    daemon.stop().await?;
    std::fs::write(
        daemon.state_dir().join(FILE),
        r#"{"vaults":[{"vault":"a b","token":"sk-secret"}]}"#,
    )?;
    let error = format!("{:#}", daemon.start().await.err().context("it must not start")?);
    assert!(error.contains(FILE) && error.contains("mend it"), "{error}");
    assert!(!error.contains("sk-secret"), "{error}");
    std::fs::write(daemon.state_dir().join(FILE), r#"{"vaults":[]}"#)?;
    daemon.start().await
}

#[tokio::test]
async fn the_configuration_goes_before_the_file_and_the_file_keeps_its_entry() -> Result<()> {
    let peer = server("notes", "eng")?;
    let mut daemon = builder().start().await?;
    daemon.stop().await?;
    let kept = json!({ "vaults": [
        { "vault": "default", "token": "old-one", "boundAt": 1 },
        { "vault": "notes", "vaultUrl": peer.url(), "token": TOKEN },
    ] });
    std::fs::write(daemon.state_dir().join(FILE), kept.to_string())?;
    daemon.start().await?;
    let listed = daemon.ask_in("GET", VAULTS, b"").await?.json()?;
    let from: Vec<&Value> = listed["vaults"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|one| &one["from"])
        .collect();
    assert_eq!(from, ["configuration", "api"]);
    assert!(daemon.log()?.contains("does not count"));
    assert_eq!(delete(&daemon, "notes").await?.json()?["removed"], true);
    assert_eq!(super::file(&daemon)?, json!({ "vaults": [kept["vaults"][0].clone()] }));
    Ok(())
}
