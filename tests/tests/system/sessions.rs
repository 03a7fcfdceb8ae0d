//! How a client gets in, and how it got in.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::hub::HubDouble;
use serde_json::{Value, json};

use super::{post, token};

async fn via(daemon: &Daemon, header: &str, value: &str) -> Result<Value> {
    let answer = daemon
        .ask("GET", "/api/session", &[(header, value)], b"")
        .await?
        .json()?;
    assert_eq!(answer["signed_in"], true, "{answer}");
    Ok(answer["via"].clone())
}

async fn cookie(daemon: &Daemon) -> Result<String> {
    let link = post(daemon, "/api/sign-in-links", &json!({})).await?.json()?;
    let (_, code) = link["url"]
        .as_str()
        .and_then(|url| url.split_once("#sign-in="))
        .context("a code")?;
    let signed_in = daemon
        .ask(
            "POST",
            "/api/session",
            &[],
            json!({ "code": code }).to_string().as_bytes(),
        )
        .await?;
    assert_eq!(signed_in.json()?, json!({ "signed_in": true }));
    let cookie = signed_in
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    Ok(cookie.context("a cookie")?.to_owned())
}

#[tokio::test]
async fn a_session_says_by_what_it_is_let_in() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__AUTH", "true")
        .start()
        .await?;
    let (name, admin) = daemon.bearer();
    assert_eq!(via(&daemon, name, &admin).await?, "token");
    assert_eq!(via(&daemon, name, &token(&daemon, "admin").await?).await?, "token");
    assert_eq!(via(&daemon, "cookie", &cookie(&daemon).await?).await?, "link");
    let of_hub = format!("Bearer {}", hub.token("reveille:admin")?);
    assert_eq!(via(&daemon, name, &of_hub).await?, "hub");

    let status = daemon.ask("GET", "/auth/status", &[], b"").await?.json()?;
    let origin = hub.url().to_string();
    let origin = origin.trim_end_matches('/');
    let expected = json!({
        "origin": origin,
        "sign_in_url": format!("{origin}/admin"),
        "token_url": format!("{origin}/admin/module-token/reveille"),
    });
    assert_eq!(status["hub"], expected);
    Ok(())
}

#[tokio::test]
async fn without_a_hub_there_is_none_to_sign_in_to() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let status = daemon.ask("GET", "/auth/status", &[], b"").await?.json()?;
    assert_eq!(status.get("hub"), Some(&Value::Null));
    Ok(())
}
