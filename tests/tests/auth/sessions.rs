//! Browsers that sign in and out.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;

use super::{Holder, Stream, code, signed_in, started};

const SESSION: &str = "/api/session";

/// What a browser with that cookie gets. Its name has the port of the daemon in it, which a restart may change.
async fn status(daemon: &Daemon, cookie: &str) -> Result<u16> {
    let (_, secret) = cookie.split_once('=').context("a cookie")?;
    let authority = daemon.authority()?;
    let (_, port) = authority.rsplit_once(':').context("a port")?;
    let cookie = &format!("reveille_{port}={secret}");
    Ok(daemon.ask("GET", SESSION, &[("cookie", cookie)], b"").await?.status)
}

async fn sign_out(daemon: &Daemon, target: &str, cookie: &str) -> Result<Answer> {
    let page = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
    daemon.ask("DELETE", target, &page, b"").await
}

#[tokio::test]
async fn a_copy_of_a_cookie_is_worth_nothing_after_its_browser_signed_out() -> Result<()> {
    let mut daemon = started().await?;
    let (gone, stays) = (signed_in(&daemon).await?, signed_in(&daemon).await?);
    assert_eq!(
        (status(&daemon, &gone).await?, status(&daemon, &stays).await?),
        (200, 200)
    );
    let file = std::fs::read_to_string(daemon.state_dir().join("sessions.json"))?;
    for cookie in [&gone, &stays] {
        let (_, secret) = cookie.split_once('=').context("a cookie")?;
        ensure!(!file.contains(secret) && secret.len() >= 43, "{file}");
    }
    let out = sign_out(&daemon, SESSION, &gone).await?;
    assert_eq!(out.status, 200);
    let cleared = out.header("set-cookie").context("a cookie")?;
    ensure!(cleared.contains("Max-Age=0"), "{cleared}");
    for _ in 0..2 {
        assert_eq!(
            (status(&daemon, &gone).await?, status(&daemon, &stays).await?),
            (401, 200)
        );
        daemon.kill9().await?;
        daemon.start().await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_browser_can_be_signed_out_at_once() -> Result<()> {
    let mut daemon = started().await?;
    let cookies = [signed_in(&daemon).await?, signed_in(&daemon).await?];
    let everywhere = format!("{SESSION}?everywhere=true");
    for (target, refusal) in [
        (format!("{SESSION}?everywhere=yes"), code(400, "invalid_query")),
        (format!("{SESSION}?everywher=true"), code(400, "invalid_query")),
    ] {
        assert_eq!(sign_out(&daemon, &target, &cookies[0]).await?.refusal()?, refusal);
    }
    let writer = Holder::with(&daemon, &["reveille:write"]).await?;
    let refused = writer.refused(&daemon, "DELETE", &everywhere, serde_json::Value::Null);
    assert_eq!(refused.await?, code(403, "insufficient_scope"));
    assert_eq!(status(&daemon, &cookies[1]).await?, 200);
    // A stream that is open ends with the next heartbeat.
    let mut stream = Stream::open(&daemon, "/api/events", &[("cookie", &cookies[1])]).await?;
    stream.until(": connected").await?;
    assert_eq!(sign_out(&daemon, &everywhere, &cookies[0]).await?.status, 200);
    for cookie in &cookies {
        assert_eq!(status(&daemon, cookie).await?, 401);
    }
    daemon.ask_in("GET", SESSION, b"").await?;
    let text = stream.end().await?;
    ensure!(text.contains("event: unauthorized"), "{text}");
    daemon.restart().await?;
    for cookie in &cookies {
        assert_eq!(status(&daemon, cookie).await?, 401);
    }
    let again = signed_in(&daemon).await?;
    assert_eq!(status(&daemon, &again).await?, 200);
    Ok(())
}

/// The cookie of a sign-in with these headers of a proxy.
async fn cookie_by(daemon: &Daemon, headers: &[(&str, &str)]) -> Result<String> {
    let link = daemon.ask_in("POST", "/api/sign-in-links", b"{}").await?.json()?;
    let (_, code) = link["url"]
        .as_str()
        .and_then(|url| url.split_once("#sign-in="))
        .context("a code")?;
    let body = serde_json::json!({ "code": code }).to_string();
    let answer = daemon.ask("POST", SESSION, headers, body.as_bytes()).await?;
    Ok(answer.header("set-cookie").context("a cookie")?.to_owned())
}

#[tokio::test]
async fn a_cookie_that_came_by_https_goes_over_nothing_else() -> Result<()> {
    let trusting = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await?;
    let strict = started().await?;
    let (https, http) = (("x-forwarded-proto", "https"), ("x-forwarded-proto", "http"));
    let named = ("x-forwarded-host", "box.lan");
    for (daemon, headers, expected) in [
        (&trusting, &[https][..], true),
        (&trusting, &[https, named], true),
        (&trusting, &[http, named], false),
        // Then nobody says by what the browser came.
        (&trusting, &[named], false),
        (&trusting, &[], false),
        (&strict, &[https], false),
    ] {
        let cookie = cookie_by(daemon, headers).await?;
        let pair = cookie.split(';').next().unwrap_or_default();
        assert_eq!(cookie.contains("; Secure"), expected, "{headers:?}: {cookie}");
        assert_eq!(status(daemon, pair).await?, 200);
        // The one that takes it away is like it, else a browser would not take it.
        let out = [headers, &[("cookie", pair), ("sec-fetch-site", "same-origin")]].concat();
        let out = daemon.ask("DELETE", SESSION, &out, b"").await?;
        let cleared = out.header("set-cookie").context("a cookie")?;
        assert_eq!(cleared.contains("; Secure"), expected, "{headers:?}: {cleared}");
    }
    Ok(())
}
