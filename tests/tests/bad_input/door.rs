//! Who gets in, and what those get who do not.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;

use super::with_eng;

/// Every route behind the door, with a body that could not be read.
const GUARDED: [(&str, &str); 39] = [
    ("POST", "/api/sign-in-links"),
    ("GET", "/api/session"),
    ("DELETE", "/api/session"),
    ("GET", "/api/agents"),
    ("POST", "/api/agents"),
    ("GET", "/api/agents/nobody"),
    ("DELETE", "/api/agents/eng"),
    ("POST", "/api/channels/nobody/send"),
    ("GET", "/api/channels/eng/messages?limit=x"),
    ("GET", "/api/channels/nobody/threads"),
    ("GET", "/api/channels/eng/turn-events"),
    ("GET", "/api/events?channels="),
    ("GET", "/api/turns/nonsense"),
    ("POST", "/api/turns/nonsense/stop"),
    ("GET", "/api/undelivered?limit=x"),
    ("POST", "/api/undelivered/retry"),
    ("POST", "/api/turns/nonsense/cancel"),
    ("POST", "/api/turns/nonsense/hold"),
    ("POST", "/api/turns/nonsense/release"),
    ("POST", "/api/turns/nonsense/move"),
    ("POST", "/api/turns/nonsense/resend"),
    ("PATCH", "/api/turns/nonsense"),
    ("GET", "/api/turns?channel=eng"),
    ("GET", "/api/channels/eng/queue"),
    ("PATCH", "/api/agents/eng"),
    ("POST", "/api/agents/eng/pause"),
    ("POST", "/api/agents/eng/resume"),
    ("POST", "/api/agents/eng/reset"),
    ("GET", "/vaults"),
    ("GET", "/vaults/list"),
    ("GET", "/vault/default"),
    ("GET", "/vault/default/tokens"),
    ("POST", "/vault/default/tokens"),
    ("DELETE", "/vault/default/tokens/t_0"),
    ("GET", "/vault/nowhere/api/notes?search=x"),
    ("POST", "/vault/default/api/notes"),
    ("PATCH", "/vault/default/api/notes/nothing"),
    ("DELETE", "/vault/default/api/notes/nothing"),
    ("GET", "/vault/default/api/health"),
];

#[tokio::test]
async fn without_the_token_every_door_is_closed_before_anything_is_looked_at() -> Result<()> {
    let daemon = with_eng().await?;
    let tokens = [
        None,
        Some("Bearer wrong".to_owned()),
        Some("Bearer ".to_owned()),
        Some(daemon.token().to_owned()),
        Some(format!("Basic {}", daemon.token())),
        Some(format!("Bearer {}x", daemon.token())),
    ];
    for token in &tokens {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
        for (method, target) in GUARDED {
            let answer = daemon.ask(method, target, &headers, b"{ no json").await?;
            let told = format!("{method} {target} with {token:?}");
            // The notes API keeps the words of its contract.
            let code = if target.starts_with("/vault/") {
                "Unauthorized"
            } else {
                "unauthorized"
            };
            assert_eq!(answer.refusal()?, (401, code.into()), "{told}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{told}");
            assert!(answer.json()?["next_step"].is_string(), "{told}");
        }
    }
    // The token opens nothing from the query, where it would end up in logs.
    let target = format!("/api/agents?token={0}&access_token={0}", daemon.token());
    assert_eq!(daemon.ask("GET", &target, &[], b"").await?.status, 401);
    assert_eq!(daemon.ask_in("GET", "/api/agents/eng", b"").await?.status, 200);
    assert!(!daemon.log()?.contains(daemon.token()), "the token is in the log");
    Ok(())
}

#[tokio::test]
async fn what_is_open_stays_open_and_tells_little() -> Result<()> {
    let daemon = with_eng().await?;
    let health = daemon.ask("GET", "/health", &[], b"").await?;
    assert_eq!(health.json()?, json!({ "status": "ok" }));
    // It takes agents in a moment before their turns may begin.
    let ready = eventually("turns may begin", LIMIT, async || {
        let ready = daemon.ask("GET", "/ready", &[], b"").await?;
        Ok((ready.status != 503).then_some(ready))
    })
    .await?;
    assert_eq!((ready.status, ready.json()?), (200, json!({ "status": "ready" })));
    let page = daemon.ask("GET", "/", &[], b"").await?;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").is_some());
    assert_eq!(daemon.ask("GET", "/favicon.svg", &[], b"").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_foreign_host_name_is_turned_away() -> Result<()> {
    let daemon = with_eng().await?;
    let (name, token) = daemon.bearer();
    let port = daemon.url().port().context("a port")?;
    for host in [
        "evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "",
        "127.0.0.1.evil.example",
    ] {
        for (method, target) in [
            ("GET", "/health"),
            ("GET", "/"),
            ("GET", "/nothing"),
            ("GET", "/api/agents"),
            ("POST", "/api/session"),
        ] {
            let answer = daemon
                .ask(method, target, &[("host", host), (name, &token)], b"")
                .await?;
            assert_eq!(answer.refusal()?, (421, "unknown_host".into()), "{host:?} {target}");
        }
    }
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        let answer = daemon
            .ask("GET", "/api/agents", &[("host", &host), (name, &token)], b"")
            .await?;
        assert_eq!(answer.status, 200, "{host}");
    }
    Ok(())
}

/// The code of a fresh sign-in link.
async fn code(daemon: &Daemon) -> Result<String> {
    let made = daemon.ask_in("POST", "/api/sign-in-links", b"").await?.json()?;
    let url = made["url"].as_str().context("a link")?;
    let base = daemon.url().as_str().trim_end_matches('/');
    let code = url.strip_prefix(&format!("{base}/#sign-in="));
    Ok(code.with_context(|| url.to_owned())?.to_owned())
}

async fn sign_in(daemon: &Daemon, code: &str) -> Result<reveille_tests::daemon::Answer> {
    let body = json!({ "code": code }).to_string();
    daemon.ask("POST", "/api/session", &[], body.as_bytes()).await
}

#[tokio::test]
async fn a_sign_in_code_works_once() -> Result<()> {
    let daemon = with_eng().await?;
    let code = code(&daemon).await?;
    let answer = sign_in(&daemon, &code).await?;
    assert_eq!((answer.status, answer.json()?), (200, json!({ "signed_in": true })));
    let cookie = answer.header("set-cookie").context("a cookie")?;
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().context("a pair")?;
    for used in [code.as_str(), "", "guess", daemon.token()] {
        let again = sign_in(&daemon, used).await?;
        assert_eq!(again.refusal()?, (401, "bad_code".into()));
        assert_eq!(again.header("set-cookie"), None);
    }

    let session = daemon.ask("GET", "/api/session", &[("cookie", pair)], b"").await?;
    let shown = session.json()?;
    assert_eq!(
        (session.status, &shown["signed_in"], &shown["via"]),
        (200, &json!(true), &json!("link"))
    );
    assert!(
        shown["limits"]["upload_bytes"].as_u64().is_some_and(|bytes| bytes > 0),
        "{shown}"
    );
    let changed = format!("{pair}0");
    for forged in [changed.as_str(), "reveille=1", "reveille_1941=9999999999.00"] {
        let answer = daemon.ask("GET", "/api/session", &[("cookie", forged)], b"").await?;
        assert_eq!(answer.refusal()?, (401, "unauthorized".into()), "{forged}");
    }
    let mine = [("cookie", pair), ("sec-fetch-site", "same-origin")];
    let out = daemon.ask("DELETE", "/api/session", &mine, b"").await?;
    assert_eq!(out.status, 200);
    assert!(
        out.header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    Ok(())
}

#[tokio::test]
async fn another_site_cannot_use_a_browsers_cookie() -> Result<()> {
    let daemon = with_eng().await?;
    let signed_in = sign_in(&daemon, &code(&daemon).await?).await?;
    let cookie = signed_in
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.context("a cookie")?;
    let home = format!("http://{}", daemon.authority()?);
    let foreign: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", &home)],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    let body = br#"{"text":"[[reply sent]]"}"#;
    for origin in foreign {
        let headers = [&[("cookie", cookie)], origin].concat();
        for (method, target) in [
            ("POST", "/api/channels/eng/send"),
            ("DELETE", "/api/agents/eng"),
            ("DELETE", "/vault/default/api/notes/Agents%2Feng"),
            ("POST", "/api/sign-in-links"),
        ] {
            let answer = daemon.ask(method, target, &headers, body).await?;
            assert_eq!(
                answer.refusal()?,
                (403, "cross_site".into()),
                "{method} {target} {origin:?}"
            );
        }
    }
    assert_eq!(daemon.messages("eng").await?, []);
    for origin in [("sec-fetch-site", "same-origin"), ("origin", home.as_str())] {
        let headers = [("cookie", cookie), origin];
        let answer = daemon.ask("POST", "/api/channels/eng/send", &headers, body).await?;
        assert_eq!(answer.status, 200, "{origin:?}");
    }
    // A program with the token is no browser.
    assert_eq!(daemon.ask_in("POST", "/api/channels/eng/send", body).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn wrong_methods_and_addresses_are_told_as_json() -> Result<()> {
    let daemon = with_eng().await?;
    for (method, target) in [
        ("PUT", "/api/agents"),
        ("PUT", "/api/agents/eng"),
        ("GET", "/api/channels/eng/send"),
        ("POST", "/api/channels/eng/messages"),
        ("DELETE", "/api/turns/x"),
        ("GET", "/api/sign-in-links"),
        ("PUT", "/api/session"),
        ("POST", "/health"),
        ("DELETE", "/"),
        ("POST", "/assets/app.js"),
        ("PUT", "/vault/default/api/notes"),
        ("DELETE", "/vault/default"),
    ] {
        let answer = daemon.ask_in(method, target, b"").await?;
        let (status, code) = answer.refusal()?;
        assert_eq!(status, 405, "{method} {target} {code}");
        assert!(answer.header("allow").is_some(), "{method} {target} has no Allow");
    }
    for target in [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/vault",
        "/health/",
        "//",
        "/api/agents/eng/more",
    ] {
        let answer = daemon.ask_in("GET", target, b"").await?;
        assert_eq!(answer.refusal()?, (404, "not_found".into()), "{target}");
    }
    for target in ["/vault/nowhere/api/notes", "/vault/default/nothing"] {
        assert_eq!(daemon.ask_in("GET", target, b"").await?.refusal()?.0, 404, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn no_path_leads_out_of_the_assets() -> Result<()> {
    let daemon = with_eng().await?;
    for path in [
        "../token",
        "../../token",
        "..%2Ftoken",
        "%2e%2e/token",
        "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..\\token",
        "....//token",
        "/etc/passwd",
        "//etc/passwd",
        "%00",
        "%FF",
        "index.html",
        "",
        ".",
    ] {
        let target = format!("/assets/{path}");
        let answer = daemon.ask("GET", &target, &[], b"").await?;
        assert_eq!(answer.status, 404, "{target}");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(
            !body.contains(daemon.token()) && !body.contains("root:"),
            "{target}: {body}"
        );
        assert_eq!(answer.refusal()?.1, "not_found", "{target}");
    }
    Ok(())
}
