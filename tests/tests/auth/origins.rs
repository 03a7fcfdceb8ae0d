//! Pages of other origins, and requests under other names.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Holder, code, signed_in, started};

const FOREIGN: (&str, &str) = ("origin", "https://evil.example");
const NAMED: (&str, &str) = ("origin", "https://notes.example");

async fn with_hub() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in();
    let daemon = daemon.config("[hub]\norigin = \"https://hub.example\"\n");
    // Not in the file: others may read that.
    daemon.env("REVEILLE_HUB__TOKEN", "t").start().await
}

#[tokio::test]
async fn options_are_answered_before_everything_else() -> Result<()> {
    let daemon = started().await?;
    for target in [
        "/api/agents",
        "/api/tokens",
        "/health",
        "/no/such/path",
        "/vault/x/api/notes",
        "/%zz",
    ] {
        for headers in [&[][..], &[FOREIGN][..], &[("authorization", "Bearer wrong")][..]] {
            let answer = daemon.ask("OPTIONS", target, headers, b"").await?;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{target} {headers:?}");
        }
    }
    let told = daemon.ask("OPTIONS", "/health", &[FOREIGN], b"").await?;
    assert_eq!(told.header("access-control-allow-origin"), Some("*"));
    let header = |name: &str| told.header(name).map(str::to_owned).context("a header");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(header("access-control-allow-methods")?.contains(method), "{method}");
    }
    for name in [
        "Authorization",
        "Content-Type",
        "X-Step-Up-Token",
        "Mcp-Session-Id",
        "Mcp-Protocol-Version",
        "Last-Event-ID",
    ] {
        assert!(header("access-control-allow-headers")?.contains(name), "{name}");
    }
    for name in ["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"] {
        assert!(header("access-control-expose-headers")?.contains(name), "{name}");
    }
    assert!(header("access-control-max-age")?.parse::<u32>()? > 0);
    // A foreign host name comes first.
    let foreign_host = [("host", "evil.example")];
    let answer = daemon.ask("OPTIONS", "/api/agents", &foreign_host, b"").await?;
    assert_eq!(answer.status, 421);
    Ok(())
}

#[tokio::test]
async fn our_own_routes_are_for_origins_that_are_named() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .config("[server]\norigins = [\"https://notes.example\"]\n")
        .start()
        .await?;
    let read = Holder::with(&daemon, &["reveille:admin"]).await?;
    for (origin, expected) in [
        (FOREIGN, None),
        (NAMED, Some("https://notes.example")),
        (("origin", "null"), None),
        (("origin", "http://notes.example"), None),
        (("origin", "https://notes.example:8443"), None),
        (("origin", "https://notes.example.evil.example"), None),
    ] {
        // The question, the answer, and the refusal.
        let asked = daemon.ask("OPTIONS", "/api/agents", &[origin], b"").await?;
        let answer = read
            .send(&daemon, ("GET", "/api/agents"), &[origin], &Value::Null)
            .await?;
        let refused = daemon.ask("GET", "/api/agents", &[origin], b"").await?;
        assert_eq!((asked.status, answer.status, refused.status), (204, 200, 401));
        for answer in [asked, answer, refused] {
            assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin:?}");
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            let vary: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "vary").collect();
            assert!(vary.iter().any(|(_, value)| value.contains("Origin")), "{vary:?}");
        }
    }
    // A page that somebody gave a token writes from where it may, and from nowhere else.
    let body = json!({ "name": "eng", "prompt": "You build." });
    let foreign = read.send(&daemon, ("POST", "/api/agents"), &[FOREIGN], &body).await?;
    assert_eq!(foreign.refusal()?, code(403, "cross_site"));
    assert_eq!(daemon.agents().await?.len(), 0);
    let named = read.send(&daemon, ("POST", "/api/agents"), &[NAMED], &body).await?;
    assert_eq!(named.status, 201);
    Ok(())
}

#[tokio::test]
async fn the_pages_of_the_hub_are_let_in_where_there_is_one() -> Result<()> {
    let daemon = with_hub().await?;
    let hub = daemon
        .ask("OPTIONS", "/api/agents", &[("origin", "https://hub.example")], b"")
        .await?;
    assert_eq!(hub.header("access-control-allow-origin"), Some("https://hub.example"));
    let daemon = started().await?;
    let default = [("origin", "http://127.0.0.1:1939")];
    let none = daemon.ask("OPTIONS", "/api/agents", &default, b"").await?;
    assert_eq!(none.header("access-control-allow-origin"), None);
    Ok(())
}

#[tokio::test]
async fn what_is_shared_is_shared_with_everybody_but_never_with_a_cookie() -> Result<()> {
    let daemon = started().await?;
    let cookie = signed_in(&daemon).await?;
    for target in ["/health", "/auth/status", "/vault/default/api/notes"] {
        let answer = daemon.ask("GET", target, &[FOREIGN], b"").await?;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{target}");
        let with_cookie = [FOREIGN, ("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
        let answer = daemon.ask("GET", target, &with_cookie, b"").await?;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_whatever_it_shows() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You build.").await?;
    let cookie = signed_in(&daemon).await?;
    let (name, bearer) = daemon.bearer();
    let cross = [("sec-fetch-site", "cross-site"), FOREIGN];
    let same_site = [("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:1")];
    // Browsers leave this out where they do not trust the connection.
    let old = [FOREIGN];
    let null = [("origin", "null")];
    for page in [&cross[..], &same_site, &old, &null] {
        for shown in [&[][..], &[("cookie", cookie.as_str())], &[(name, bearer.as_str())]] {
            let headers = [page, shown].concat();
            for (method, target, body) in [
                ("POST", "/api/session", json!({ "code": "x" })),
                ("DELETE", "/api/session", Value::Null),
                ("POST", "/api/channels/eng/send", json!({ "text": "hello" })),
                ("DELETE", "/api/agents/eng", Value::Null),
                ("PATCH", "/api/agents/eng", json!({ "prompt": "You destroy." })),
                ("POST", "/api/vault/inbound", json!({ "note": { "id": "x" } })),
                ("POST", "/api/vault/agent-def", json!({})),
                ("POST", "/api/tokens", json!({ "scopes": ["reveille:admin"] })),
                ("POST", "/api/step-up/pin", json!({ "newPin": "1234" })),
            ] {
                let answer = daemon
                    .ask(method, target, &headers, body.to_string().as_bytes())
                    .await?;
                assert_eq!(
                    answer.refusal()?,
                    code(403, "cross_site"),
                    "{method} {target} {headers:?}"
                );
            }
        }
    }
    assert_eq!(daemon.messages("eng").await?.len(), 0);
    let listed = daemon.ask_in("GET", "/api/tokens", b"").await?.json()?;
    assert_eq!(listed, json!({ "tokens": [] }));
    // Our own page does all of that, and so does a program, which says nothing of pages.
    let own = format!("http://{}", daemon.authority()?);
    for page in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        let headers = [page, ("cookie", cookie.as_str())];
        let body = json!({ "text": "hello" }).to_string();
        let answer = daemon
            .ask("POST", "/api/channels/eng/send", &headers, body.as_bytes())
            .await?;
        assert!(answer.status < 300, "{page:?} {}", answer.json()?);
    }
    // A cookie that comes with nothing of that kind is from no browser of ours.
    let bare = [("cookie", cookie.as_str())];
    let answer = daemon.ask("DELETE", "/api/agents/eng", &bare, b"").await?;
    assert_eq!(answer.refusal()?, code(403, "cross_site"));
    Ok(())
}

#[tokio::test]
async fn a_name_that_leads_here_by_trickery_is_not_answered() -> Result<()> {
    let daemon = started().await?;
    let (name, bearer) = daemon.bearer();
    for host in [
        "evil.example",
        "evil.example:1941",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
    ] {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/health"),
            ("GET", "/api/agents"),
            ("POST", "/api/session"),
            ("POST", "/api/vault/inbound"),
            ("GET", "/no/such/path"),
        ] {
            let answer = daemon
                .ask(method, target, &[("host", host), (name, &bearer)], b"")
                .await?;
            assert_eq!(answer.refusal()?, code(421, "unknown_host"), "{host} {method} {target}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_origin_that_is_none_is_told_at_the_start() -> Result<()> {
    for wrong in [
        "*",
        "notes.example",
        "https://notes.example/app",
        "https://a@notes.example",
        "null",
    ] {
        let config = format!("[server]\norigins = [\"{wrong}\"]\n");
        let error = Daemon::builder().stand_in().config(&config).start().await;
        let error = format!("{:#}", error.err().context("it has started")?);
        assert!(error.contains("is no origin"), "{wrong}: {error}");
    }
    Ok(())
}
