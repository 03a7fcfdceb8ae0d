//! The description of the interface, and what all of its answers have in common.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Daemon;
use serde_json::json;

use super::{token_of_vault, with_eng};

#[tokio::test]
async fn the_description_is_for_everybody_and_names_nothing_of_this_daemon() -> Result<()> {
    let daemon = with_eng().await?;
    daemon
        .create_agent("merger-with-acme", "You keep it to yourself.")
        .await?;
    let document = daemon.ask("GET", "/api/openapi.json", &[], b"").await?.json()?;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], daemon.version());
    let port = daemon.url().port().context("no port")?;
    let cookie = &document["components"]["securitySchemes"]["cookie"]["name"];
    assert_eq!(*cookie, format!("reveille_{port}"));
    let agents = &document["paths"]["/api/agents"];
    let schema = &agents["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(*schema, "#/components/schemas/AgentList");
    let refusal = &agents["get"]["responses"]["401"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(*refusal, "#/components/schemas/Error");
    ensure!(!document.to_string().contains("merger-with-acme"), "it names an agent");
    Ok(())
}

#[tokio::test]
async fn the_page_of_it_runs_nothing_and_loads_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    let page = daemon.ask("GET", "/api/docs", &[], b"").await?;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").context("no policy")?;
    ensure!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    ensure!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    let html = String::from_utf8(page.body)?;
    ensure!(html.contains("/api/channels/{channel}/send"), "{html}");
    ensure!(
        !html.contains("<script") && !html.contains("http://") && !html.contains("https://"),
        "{html}"
    );
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_one_shape_and_a_wrong_method_is_told_the_right_ones() -> Result<()> {
    let daemon = with_eng().await?;
    for (method, target, status, code, allow) in [
        ("GET", "/nothing", 404, "not_found", None),
        ("GET", "/api/nothing", 404, "not_found", None),
        ("PUT", "/api/agents", 405, "method_not_allowed", Some("GET,HEAD,POST")),
        (
            "POST",
            "/api/agents/eng",
            405,
            "method_not_allowed",
            Some("GET,HEAD,PATCH,DELETE"),
        ),
        ("DELETE", "/health", 405, "method_not_allowed", Some("GET,HEAD")),
        ("GET", "/api/agents/%zz", 400, "invalid_address", None),
        ("GET", "/api/agents/nobody", 404, "unknown_agent", None),
        ("POST", "/api/agents", 400, "invalid_json", None),
        ("GET", "/api/turns", 400, "invalid_parameter", None),
        (
            "GET",
            "/api/agent-defs/x?vault=a&vault=b",
            400,
            "invalid_parameter",
            None,
        ),
    ] {
        let answer = daemon.ask_in(method, target, b"{").await?;
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{method} {target}"
        );
        assert_eq!(answer.header("allow"), allow, "{method} {target}");
        let told = answer.json()?;
        assert_eq!(told["error"], code, "{method} {target}");
        ensure!(
            told["message"].as_str().is_some_and(|text| text.ends_with('.')),
            "{told}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn r_http_60_channels_are_listed_for_who_may_read() -> Result<()> {
    let daemon = with_eng().await?;
    let listed = daemon.ask_in("GET", "/api/channels", b"").await?;
    let expected = json!({ "channels": [{ "name": "eng", "transport": "vault", "vault": "default" }] });
    assert_eq!(listed.json()?, expected);
    let stranger = daemon.ask("GET", "/api/channels", &[], b"").await?;
    assert_eq!(stranger.status, 401);
    let reader = format!("Bearer {}", token_of_vault(&daemon, "read").await?);
    let other = daemon
        .ask("GET", "/api/channels", &[("authorization", &reader)], b"")
        .await?;
    assert_eq!(other.status, 403);
    Ok(())
}

#[tokio::test]
async fn r_http_45_other_names_of_the_page_lead_to_it() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MOUNT", "/r")
        .start()
        .await?;
    for (target, to) in [
        ("/home", "./"),
        ("/agents", "./"),
        ("/jobs", "./"),
        ("/admin", "./"),
        ("/ui", "./"),
        ("/app", "./"),
        ("/app/", "../"),
    ] {
        for prefix in ["", "/r"] {
            let answer = daemon.ask("GET", &format!("{prefix}{target}"), &[], b"").await?;
            assert_eq!(
                (answer.status, answer.header("location")),
                (302, Some(to)),
                "{prefix}{target}"
            );
        }
    }
    Ok(())
}
