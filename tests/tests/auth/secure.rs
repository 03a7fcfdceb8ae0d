//! What every answer says to a browser.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;

use super::started;

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do_with_it() -> Result<()> {
    let daemon = started().await?;
    let (name, bearer) = daemon.bearer();
    let operator = [(name, bearer.as_str())];
    let foreign_host = [("host", "evil.example")];
    for (method, target, headers, status) in [
        ("GET", "/api/agents", &operator[..], 200),
        ("GET", "/api/agents", &[], 401),
        ("GET", "/health", &[], 200),
        ("GET", "/no/such/path", &[], 404),
        ("PUT", "/api/agents", &operator, 405),
        ("POST", "/api/tokens", &operator, 400),
        ("GET", "/api/agents", &foreign_host, 421),
        ("OPTIONS", "/api/agents", &[], 204),
        ("GET", "/vault/default/api/notes", &operator, 200),
    ] {
        let answer = daemon.ask(method, target, headers, b"").await?;
        let shown = format!("{method} {target} {status}");
        assert_eq!(answer.status, status, "{shown}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{shown} {name}");
        }
        let policy = answer.header("content-security-policy").context("a policy")?;
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{shown} {policy}"
        );
        assert!(answer.header("permissions-policy").is_some(), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn the_page_runs_its_own_scripts_alone_and_is_in_no_frame() -> Result<()> {
    let daemon = started().await?;
    let page = daemon.ask("GET", "/", &[], b"").await?;
    let policy = page.header("content-security-policy").context("a policy")?;
    let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src"));
    let scripts = scripts.or_else(|| policy.split(';').find(|part| part.trim().starts_with("default-src")));
    let scripts = scripts.context("what scripts may run")?;
    assert!(
        !scripts.contains("unsafe") && scripts.contains("'self'") || scripts.contains("'none'"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(
        [page.header("x-frame-options"), page.header("x-content-type-options")],
        [Some("DENY"), Some("nosniff")]
    );
    // Asking again for what has not changed costs no body.
    let etag = page.header("etag").context("an etag")?;
    let again = daemon.ask("GET", "/", &[("if-none-match", etag)], b"").await?;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("x-frame-options"), Some("DENY"));
    Ok(())
}

#[tokio::test]
async fn a_file_of_the_page_that_is_gone_is_not_the_page() -> Result<()> {
    let daemon = started().await?;
    for target in ["/assets/index-00000000.js", "/assets/x", "/assets/../index.html"] {
        let answer = daemon.ask("GET", target, &[], b"").await?;
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
    }
    Ok(())
}
