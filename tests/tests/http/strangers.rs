//! Who is not let in: costs nothing, learns nothing, and is told the same whatever there is.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use reveille_tests::hub::HubDouble;
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use serde_json::json;

use super::{ask_with, token_of_vault, with_eng, works};

/// A name that stands in the state of the daemon, and the same address with one that does not.
const TWINS: [(&str, &str); 15] = [
    ("GET", "/api/agents/NAME"),
    ("DELETE", "/api/agents/NAME"),
    ("PATCH", "/api/agents/NAME"),
    ("POST", "/api/agents/NAME/pause"),
    ("GET", "/api/channels/NAME/messages"),
    ("GET", "/api/channels/NAME/threads"),
    ("GET", "/api/channels/NAME/queue"),
    ("GET", "/api/channels/NAME/turn-events"),
    ("POST", "/api/channels/NAME/send"),
    ("GET", "/api/turns?channel=NAME"),
    ("GET", "/api/jobs/NAME"),
    ("POST", "/api/jobs/NAME/run"),
    ("DELETE", "/api/agent-vaults/NAME"),
    ("GET", "/mcp/NAME"),
    ("POST", "/mcp/NAME"),
];
/// What is called so: an agent, its job.
const SECRET_NAME: &str = "merger-with-acme";

/// An answer without its date and the id of its request, which are its own.
fn bare(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    // A challenge names the address that was asked, whatever is there.
    for (_, value) in &mut headers {
        *value = value.replace(SECRET_NAME, "NAME").replace("nobody-is-so", "NAME");
    }
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    (answer.status, headers, answer.body.clone())
}

async fn with_secret_name() -> Result<Daemon> {
    let daemon = with_eng().await?;
    daemon.create_agent(SECRET_NAME, "You keep it to yourself.").await?;
    let job = json!({
        "id": SECRET_NAME, "channel": SECRET_NAME, "message": "wake", "schedule": { "cron": "0 0 1 1 *" }
    });
    let made = daemon.ask_in("POST", "/api/jobs", job.to_string().as_bytes()).await?;
    ensure!(made.status == 200, "{:?}", made.json());
    Ok(daemon)
}

/// Tokens that open nothing here.
fn wrong_tokens(daemon: &Daemon) -> Vec<String> {
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwic2NvcGUiOiJyZXZlaWxsZTphZG1pbiJ9.";
    vec![
        String::new(),
        "guess".to_owned(),
        jwt.to_owned(),
        format!("pvt_{}", "0".repeat(32)),
        daemon.token()[1..].to_owned(),
        daemon.token().to_uppercase() + "0",
        "x".repeat(20_000),
    ]
}

#[tokio::test]
async fn r_http_46_a_stranger_is_told_the_same_whatever_there_is() -> Result<()> {
    let daemon = with_secret_name().await?;
    for (method, target) in TWINS {
        let (there, not) = (
            target.replace("NAME", SECRET_NAME),
            target.replace("NAME", "nobody-is-so"),
        );
        for token in wrong_tokens(&daemon).iter().take(4) {
            let asked = |target: String| {
                let daemon = &daemon;
                async move { ask_with(daemon, token, method, &target, b"{}").await }
            };
            let (one, other) = (asked(there.clone()).await?, asked(not.clone()).await?);
            let told = String::from_utf8_lossy(&one.body).into_owned();
            ensure!(
                !told.contains(SECRET_NAME) && !told.contains("\"eng\""),
                "{method} {there}: {told}"
            );
            if !target.starts_with("/mcp/") || one.status != 404 {
                assert_eq!(one.status, 401, "{method} {there}");
            }
            assert_eq!(bare(&one), bare(&other), "{method} {target} with {token:?}");
        }
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_95_3_who_may_only_read_notes_learns_no_names_of_agents() -> Result<()> {
    let daemon = with_secret_name().await?;
    for verb in ["read", "write", "admin"] {
        let token = token_of_vault(&daemon, verb).await?;
        for (method, target) in TWINS {
            if target.starts_with("/mcp/") {
                continue;
            }
            for name in [SECRET_NAME, "nobody-is-so"] {
                let target = target.replace("NAME", name);
                let answer = ask_with(&daemon, &token, method, &target, b"{}").await?;
                assert_eq!(answer.refusal()?.0, 403, "{verb}: {method} {target}");
                let told = String::from_utf8_lossy(&answer.body).into_owned();
                ensure!(!told.contains(SECRET_NAME), "{verb}: {method} {target}: {told}");
            }
        }
    }
    works(&daemon).await
}

/// Behind the daemon are a vault and a hub: neither hears of a stranger.
#[tokio::test]
async fn r_auth_4_2_a_stranger_is_refused_before_anybody_is_asked() -> Result<()> {
    let (peer, hub) = (Parachute::start(Version::July)?, HubDouble::start()?);
    let config = format!(
        "[vault]\nkind = \"parachute\"\nurl = \"{}\"\ntoken = \"${{VAULT_TOKEN}}\"\npoll = \"1h\"\nwebhook_secret = \"${{HOOK}}\"\n\
         [hub]\norigin = \"{}\"\ntoken = \"${{HUB_TOKEN}}\"\n",
        peer.url(),
        hub.url()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("VAULT_TOKEN", TOKEN)
        .env("HUB_TOKEN", reveille_tests::hub::TOKEN)
        .env("HOOK", "the-hook-0123456789")
        .config(&config)
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    works(&daemon).await?;
    let hint = json!({ "note": { "id": "strange", "metadata": { "agent": "strange" } } }).to_string();
    for token in wrong_tokens(&daemon).iter().filter(|token| !token.starts_with("eyJ")) {
        for (method, target) in TWINS {
            ask_with(
                &daemon,
                token,
                method,
                &target.replace("NAME", "eng"),
                b"{\"text\":\"x\"}",
            )
            .await?;
        }
        for target in [
            "/vault/default/api/notes?search=strange",
            "/vault/default/api/notes/strange",
            "/vault/default/api/tags/strange",
            "/vault/default/mcp",
            "/api/vault/inbound",
            "/api/vault/agent-def",
            "/api/agents",
            "/api/agent-defs",
            "/api/agent-vaults",
            "/api/connections",
        ] {
            for method in ["GET", "POST"] {
                let answer = ask_with(&daemon, token, method, target, hint.as_bytes()).await?;
                ensure!(
                    [401, 405, 429].contains(&answer.status),
                    "{method} {target}: {}",
                    answer.status
                );
            }
        }
        let target = "/api/vault/inbound?secret=wrong";
        assert_eq!(daemon.ask("POST", target, &[], hint.as_bytes()).await?.status, 401);
    }
    let log = peer.take_log();
    ensure!(log.len() > 3, "the vault is asked otherwise: {log:?}");
    ensure!(!log.iter().any(|line| line.contains("strange")), "{log:?}");
    assert_eq!(hub.take_log(), []);
    Ok(())
}

#[tokio::test]
async fn r_auth_2_a_bearer_is_read_as_it_is_meant() -> Result<()> {
    let daemon = with_eng().await?;
    let token = daemon.token();
    for (value, status) in [
        (format!("Bearer {token}"), 200),
        (format!("bearer {token}"), 200),
        (format!("BEARER   {token}  "), 200),
        (format!("Bearer{token}"), 401),
        (format!("Bearer {token} x"), 401),
        (format!("Bearer {token},Bearer {token}"), 401),
        (format!("Token {token}"), 401),
        (format!("Bearer \"{token}\""), 401),
        (format!("Bearer Bearer {token}"), 401),
        (format!("Bearer {}", &token[..token.len() - 1]), 401),
        ("Bearer".to_owned(), 401),
        (String::new(), 401),
    ] {
        let answer = daemon
            .ask("GET", "/api/agents", &[("authorization", &value)], b"")
            .await?;
        assert_eq!(answer.status, status, "{}", value.replace(token, "T"));
    }
    Ok(())
}

#[tokio::test]
async fn r_auth_3_a_refusal_says_what_is_missing_and_repeats_no_token() -> Result<()> {
    let daemon = with_eng().await?;
    for token in wrong_tokens(&daemon) {
        let answer = ask_with(&daemon, &token, "GET", "/api/agents", b"").await?;
        ensure!([401, 431].contains(&answer.status), "{}", answer.status);
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(token.is_empty() || !told.contains(&token), "{told}");
        if answer.status == 401 {
            assert_eq!(answer.refusal()?.1, "unauthorized");
        }
    }
    let reader = token_of_vault(&daemon, "read").await?;
    let answer = ask_with(
        &daemon,
        &reader,
        "POST",
        "/vault/default/api/notes",
        b"{\"content\":\"x\"}",
    )
    .await?;
    let told = answer.json()?;
    assert_eq!(
        (answer.status, told["error_type"].as_str()),
        (403, Some("insufficient_scope"))
    );
    assert_eq!(
        (&told["required_scope"], &told["granted_scopes"]),
        (&json!("vault:write"), &json!(["vault:read"]))
    );
    told["message"].as_str().context("a sentence")?;
    Ok(())
}
